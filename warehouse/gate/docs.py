"""Verdicts as Great Expectations' Data Docs: its own words and tables for each expectation, without its page.

Its page loads scripts, fonts and styles from six hosts and would be bare where there is no network; here only the
tables are taken, one for each column, for a page that opens from disk. Great Expectations is imported when it is asked
for: that takes 2 to 8 CPU seconds.
"""

from __future__ import annotations

import html
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from warehouse.contracts import Check
from warehouse.gate.suite import GRAIN, KWARGS

Tables = list[tuple[str, str]]
"""(column, HTML table) of each column; the column is empty for expectations of the whole table."""


def data_docs(checks: Iterable[Check]) -> dict[str, Tables]:
    """For each table its verdicts as Data Docs: a table of HTML a column, what is not of one column first."""
    renderer, view = _great_expectations()
    ordered = sorted(checks, key=lambda check: (check.table, check.column or ""))
    return {
        table: [(column, _table(renderer, view, list(some))) for column, some in groupby(own, _column)]
        for table, own in groupby(ordered, lambda check: check.table)
    }


def _column(check: Check) -> str:
    return check.column or ""


def _great_expectations() -> tuple[Any, Any]:
    """Its renderer of results and its view of a content block."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "module 'sre_(constants|parse|compile)' is deprecated", DeprecationWarning)
        from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
        from great_expectations.render.view.view import DefaultJinjaComponentView
    return ValidationResultsPageRenderer(), DefaultJinjaComponentView()


def _table(renderer: Any, view: Any, checks: list[Check]) -> str:
    """Status, expectation and observed value of some verdicts, those of no suite after those that it words."""
    standard = [check for check in checks if check.kwargs and check.expectation in (GRAIN, *KWARGS)]
    worded = _worded(renderer, view, standard) if standard else ""
    return worded + "".join(_own(check) for check in checks if check not in standard)


def _own(check: Check) -> str:
    """A check of the pipeline itself, in the same columns."""
    icon = "fa-check-circle" if check.success else "fa-times"
    said = html.escape(check.expectation.replace("_", " "))
    observed = html.escape("" if check.observed is None else str(check.observed))
    row = f'<td><i class="fas {icon}"></i></td><td>{said}</td><td>{observed}</td>'
    head = "<th>Status</th><th>Expectation</th><th>Observed Value</th>"
    return f'<table class="table"><tr>{head}</tr><tr>{row}</tr></table>'


def _worded(renderer: Any, view: Any, checks: list[Check]) -> str:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The condition_parser parameter is deprecated", DeprecationWarning)
        document = renderer.render(_suite_result(checks)).to_json_dict()
    blocks = [block for section in document["sections"][1:] for block in section["content_blocks"]]
    tables = [block for block in blocks if block["content_block_type"] == "table"]
    text = "".join(view.render({"content_block": block, "content_block_loop": {"index": 1}}) for block in tables)
    return " ".join(_NUMBERED.sub("", text).split())


_NUMBERED = re.compile(r'\sid="content-block-[^"]*"')
"""Ids that count from 1 in every block: twice on a page they are no ids."""


def _suite_result(checks: list[Check]) -> Any:
    from great_expectations.core import ExpectationSuiteValidationResult

    return ExpectationSuiteValidationResult(
        success=all(check.success for check in checks),
        results=[_result(check) for check in checks],
        suite_name=checks[0].suite,
        suite_parameters={},
        statistics={},
        meta={},
    )


def _result(check: Check) -> Any:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    kind, kwargs = _standard(check)
    return ExpectationValidationResult(
        success=check.success,
        expectation_config=ExpectationConfiguration(type=kind, kwargs=kwargs),
        result=dict(_figures(check)),
    )


def _standard(check: Check) -> tuple[str, dict[str, Any]]:
    """The expectation in Great Expectations' own terms: ``grain_is_unique`` is one of its types with other words."""
    kwargs = dict(check.kwargs)
    if check.expectation != GRAIN:
        if (
            kwargs.get("condition_parser") == "duckdb"
        ):  # which it does not know; it shows the condition as it is written
            kwargs["condition_parser"] = "pandas"
        return check.expectation, kwargs
    columns = kwargs["column_list"]
    if len(columns) == 1:
        return "expect_column_values_to_be_unique", {"column": columns[0]}
    return "expect_compound_columns_to_be_unique", {"column_list": columns}


def _figures(check: Check) -> Iterator[tuple[str, Any]]:
    """The result object: counts, their share, samples, and what an aggregate came to."""
    yield "element_count", check.element_count
    yield "unexpected_count", check.unexpected_count
    yield "unexpected_percent", 100 * check.unexpected_count / max(check.element_count, 1)
    yield "partial_unexpected_list", [_escaped(sample) for sample in check.samples]
    if check.observed is not None:
        yield "observed_value", _escaped(check.observed)


def _escaped(value: Any) -> Any:
    """Text as HTML shows it: Great Expectations escapes what a suite says, but puts data into its cells as they are."""
    if isinstance(value, str):
        return html.escape(value)
    return [_escaped(each) for each in value] if isinstance(value, (list, tuple)) else value

"""Verdicts in Great Expectations' words: every type that is compiled is worded, and data stays data."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from test_golden import expectations

from warehouse.contracts import Check
from warehouse.gate import KWARGS, data_docs, load_suites

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>&amp;'


SAMPLE = (HOSTILE,)


class Tags(HTMLParser):
    """Start tags and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Tags:
    """Its tags and text."""
    tags = Tags()
    tags.feed(html)
    return tags


def check(kind: str, kwargs: dict[str, object], *, success: bool = True, **facts: object) -> Check:
    column = kwargs.get("column")
    return Check("s", "a.b", kind, str(column) if column else None, kwargs, success, 10, 3, **facts)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_compiled_type_and_every_shipped_expectation_is_worded(checkout: Path) -> None:
    shipped = [each for suite in load_suites((checkout / "expectations").glob("*.json")) for each in suite.expectations]
    asked = [*expectations(), *shipped]
    assert {each.type for each in asked} == KWARGS.keys()
    for success in (True, False):
        (tables,) = data_docs([check(each.type, dict(each.kwargs), success=success) for each in asked]).values()
        rows = [row for _, html in tables for row in re.findall(r"<tr> <td .*?</tr>", html)]
        said = [parsed(row).text.split() for row in rows]
        assert len(rows) == len(asked)
        assert all(len(words) > 3 for words in said)
        assert all(("fa-check-circle" in row) is success for row in rows)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_data_or_a_suite_holds_is_shown_as_text_and_never_becomes_markup() -> None:
    asked = [
        check("expect_column_values_to_match_regex", {"column": "c", "regex": HOSTILE}, success=False, samples=SAMPLE),
        check("expect_column_max_to_be_between", {"column": "c", "min_value": 1}, observed=HOSTILE),
        check("expect_column_distinct_values_to_be_in_set", {"column": "c", "value_set": [HOSTILE]}, observed=HOSTILE),
        check(HOSTILE, {}, observed=HOSTILE),
    ]  # fmt: skip
    tables = data_docs(asked)["a.b"]
    found = [parsed(html) for _, html in tables]
    assert {tag for each in found for tag in each.tags} <= {
        "div", "table", "thead", "tbody", "tr", "th", "td", "span", "i", "strong", "br"
    }  # fmt: skip
    assert sum(each.text.count('<script>alert("x")</script>') for each in found) >= 5


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_grain_is_worded_as_uniqueness_of_its_columns_and_a_check_of_the_pipeline_by_its_name() -> None:
    asked = [check("grain_is_unique", {"column_list": columns}) for columns in (["a"], ["a", "b"])]
    asked.append(check("rows_are_conserved", {}, success=False))
    ((column, html),) = data_docs(asked)["a.b"]
    text = " ".join(parsed(html).text.split())
    assert column == ""
    assert "values must be unique." in text
    assert "must be unique together: a, b" in text
    assert "rows are conserved" in text
    assert html.count("fa-times") == 1

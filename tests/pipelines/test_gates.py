"""A check of an expectation that warns does not block, and says so where it fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg

from pipelines.gates import check_results, check_specs
from pipelines.run import warning_of
from warehouse.contracts import Check
from warehouse.gate import load_suites


def test_an_expectation_that_warns_is_a_check_that_does_not_block(checkout: Path) -> None:
    key = dg.AssetKey(["curation", "survival"])
    suites = load_suites([checkout / "expectations/curation.survival.json"])
    assert [spec.blocking for spec in check_specs(key, suites)] == [False, True, True]
    failed = Check("survival", "curation.survival", "any", None, {}, False, 4, 1)
    results = list(check_results(key, suites, [failed, failed, replace(failed, success=True)]))
    warn, error = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
    assert [result.severity for result in results] == [warn, error, error]


def test_a_warning_is_one_line_with_what_was_found_and_why_it_matters(checkout: Path) -> None:
    lines = []
    for table, check in (
        ("survival", Check("s", "curation.survival", "any", "drifted", {}, False, 4, 1)),
        (
            "oversized_buckets",
            Check("s", "curation.oversized_buckets", "any", "texts", {}, False, 2, 0, observed="601"),
        ),
    ):
        key = dg.AssetKey(["curation", table])
        suites = load_suites([checkout / f"expectations/curation.{table}.json"])
        first = next(check_results(key, suites, [check] * len(suites[0].expectations)))
        lines.append(
            warning_of(key, str(first.check_name), {name: held.value for name, held in first.metadata.items()})
        )
    assert lines[0].startswith("curation/survival: drifted_in_set (1 rows): a share of kept documents that moves")
    assert lines[1].startswith(
        "curation/oversized_buckets: texts_sum_between (601 in 2 rows): texts in buckets of more"
    )
    assert "compare a text with the 256 before and after it" in lines[1]
    waits = warning_of(dg.AssetKey(["scores", "quality"]), "held_out", {"skipped": "negative has no text to train on"})
    assert waits == "scores/quality: no model was trained, negative has no text to train on"

"""A check of an expectation that warns does not block, and says so where it fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg

from pipelines.gates import check_results, check_specs
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

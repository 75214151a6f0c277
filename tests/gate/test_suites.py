"""Suites are Great Expectations' JSON; what is wrong is refused with file, line and expectation number."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from warehouse.errors import RecipeError
from warehouse.gate import KWARGS, compile_suite, load_suites

CASES = {
    "unknown type": ("expect_column_stdev_to_be_between", {"column": "a"}, "no compiled type"),
    "no column": ("expect_column_values_to_be_unique", {}, "has no 'column'"),
    "unknown argument": ("expect_column_values_to_be_unique", {"column": "a", "collumn": "b"}, "unknown key 'collumn'"),
    "no bounds": ("expect_column_values_to_be_between", {"column": "a"}, "neither min_value nor max_value"),
    "crossed bounds": ("expect_table_row_count_to_be_between", {"min_value": 2, "max_value": 1}, "is above max_value"),
    "mixed bounds": (
        "expect_column_values_to_be_between",
        {"column": "a", "min_value": 1, "max_value": "b"},
        "two texts",
    ),
    "mostly": ("expect_column_values_to_be_unique", {"column": "a", "mostly": 95}, "mostly is 95"),
    "boolean bound": ("expect_column_max_to_be_between", {"column": "a", "max_value": True}, "max_value is True"),
    "look-around": ("expect_column_values_to_match_regex", {"column": "a", "regex": "a(?=b)"}, "RE2"),
    "pandas condition": (
        "expect_column_values_to_be_unique",
        {"column": "a", "row_condition": "b == 1", "condition_parser": "pandas"},
        "condition_parser duckdb or spark",
    ),
    "condition is no SQL": (
        "expect_column_values_to_be_unique",
        {"column": "a", "row_condition": "b = ", "condition_parser": "duckdb"},
        "syntax error",
    ),
    "condition ends the query": (
        "expect_column_values_to_be_unique",
        {"column": "a", "row_condition": "true); DROP TABLE t; SELECT (1", "condition_parser": "duckdb"},
        "Only SELECT",
    ),
    "unknown condition": (
        "expect_column_values_to_be_unique",
        {
            "column": "a",
            "row_condition": {"type": "comparison", "column": {"name": "a"}, "operator": "LIKE", "parameter": 1},
        },
        "row_condition",
    ),
    "ignore_row_if of another kind": (
        "expect_column_pair_values_to_be_equal",
        {"column_A": "a", "column_B": "b", "ignore_row_if": "never"},
        "both_values_are_missing",
    ),
}


def write(folder: Path, *expectations: dict[str, Any], name: str = "marts.t") -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"name": name, "expectations": list(expectations), "meta": {}}, indent=1))
    return path


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_expectation_is_refused_with_file_line_and_number(tmp_path: Path, case: str) -> None:
    kind, kwargs, said = CASES[case]
    good = {"type": "expect_column_to_exist", "kwargs": {"column": "a"}}
    path = write(tmp_path, good, {"type": kind, "kwargs": kwargs})
    with pytest.raises(RecipeError, match=r"expectation 2:") as refused:
        load_suites([path])
    line = int(str(refused.value).removeprefix(f"{path}:").partition(":")[0])
    assert path.read_text().splitlines()[line] == f'   "type": "{kind}",'
    assert said in str(refused.value)
    assert refused.value.exit_status == 2


def test_an_unknown_type_lists_what_is_compiled(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        load_suites([write(tmp_path, {"type": "expect_column_stdev_to_be_between", "kwargs": {}})])
    assert all(kind in refused.value.allowed for kind in KWARGS)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"name": "x"}', '{"expectations": [3]}', '{"expectations": [], "a": 1}']
)
def test_what_is_no_suite_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "marts.t.json"
    path.write_text(text)
    with pytest.raises(RecipeError) as refused:
        load_suites([path])
    assert str(refused.value).startswith(f"{path}:")


def test_a_file_that_names_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"<schema>\.<table>\.json"):
        load_suites([write(tmp_path, name="chips")])


def test_a_suite_as_great_expectations_exports_it_is_read(tmp_path: Path) -> None:
    exported = {
        "type": "expect_column_values_to_be_in_set",
        "kwargs": {"column": "a", "value_set": ["x"]},
        "meta": {"why": "closed set"},
        "id": "3c1f0e46-1a5c-4c26-8d3f-3d0f5e1a9c11",
        "severity": "critical",
        "rendered_content": [],
    }
    (suite,) = load_suites([write(tmp_path, exported)])
    assert suite.table == "marts.t"
    assert suite.expectations[0].meta == {"why": "closed set"}


def test_an_expectation_whose_severity_is_a_warning_does_not_block(tmp_path: Path) -> None:
    one = {"type": "expect_column_to_exist", "kwargs": {"column": "a"}}
    path = write(
        tmp_path, one, one | {"severity": "critical"}, one | {"severity": "warning"}, one | {"severity": "info"}
    )
    (suite,) = load_suites([path])
    assert [expectation.warns for expectation in suite.expectations] == [False, False, True, True]
    with pytest.raises(RecipeError, match="severity is 'loud'"):
        load_suites([write(tmp_path, one | {"severity": "loud"})])


def test_names_are_quoted_and_values_are_bound(tmp_path: Path) -> None:
    hostile = 'a" IS NULL OR "1'
    path = write(
        tmp_path,
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": hostile, "value_set": ["'; DROP TABLE t"]}},
    )
    compiled = compile_suite(load_suites([path])[0], {hostile: "VARCHAR"})
    assert '"a"" IS NULL OR ""1"' in compiled.sql
    assert "DROP" not in compiled.sql
    assert compiled.values == ("'; DROP TABLE t",)


def test_the_compiled_query_is_printed_as_one_scan(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "f", "min_value": 0, "mostly": 0.9}},
    )
    compiled = compile_suite(load_suites([path])[0], {"a": "BIGINT", "f": "DOUBLE"})
    present = """nullif("f", 'NaN'::DOUBLE)"""
    assert str(compiled) == (
        "-- marts.t: marts.t\n"
        "SELECT\n"
        "  count(*) AS c0,\n"
        '  count(*) FILTER (WHERE ("a" IS NULL)) AS c1,\n'
        f"  count(*) FILTER (WHERE ({present} IS NOT NULL)) AS c2,\n"
        f"  count(*) FILTER (WHERE ({present} IS NOT NULL) AND (NOT coalesce({present} >= ?, false))) AS c3\n"
        'FROM "marts"."t"\n'
        "-- ?1 = 0"
    )


def test_the_suites_of_the_project_load(checkout: Path) -> None:
    suites = load_suites((checkout / "expectations").glob("*.json"))
    assert {"repository.documents", "repository.ai_chips", "marts.power_and_carbon"} <= {
        suite.table for suite in suites
    }
    assert min(len(suite.expectations) for suite in suites) >= 3


def test_importing_the_gate_imports_no_great_expectations() -> None:
    script = "import sys, warehouse.gate; sys.exit(bool({'great_expectations', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

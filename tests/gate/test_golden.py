"""Every compiled expectation against Great Expectations on pandas, on random frames with nulls, NaN and nothing."""

from __future__ import annotations

import importlib
import random
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from warehouse import query
from warehouse.gate import KWARGS, Expectation, Suite, run_suite

Outcome = tuple[bool, int | None, int | None]
"""success, element_count, unexpected_count (None where Great Expectations gives none)."""

MODES = [
    ("expect_table_row_count_to_be_between", {"min_value": 1, "max_value": 30}),
    ("expect_table_row_count_to_equal", {"value": 0}),
    ("expect_table_columns_to_match_set", {"column_set": ["i", "f", "s", "b", "t"]}),
    ("expect_table_columns_to_match_set", {"column_set": ["i", "f"]}),
    ("expect_table_columns_to_match_set", {"column_set": ["i", "f"], "exact_match": False}),
    ("expect_table_columns_to_match_set", {"column_set": ["i", "nope"], "exact_match": False}),
    ("expect_column_to_exist", {"column": "s", "column_index": 2}),
    ("expect_column_to_exist", {"column": "s", "column_index": 1}),
    ("expect_column_to_exist", {"column": "nope"}),
    ("expect_column_mean_to_be_between", {"column": "f", "min_value": -1, "max_value": 1}),
    ("expect_column_mean_to_be_between", {"column": "i", "min_value": 2, "strict_min": True}),
    ("expect_column_median_to_be_between", {"column": "i", "min_value": 1, "max_value": 3}),
    ("expect_column_median_to_be_between", {"column": "f", "max_value": 0}),
    ("expect_column_sum_to_be_between", {"column": "i", "min_value": 0, "max_value": 40}),
    ("expect_column_min_to_be_between", {"column": "f", "min_value": -2, "strict_min": True}),
    ("expect_column_max_to_be_between", {"column": "i", "max_value": 5, "strict_max": True}),
    ("expect_column_unique_value_count_to_be_between", {"column": "s", "min_value": 2, "max_value": 4}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "i", "value_set": [0, 1, 2, 3]}),
    ("expect_column_values_to_be_null", {"column": "s", "mostly": 0.3}),
]
COLUMNS = [
    ("expect_column_values_to_not_be_null", {}, "ifsbt"),
    ("expect_column_values_to_be_null", {}, "ifs"),
    ("expect_column_values_to_be_unique", {}, "ifst"),
    ("expect_column_values_to_be_between", {"min_value": 0, "max_value": 3}, "if"),
    ("expect_column_values_to_be_between", {"min_value": 0, "strict_min": True}, "if"),
    ("expect_column_values_to_be_between", {"max_value": 1.5, "strict_max": True}, "if"),
    ("expect_column_values_to_be_between", {"min_value": "2026-01-02T00:00:00+00:00"}, "t"),
    ("expect_column_values_to_be_in_set", {"value_set": [0, 1, 2.0, 5]}, "if"),
    ("expect_column_values_to_be_in_set", {"value_set": ["a", "", "é"]}, "s"),
    ("expect_column_values_to_be_in_set", {"value_set": [True]}, "b"),
    ("expect_column_values_to_be_in_set", {"value_set": []}, "s"),
    ("expect_column_values_to_not_be_in_set", {"value_set": [1, 4]}, "if"),
    ("expect_column_values_to_not_be_in_set", {"value_set": ["ab", "A"]}, "s"),
    ("expect_column_values_to_match_regex", {"regex": "^[a-c]+$"}, "s"),
    ("expect_column_values_to_match_regex", {"regex": "b|é"}, "s"),
    ("expect_column_values_to_not_match_regex", {"regex": "(?i)^a"}, "s"),
    ("expect_column_value_lengths_to_be_between", {"min_value": 1, "max_value": 2}, "s"),
    ("expect_column_value_lengths_to_be_between", {"min_value": 1, "strict_min": True}, "s"),
]
KEYS = [
    ("expect_compound_columns_to_be_unique", {"column_list": ["i", "f"]}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["i", "s"], "ignore_row_if": "any_value_is_missing"}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["f", "s"], "ignore_row_if": "never", "mostly": 0.5}),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "i", "column_B": "f"}),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "f", "column_B": "i", "or_equal": True}),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "i", "column_B": "f", "ignore_row_if": "either_value_is_missing", "mostly": 0.5},
    ),
    ("expect_column_pair_values_to_be_equal", {"column_A": "i", "column_B": "f"}),
    ("expect_column_pair_values_to_be_equal", {"column_A": "i", "column_B": "f", "ignore_row_if": "neither"}),
]
CONDITIONS: list[dict[str, Any]] = [
    {"type": "comparison", "column": {"name": "i"}, "operator": ">=", "parameter": 2},
    {"type": "comparison", "column": {"name": "s"}, "operator": "IN", "parameter": ["a", "b"]},
    {
        "type": "and",
        "conditions": [
            {"type": "nullity", "column": {"name": "f"}, "is_null": False},
            {"type": "comparison", "column": {"name": "i"}, "operator": "<", "parameter": 4},
        ],
    },
]


def expectations() -> list[Expectation]:
    listed = [*MODES, *KEYS]
    listed += [(kind, {"column": c, **kwargs}) for kind, kwargs, columns in COLUMNS for c in columns]
    listed += [(kind, {"column": columns[0], **kwargs, "mostly": 0.6}) for kind, kwargs, columns in COLUMNS]
    listed += [
        (kind, {"column": columns[0], **kwargs, "row_condition": CONDITIONS[n % 3]})
        for n, (kind, kwargs, columns) in enumerate(COLUMNS)
    ]
    return [Expectation(kind, kwargs, n) for n, (kind, kwargs) in enumerate(listed, 1)]


def frame(seed: int) -> pa.Table:
    """Up to 40 rows; some columns have no null, some nothing else."""
    rng = random.Random(seed)
    rows = rng.choice([0, 1, 7, 40, 40])
    missing = rng.choice([0.0, 0.2, 1.0]) if seed % 5 == 0 else rng.choice([0.0, 0.2])

    def column(draw: Callable[[], Any], kind: pa.DataType) -> pa.Array:
        return pa.array([None if rng.random() < missing else draw() for _ in range(rows)], kind)

    start = datetime(2026, 1, 1, tzinfo=UTC)
    return pa.table(
        {
            "i": column(lambda: rng.randrange(6), pa.int64()),
            "f": column(lambda: rng.choice([float("nan"), -2.5, 0.0, 1.0, 3.0]), pa.float64()),
            "s": column(lambda: rng.choice(["", "a", "b", "ab", "A", "é"]), pa.string()),
            "b": column(lambda: rng.random() < 0.5, pa.bool_()),
            "t": column(lambda: start + timedelta(hours=rng.randrange(96)), pa.timestamp("us", tz="UTC")),
        }
    )


@pytest.fixture(scope="module")
def great_expectations(
    monkeypatch_module: pytest.MonkeyPatch,
) -> Callable[[pa.Table, list[Expectation]], list[Outcome]]:
    """Great Expectations 1.24 on pandas; its import alone takes some seconds."""
    monkeypatch_module.setenv("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "module 'sre_(constants|parse|compile)' is deprecated", DeprecationWarning)
        gx = importlib.import_module("great_expectations")
    bars = importlib.import_module("great_expectations.data_context.types.base").ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = bars(globally=False)
    whole = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")

    def verdicts(table: pa.Table, asked: list[Expectation]) -> list[Outcome]:
        batch = whole.get_batch({"dataframe": table.to_pandas()})
        suite = gx.ExpectationSuite(
            "s", expectations=[{"type": e.type, "kwargs": dict(e.kwargs), "meta": {"n": e.number}} for e in asked]
        )
        found = {result.expectation_config.meta["n"]: result for result in batch.validate(suite).results}
        return [_outcome(found[e.number]) for e in asked]

    return verdicts


def _outcome(result: Any) -> Outcome:
    assert not result.exception_info.get("raised_exception"), (result.expectation_config, result.exception_info)
    return bool(result.success), result.result.get("element_count"), result.result.get("unexpected_count")


@pytest.fixture(scope="module")
def monkeypatch_module() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def ours(table: pa.Table, asked: list[Expectation]) -> list[Outcome]:
    with query.connect() as con:
        con.execute("CREATE SCHEMA x")
        con.register("arrow", table)
        con.execute("CREATE TABLE x.t AS FROM arrow")
        checks = run_suite(con, Suite("s", "x.t", tuple(asked)))
    return [(check.success, check.element_count, check.unexpected_count) for check in checks]


def test_every_compiled_type_is_compared() -> None:
    assert {each.type for each in expectations()} == set(KWARGS)


@pytest.mark.parametrize("seed", range(8))
def test_verdicts_and_counts_are_those_of_great_expectations(
    seed: int, great_expectations: Callable[[pa.Table, list[Expectation]], list[Outcome]]
) -> None:
    table, asked = frame(seed), expectations()
    for theirs, own, expectation in zip(great_expectations(table, asked), ours(table, asked), asked, strict=True):
        comparable = tuple(o if t is not None else None for t, o in zip(theirs, own, strict=True))
        assert comparable == theirs, (expectation, table.to_pylist())

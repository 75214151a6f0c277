"""The alarm on what survives of a source: a drift that is planted is seen, batches of one source are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from warehouse import query
from warehouse.gate import load_suites, run_suite

DAY_US = 86_400_000_000
Batch = tuple[str, int, int, float]
"""Source, day, documents, chance to be kept."""


def survival(checkout: Path, batches: list[Batch], seed: int, **variables: float) -> query.Connection:
    """``curation.survival`` over documents that are kept by chance."""
    rng = np.random.default_rng(seed)
    sources = [source for source, _, count, _ in batches for _ in range(count)]
    known = [day * DAY_US for _, day, count, _ in batches for _ in range(count)]
    kept = np.concatenate([rng.random(count) < share for _, _, count, share in batches])
    ids = [str(number) for number in range(len(sources))]
    con = query.connect(threads=1)
    con.register("given", pa.table({"doc_id": ids, "source": sources, "known_at": pa.array(known, pa.timestamp("us")),
                                    "kept": kept, "rule_set": ["house"] * len(ids)}))  # fmt: skip
    con.execute("CREATE SCHEMA staging; CREATE SCHEMA curation")
    con.execute("CREATE TABLE staging.current_documents AS SELECT doc_id, source, known_at FROM given")
    con.execute("CREATE TABLE curation.decisions AS SELECT doc_id, source, rule_set, kept FROM given")
    for name, value in variables.items():
        con.execute(f"SET VARIABLE {name} = {value}")
    con.execute(f"CREATE TABLE curation.survival AS {(checkout / 'sql/curation/survival.sql').read_text()}")
    return con


def drifted(con: query.Connection) -> list[str]:
    return [row[0] for row in query.fetch_all(con, "SELECT source FROM curation.survival WHERE drifted ORDER BY 1")]


STEADY: list[Batch] = [(f"s{n}", day, 400, 0.3 + n / 50) for n in range(20) for day in (1, 2, 9)]


def test_batches_of_the_same_source_raise_no_alarm(checkout: Path) -> None:
    alarms = [drifted(survival(checkout, STEADY, seed)) for seed in range(60)]
    assert alarms == [[]] * 60


@pytest.mark.parametrize("move", [-0.2, 0.2])
def test_a_drift_that_is_planted_is_named_and_no_other(checkout: Path, move: float) -> None:
    planted = [
        (source, day, count, share + move * (source == "s7" and day == 9)) for source, day, count, share in STEADY
    ]
    for seed in range(20):
        assert drifted(survival(checkout, planted, seed)) == ["s7"]


def test_a_move_that_is_certain_but_small_raises_no_alarm(checkout: Path) -> None:
    con = survival(checkout, [("a", 1, 200_000, 0.5), ("a", 9, 200_000, 0.53)], 1)
    [(p, alarm)] = query.fetch_all(con, "SELECT p, drifted FROM curation.survival")
    assert p < 1e-9
    assert not alarm
    con = survival(checkout, [("a", 1, 200_000, 0.5), ("a", 9, 200_000, 0.53)], 1, survival_min_move=0.02)
    assert drifted(con) == ["a"]


def test_a_source_of_one_time_or_of_few_documents_is_not_judged(checkout: Path) -> None:
    con = survival(checkout, [("once", 1, 500, 0.5), ("few", 1, 500, 1.0), ("few", 9, 29, 0.0)], 1)
    rows = query.fetch_all(con, "SELECT source, documents, new_documents, p, drifted FROM curation.survival ORDER BY 1")
    assert rows == [("few", 529, 29, None, False), ("once", 500, 500, None, False)]


def test_p_bounds_the_chance_of_a_difference_as_large(checkout: Path) -> None:
    batches = [(f"s{n}", day, 200, 0.4) for n in range(400) for day in (1, 9)]
    rows = query.fetch_all(survival(checkout, batches, 5), "SELECT p FROM curation.survival")
    found = np.array([row[0] for row in rows])
    for level in (0.5, 0.2, 0.1, 0.05):
        assert (found <= level).mean() <= level


def test_the_suite_warns_of_a_drift_and_holds_else(checkout: Path) -> None:
    (suite,) = load_suites([checkout / "expectations/curation.survival.json"])
    assert [expectation.warns for expectation in suite.expectations] == [True, False, False]
    steady, moved = ([("a", 1, 500, 0.5), ("a", 9, 500, share)] for share in (0.5, 0.9))
    for batches, holds in ((steady, True), (moved, False)):
        verdicts = run_suite(survival(checkout, batches, 3), suite)
        assert [check.success for check in verdicts] == [holds, True, True]

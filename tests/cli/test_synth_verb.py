"""Sketches at a site, merged anywhere; no row drawn is counted again."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse.sketches import read


@pytest.fixture
def sites(inside: Path) -> list[str]:
    """Two sites' rows in two files."""
    for name, first in (("north", 0), ("south", 300)):
        numbers = list(range(first, first + 300))
        kinds = [f"kind {n % 3}" for n in numbers]
        pq.write_table(
            pa.table({"n": [n % 7 for n in numbers], "kind": kinds, "x": [n % 3 / 2 for n in numbers]}),
            f"{name}.parquet",
        )
    return ["north", "south"]


def test_sites_count_twice_and_their_sum_is_sampled(warehouse, sites):
    assert warehouse("synth", "fit", "north.parquet", "--rounds", "1", "--out", "n.sketch").status == 0
    assert (
        warehouse("synth", "fit", "south.parquet", "--like", "n.sketch", "--rounds", "1", "--out", "s.sketch").status
        == 0
    )
    said = warehouse("synth", "merge", "n.sketch", "s.sketch", "--out", "both.sketch")
    assert "600 rows, 3 columns, 6 tables of counts" in said.out and "round one" in said.out
    for site in sites:
        ended = warehouse("synth", "fit", f"{site}.parquet", "--like", "both.sketch", "--out", f"{site}.sketch")
        assert ended.status == 0 and "<- " in ended.out
    merged = [["south.sketch", "north.sketch"], ["north.sketch", "south.sketch"]]
    for at, order in enumerate(merged):
        assert warehouse("synth", "merge", *order, "--out", f"whole-{at}.sketch").status == 0
    assert Path("whole-0.sketch").read_bytes() == Path("whole-1.sketch").read_bytes()
    assert read(Path("whole-0.sketch")).n == 600
    drawn = warehouse("synth", "sample", "whole-0.sketch", "--rows", "50", "--seed", "3", "--out", "drawn.parquet")
    assert drawn.out.startswith("50 rows drawn from 600 counted")
    rows = pq.read_table("drawn.parquet").to_pylist()
    assert {(row["synthetic"], row["generation"]) for row in rows} == {(True, 1)}
    assert sum(row["x"] == int(row["kind"][-1]) / 2 for row in rows) >= 47  # smoothing: 1 row in 200
    refused = warehouse("synth", "fit", "drawn.parquet", "--out", "again.sketch")
    assert refused.status == 2 and "50 rows of drawn.parquet are synthetic" in refused.err


def test_sketches_of_other_columns_are_not_merged(warehouse, sites):
    warehouse("synth", "fit", "north.parquet", "--out", "n.sketch")
    warehouse("synth", "fit", "south.parquet", "--columns", "kind,n", "--out", "o.sketch")
    ended = warehouse("synth", "merge", "n.sketch", "o.sketch", "--out", "x.sketch")
    assert ended.status == 2 and "sketches of different tables" in ended.err and not Path("x.sketch").exists()
    Path("cut.sketch").write_bytes(Path("n.sketch").read_bytes()[:-9])
    ended = warehouse("synth", "merge", "n.sketch", "cut.sketch", "--out", "x.sketch")
    assert ended.status == 1 and "cut.sketch: not a whole sketch" in ended.err


def test_audit_of_a_project_without_anything_synthetic_says_so(warehouse, inside):
    ended = warehouse("synth", "audit")
    assert (ended.status, ended.out) == (0, "nothing synthetic is published; write recipes/synthetic/NAME.yaml\n")
    assert '"texts": []' in warehouse("synth", "audit", "--json").out

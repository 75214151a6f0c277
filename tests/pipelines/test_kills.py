"""A run killed at any instant leaves the last committed state readable, and running it again finishes it exactly."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from warehouse.project import Project

HARNESS = Path(__file__).parent / "kill_harness.py"
VINTAGED = "known_at: {path: 'manual-(?P<date>\\d+)', format: '%Y'}\n"


@pytest.fixture(scope="module")
def seen(pristine: Path, checkout: Path) -> dict[str, Any]:
    """What the harness saw: ``baseline`` is the run that nobody killed, ``points`` are the kill points by name."""
    results = pristine.parent / "results.json"
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout / "tests"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    done = subprocess.run(
        [sys.executable, str(HARNESS), str(pristine), str(results)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=1000,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(results.read_text())
    return found


@pytest.fixture(scope="module")
def pristine(project_at: Callable[[Path], Project], memory_folder: Path) -> Path:
    """The small project with stated knowledge times, so that a release of it is the same on any day."""
    folder = project_at(memory_folder / "project").folder
    recipe = folder / "recipes/sources/manual.yaml"
    recipe.write_text(recipe.read_text() + VINTAGED)
    for n in (1, 2):
        shutil.move(folder / f"data/manual-{n}.jsonl", folder / f"data/manual-202{n}.jsonl")
    return folder


def test_the_kills_happened_where_they_were_meant_to(seen: dict[str, Any]) -> None:
    assert (seen["baseline"]["exit"], seen["killed"]) == (0, -9)
    assert {name.split("-")[0] for name in seen["points"]} == {"commit", "parquet", "replace"}
    assert len(seen["points"]) == 7


def test_what_was_committed_is_readable_after_every_kill(seen: dict[str, Any]) -> None:
    for name, point in seen["points"].items():
        assert point["after_kill"]["readable"] == 0, name
        for table, found in point["after_kill"]["rows"].items():
            assert set(map(tuple, found)) <= set(map(tuple, seen["baseline"]["rows"][table])), (name, table)


def test_points_are_different_states_of_one_route(seen: dict[str, Any]) -> None:
    rows = [sum(map(len, point["after_kill"]["rows"].values())) for point in seen["points"].values()]
    assert rows == sorted(rows)
    assert rows[0] == 0 < rows[1] < rows[-1]


def test_a_second_run_completes_with_no_row_twice_and_none_lost(seen: dict[str, Any]) -> None:
    for name, point in seen["points"].items():
        assert point["again"] == 0, name
        assert point["rows"] == seen["baseline"]["rows"], name


def test_the_release_after_a_kill_is_the_release_without_one(seen: dict[str, Any]) -> None:
    assert len(seen["baseline"]["release"]) == 1
    for name, point in seen["points"].items():
        assert point["release"] == seen["baseline"]["release"], name


def test_nothing_is_left_over(seen: dict[str, Any]) -> None:
    assert seen["baseline"]["leftovers"] == []
    assert {name: point["leftovers"] for name, point in seen["points"].items() if point["leftovers"]} == {}

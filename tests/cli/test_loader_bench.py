"""The pace of the loader is told from what it counted."""

from __future__ import annotations

import io
import json
import os
import pty
import re
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import pytest
from file_server import files_served
from written_foreign import mds_tokens, tar_records
from written_release import write_release, write_rows

from warehouse.cli.app import run
from warehouse.loader import bench


def read_to_the_end(terminal: int) -> bytes:
    """What came out of a terminal whose other end is closed: a read gives a piece of it, the end is EIO."""
    seen = b""
    with suppress(OSError):
        while piece := os.read(terminal, 1 << 16):
            seen += piece
    os.close(terminal)
    return seen


@pytest.mark.parametrize("threads", ["0", "2"])
def test_the_pace_is_what_was_counted_over_several_epochs(tmp_path: Path, warehouse, threads: str) -> None:
    path = write_release(tmp_path / "release", (40, 0, 33, 30))
    ended = warehouse("loader", "bench", str(path), "--batch", "8", "--seconds", "0.2", "--threads", threads, "--json")
    told = json.loads(ended.out)
    assert ended.status == 0 and ended.err == ""
    assert told["epoch"] > 1 and told["wall_s"] >= 0.2
    assert told["batches"] - 1 <= 13 * (told["epoch"] + 1) and told["batches"] > 13 * told["epoch"]
    assert told["bytes"] == told["samples"] * 32
    assert told["samples_per_s"] == pytest.approx(told["samples"] / told["wall_s"])
    assert told["cpu_us_per_sample"] == pytest.approx(1e6 * told["cpu_s"] / told["samples"])
    assert 0 < told["first_batch_ms"] < 1e3 * told["wait_s"]


def test_rows_and_a_batch_larger_than_the_split_are_read_too(tmp_path: Path, warehouse) -> None:
    path = write_rows(tmp_path / "rows")
    ended = warehouse("loader", "bench", str(path), "--batch", "1000", "--seconds", "0.01")
    assert ended.status == 0, ended.err
    assert re.match(r"[\d,]+ samples/s, [\d.]+ [kMG]?B/s, [\d.]+ us of CPU a sample\n", ended.out)
    assert "batches were not ready when asked for" in ended.out


@pytest.mark.parametrize(("written", "size"), [(mds_tokens, 32), (tar_records, None)])
def test_other_projects_data_sets_are_read_as_tokens_or_as_records(
    tmp_path: Path, warehouse, written: Callable[[Path], str], size: int | None
) -> None:
    ended = warehouse("loader", "bench", written(tmp_path / "data"), "--batch", "4", "--seconds", "0.05", "--json")
    told = json.loads(ended.out)
    assert ended.status == 0 and told["samples"] > 12 and told["epoch"] > 0
    assert size is None or told["bytes"] == told["samples"] * size


@pytest.mark.parametrize("written", [lambda folder: write_release(folder, (40, 0, 33, 30)), write_rows])
def test_a_url_is_streamed_and_its_secrets_are_not_shown(tmp_path: Path, warehouse, written) -> None:
    written(tmp_path / "release")
    with files_served(tmp_path) as server:
        url = f"{server.url}/release?token=hush-hush"
        ended = warehouse("loader", "bench", url, "--batch", "8", "--seconds", "0.01", "--threads", "2")
    assert ended.status == 0, ended.err
    assert f"samples of {server.url}/release in " in ended.out and "hush" not in ended.out
    assert {each.query for each in server.asked} == {"token=hush-hush"}


def test_a_terminal_sees_the_pace_on_the_way_and_an_empty_line_in_the_end(tmp_path: Path, monkeypatch) -> None:
    path = write_release(tmp_path / "release", (40,))
    ours, theirs = pty.openpty()
    monkeypatch.setattr(bench, "SHOWN_EVERY_S", 0.01)
    with os.fdopen(theirs, "w") as terminal, redirect_stderr(terminal), redirect_stdout(io.StringIO()) as out:
        assert run(["loader", "bench", str(path), "--batch", "8", "--seconds", "0.1"]) == 0
    lines = read_to_the_end(ours).decode().split("\r\x1b[K")
    assert len(lines) > 2 and lines[0] == lines[-1] == ""
    assert all(
        re.fullmatch(r"epoch \d+  [\d,]+ samples/s, [\d.]+ [kM]?B/s  [\d,]+ stalls", line) for line in lines[1:-1]
    )
    assert "samples/s" in out.getvalue()

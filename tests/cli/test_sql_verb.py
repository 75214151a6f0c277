"""``warehouse sql``: one query or a script, read-only, in every format, streamed; a closed pipe is quiet."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

SQL = [sys.executable, "-m", "warehouse.cli", "sql"]


def test_a_table_shows_null_aligns_numbers_and_counts_its_rows(inside, warehouse):
    ended = warehouse("sql", "SELECT * FROM (VALUES (1, 'a'), (200, NULL)) AS t (n, word)")
    assert ended.out == "  n  word\n───  ────\n  1  a\n200  NULL\n(2 rows)\n"


def test_a_table_shows_100_rows_and_says_that_there_are_more(inside, warehouse):
    ended = warehouse("sql", "FROM marts.numbers")
    assert len(ended.out.splitlines()) == 2 + 100 + 1
    assert "first 100 rows; --limit-less" in ended.out.splitlines()[-1]


def test_limit_less_shows_every_row(inside, warehouse):
    lines = warehouse("sql", "FROM marts.numbers ORDER BY n", "--limit-less").out.splitlines()
    assert len(lines) == 2 + 1000 + 1
    assert lines[-2:] == ["999  row 999", "(1,000 rows)"]


def test_the_repository_is_there_at_the_versions_that_the_snapshot_pins(inside, warehouse):
    ended = warehouse("sql", "SELECT count(*) AS n FROM repository.documents", "--json")
    assert json.loads(ended.out) == [{"n": 5}]


def test_json_is_one_document_also_where_there_is_no_row(inside, warehouse):
    assert json.loads(warehouse("sql", "FROM marts.numbers WHERE n < 0", "--json").out) == []
    assert len(json.loads(warehouse("sql", "FROM marts.numbers", "--json").out)) == 1000


def test_the_ending_of_out_names_the_format(inside, tmp_path, warehouse):
    for ending, read in (("csv", pl.read_csv), ("parquet", pl.read_parquet), ("arrow", pl.read_ipc)):
        path = tmp_path / f"numbers.{ending}"
        assert warehouse("sql", "FROM marts.numbers ORDER BY n", "--out", str(path)).out == ""
        assert read(path)["n"].to_list() == list(range(1000))
    assert len(list(tmp_path.iterdir())) == 3


def test_an_error_in_the_middle_leaves_no_file(inside, tmp_path, warehouse):
    late = "SELECT if(range = 90000, error('late'), range) AS n FROM range(100000)"
    ended = warehouse("sql", late, "--out", str(tmp_path / "x.csv"))
    assert (ended.status, "late" in ended.err, len(ended.err.splitlines())) == (2, True, 1)
    assert list(tmp_path.iterdir()) == []


def test_without_a_query_and_a_terminal_sql_is_read_from_stdin(inside, monkeypatch, warehouse):
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 1 AS a; -- one\nSELECT 2 AS b;\n"))
    assert warehouse("sql").out == "a\n─\n1\n(1 row)\nb\n─\n2\n(1 row)\n"


def test_explain_draws_its_plan(inside, warehouse):
    assert "│" in warehouse("sql", "EXPLAIN SELECT 1").out.splitlines()[1]


def test_two_columns_of_one_name_are_refused_where_one_would_be_lost(inside, warehouse):
    assert warehouse("sql", "SELECT 1 AS a, 2 AS a", "--json").status == 2
    assert warehouse("sql", "SELECT 1 AS a, 2 AS a").out.splitlines()[0] == "a  a"


@pytest.mark.parametrize("form", ["table", "csv", "jsonl", "arrow"])
def test_a_closed_pipe_is_quiet(form, inside):
    query = f"{' '.join(SQL)} 'FROM range(3000000)' --format {form} --limit-less | head -c 50 | wc -c"
    ended = subprocess.run(["bash", "-c", query], capture_output=True, text=True, check=True, timeout=60)  # noqa: S607
    assert (ended.stdout.strip(), ended.stderr) == ("50", "")


def cpu_seconds(pid: int) -> float:
    """User and system seconds of a process so far."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def test_ctrl_c_is_one_line_and_status_130(inside, tmp_path):
    endless = "SELECT sum(a.range * b.range) AS s FROM range(10000000) a, range(10000000) b"
    out = tmp_path / "x.csv"
    process = subprocess.Popen([*SQL, endless, "--out", str(out)], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and cpu_seconds(process.pid) < 2:  # start-up takes 0.5
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, len(err.strip().splitlines())) == (130, 1), err
    assert list(tmp_path.iterdir()) == []


def test_a_million_rows_stream_in_bounded_memory(inside, tmp_path):
    probe = (
        "import pathlib, sys; from warehouse.cli.app import run; "
        "status = run(['sql', \"SELECT range, repeat('x', 500) AS text FROM range(1000000)\", '--out', sys.argv[1]]); "
        "lines = pathlib.Path('/proc/self/status').read_text().splitlines(); "
        "print(status, next(line.split()[1] for line in lines if line.startswith('VmHWM')))"
    )
    path = tmp_path / "x.csv"
    ended = subprocess.run([sys.executable, "-c", probe, str(path)], capture_output=True, text=True, check=True)
    status, peak_kb = map(int, ended.stdout.split())
    assert (status, path.stat().st_size > 500_000_000) == (0, True)
    assert peak_kb < 300_000


def test_a_full_disk_is_one_line_and_leaves_no_file(inside, warehouse):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [*SQL, "FROM range(100000)", "--format", "csv"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (ended.returncode, ended.stderr.count("\n"), "disk is full" in ended.stderr) == (1, 1, True)

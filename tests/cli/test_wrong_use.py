"""Whatever is typed wrongly gives one line that says so, exit status 2 and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

WRONG = [
    ["nonsense"],
    ["statsu"],
    ["--nonsense"],
    ["--project"],
    ["--project", "nowhere", "status"],
    ["--env", "Not An Environment", "status"],
    ["status", "--env", "../up"],
    ["status", "extra"],
    ["status", "--jsn"],
    ["init", "a", "b"],
    ["init", "notes.jsonl"],
    ["init", "notes.jsonl/below"],
    ["init", "."],
    ["init", "--force"],
    ["ingest"],
    ["ingest", "missing.jsonl"],
    ["ingest", "missing-*.jsonl"],
    ["ingest", "postgresql://h/d"],
    ["ingest", "notes.jsonl", "--as", "Not Snake"],
    ["ingest", "notes.jsonl", "--as", "../up"],
    ["ingest", "notes.jsonl", "--as", "9lives"],
    ["ingest", "notes.jsonl", "--reader", "jsnl"],
    ["ingest", "notes.jsonl", "--reader"],
    ["ingest", "notes.jsonl", "--as", "fresh", "--table", "Not Snake"],
    ["ingest", "notes.jsonl", "--as", "benchmark:Not Snake"],
    ["ingest", "notes.jsonl", "--as", "benchmark:fresh", "--table", "other"],
    ["ingest", "notes.jsonl", "--as", "benchmark:notes"],
    ["ingest", "notes.jsonl", "--as", "fresh", "--table", "runs"],
    ["ingest", "unknown.bin"],
    ["ingest", ""],
    ["ingest", "${HOME}"],
    ["ingest", "cut.zip"],
    ["ingest", "notes.jsonl", "--as", "notes", "--table", "elsewhere"],
    ["ingest", "notes.jsonl", "--as", "notes", "--licence", "MIT"],
    ["run", "nonsense"],
    ["run", "nonsense+"],
    ["run", "--reraed"],
    ["run", "--env", "..", "nonsense"],
    ["export"],
    ["export", "nonsense"],
    ["export", "../up"],
    ["export", "nonsense", "--processes", "0"],
    ["maintain", "nowhere"],
    ["takedown"],
    ["takedown", "--why", "asked"],
    ["takedown", "--uri", "a", "--doc", "b"],
    ["takedown", "--uri", "nowhere", "--dry-run"],
    ["takedown", "--domain", "nowhere.example.org"],
    ["ui", "--port", "port"],
    ["ui", "--port", "0"],
    ["ui", "--host", "not a host"],
    ["runway", "--synthetic-share", "0.31"],
    ["runway", "--parameters", "many"],
    ["runway", "--horizon", "99"],
    ["runway", "--picture", "nowhere/world.png"],
    ["runway", "--own-picture", "own.png"],
    ["whatif"],
    ["whatif", "tiyn"],
    ["whatif", "tiny", "--set", "few"],
    ["whatif", "tiny", "--set", "=3"],
    ["whatif", "tiny", "--set", "few_words=3"],
    ["whatif", "tiny", "--sample", "many"],
    ["explain"],
    ["explain", "a", "--reason", "few_words"],
    ["explain", "--reason", "fw_words"],
    ["explain", "--reason", "few_words", "--rules", "tiyn"],
    ["explain", "--reason", "few_words", "--source", "nowhere"],
    ["explain", "--reason", "few_words", "--sample", "0"],
    ["sql", "SELECT", "extra"],
    ["sql", "SELEC 1"],
    ["sql", "SELECT * FROM nowhere"],
    ["sql", "SELECT 1 +"],
    ["sql", ""],
    ["sql", "-- only a comment"],
    ["sql", "SELECT 1; SELECT 2", "--format", "csv"],
    ["sql", "SELECT 1", "--format", "xml"],
    ["sql", "SELECT 1", "--json", "--format", "csv"],
    ["sql", "SELECT 1", "--out", "no/such/folder.csv"],
    ["sql", "SELECT 1", "--out", "x.unknown"],
    ["sql", "SELECT 1", "--out", ".", "--format", "csv"],
    ["sql", "CREATE TABLE t (a INT)"],
    ["sql", "COPY (SELECT 1) TO 'stolen.csv'"],
    ["sql", "SET memory_limit = '1GB'"],
    ["sql", "SELECT * FROM read_text('/etc/hostname')"],
    ["sql", "SELECT 'a'::INT"],
    ["sql", "SELECT error('spoken\nin lines')"],
    ["sql", "SELECT INTERVAL 1 DAY", "--format", "parquet"],
    ["sql", "SELECT 1", "--env", "staging"],
    ["explain"],
    ["explain", "nowhere"],
    ["explain", "abc"],
    ["explain", "a", "--rules", "nonsense"],
    ["explain", "b", "extra"],
    ["features", "nonsense"],
    ["features", "--jsn"],
    ["loader"],
    ["loader", "nonsense"],
    ["loader", "bench"],
    ["loader", "bench", "nonsense@1"],
    ["loader", "bench", "mds:nonsense"],
    ["loader", "bench", "mds:s3://bucket/data"],
    ["loader", "bench", "nonsense", "--seconds", "0"],
    ["loader", "bench", "nonsense", "--batch", "0"],
    ["loader", "bench", "nonsense", "--threads", "-1"],
    ["rejects", "nonsense"],
    ["rejects", "--limit", "-1"],
    ["rejects", "--limit", "many"],
    ["synth"],
    ["synth", "nonsense"],
    ["synth", "fit"],
    ["synth", "fit", "nonsense", "--out", "x.sketch"],
    ["synth", "fit", "missing.parquet", "--out", "x.sketch"],
    ["synth", "fit", "documents", "--out", "x.sketch"],
    ["synth", "fit", "notes.jsonl", "--out", "x.sketch"],
    ["synth", "fit", "cut.zip", "--out", "x.sketch"],
    ["synth", "fit", "bad.parquet", "--out", "x.sketch"],
    ["synth", "fit", "missing.csv", "--out", "x.sketch", "--rounds", "3"],
    ["synth", "merge", "--out", "x.sketch"],
    ["synth", "merge", "missing.sketch", "--out", "x.sketch"],
    ["synth", "sample", "missing.sketch", "--rows", "5", "--out", "x.parquet"],
    ["synth", "sample", "missing.sketch", "--rows", "0", "--out", "x.parquet"],
    ["synth", "audit", "extra"],
    ["verify"],
    ["verify", "nonsense"],
    ["verify", "nonsense@1"],
    ["verify", "nonsense@x"],
    ["verify", "../../etc"],
    ["verify", "nonsense", "--key"],
    ["pull"],
    ["pull", "nonsense"],
    ["pull", "nonsense", "to"],
    ["pull", "nonsense@x", "to"],
    ["pull", "./nonsense", "to"],
    ["pull", "channel:nonsense", "to"],
    ["pull", "ftp://nonsense/1", "to"],
    ["pull", "http://non sense/1", "to"],
    ["pull", "./nonsense", "to", "--cache", "many"],
    ["pull", "./nonsense", "to", "--rank", "-1"],
    ["pull", "./nonsense", "to", "--world", "0"],
    ["trace"],
    ["trace", "nonsense"],
    ["trace", "nonsense", "one"],
    ["trace", "nonsense", "0"],
    ["trace", "nonsense", "0", "-5"],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_use_is_one_line_and_status_2(arguments, inside, warehouse):
    (inside / "unknown.bin").write_bytes(b"\x00\x01\x02")
    (inside / "bad.parquet").write_bytes(b"PAR1 and no more")
    (inside / "cut.zip").write_bytes(b"PK\x03\x04" + bytes(40))
    recipes = sorted(path.name for path in inside.rglob("recipes/**/*.yaml"))
    ended = warehouse(*arguments)
    assert (ended.status, len(ended.err.splitlines())) == (2, 1), ended.err
    assert ended.err.startswith("warehouse")
    assert "Traceback" not in ended.err + ended.out
    assert sorted(path.name for path in inside.rglob("recipes/**/*.yaml")) == recipes


def test_a_verb_outside_a_project_says_how_to_make_one(tmp_path: Path, monkeypatch, warehouse):
    monkeypatch.chdir(tmp_path)
    ended = warehouse("status")
    assert ended.status == 2
    assert "warehouse init" in ended.err


@pytest.mark.parametrize(
    ("arguments", "match"),
    [(["statsu"], "status"), (["sql", "--fromat"], "--format"), (["sql", "SELECT * FROM marts.nubers"], "numbers")],
)
def test_a_near_miss_is_offered_its_match(arguments, match, inside, warehouse):
    assert match in warehouse(*arguments).err.partition("Do:")[2] or match in warehouse(*arguments).err


def test_before_anything_is_published_sql_says_to_run(tmp_path: Path, warehouse):
    warehouse("init", str(tmp_path / "fresh"))
    ended = warehouse("sql", "SELECT 1", "--project", str(tmp_path / "fresh"))
    assert (ended.status, "warehouse run" in ended.err) == (2, True)


def test_nothing_typed_is_the_help(warehouse):
    ended = warehouse()
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("Usage: warehouse")


def test_a_variable_that_is_set_twice_is_refused(inside, warehouse):
    ended = warehouse("whatif", "tiny", "--set", "few=1", "--set", "few=2")
    assert (ended.status, ended.err) == (2, "warehouse whatif: few is set twice. Allowed: one value a variable.\n")

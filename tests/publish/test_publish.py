"""Generations: whole or not there, numbered once, kept to the last five, and true to what they were made from."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from publishing import ENV, Root, die, make, moment, seen

from warehouse import mirror, query
from warehouse.contracts import Check
from warehouse.errors import CheckFailed, FormatError, NotFound, StorageFull, UsageError
from warehouse.publish import KEEP, building, checks, connect_current, current, generations, publish

HERE = Path(__file__).with_name("publishing.py")


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed(root: Root, step: int) -> bool:
    """Whether a process that publishes was killed before its ``step``-th change, or else had none so late."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["publishing"])
    process = context.Process(target=die, args=(root, step, dict(os.environ)))
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def finished(process: subprocess.Popen[str]) -> list[int]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return [int(word) for word in out.split()]


def leftovers(root: Root) -> set[str]:
    names = {path.name for path in (root.published / ENV).iterdir()}
    return names - {each.path.name for each in generations(root.published, ENV)} - {"current", ".lock"}


def check(success: bool) -> Check:
    return Check(
        "s", "x.a", "expect_column_values_to_be_unique", "value", {"column": "value"}, success, 9, 2, samples=(1,)
    )


def test_a_published_file_says_what_it_was_made_from(root: Root) -> None:
    done = make(root, 1, checks=[check(True)])
    with connect_current(root.published, ENV) as con:
        snapshot = query.fetch_all(con, "SELECT n, env, created_at, run_id FROM meta.snapshot")
        inputs = query.fetch_all(con, "SELECT table_name, version, rows, files FROM meta.inputs ORDER BY 1")
        models = query.fetch_all(con, "SELECT name, kind, fingerprint, rows, description, skipped FROM meta.models")
        assert checks(con) == [check(True)]
    assert done.path == root.published / ENV / "1.duckdb"
    assert snapshot == [(1, ENV, moment(), "run")]
    assert inputs == [("none", 0, 0, []), ("t", 7, 3, ["repository/t/part.parquet"])]
    assert models == [("x.a", "table", "f" * 16, 20_000, "values", None)]
    assert leftovers(root) == set()


def test_the_repository_is_read_at_the_pinned_files_and_views_obey_variables(root: Root) -> None:
    make(root, 1)
    with connect_current(root.published, ENV) as con:
        assert query.fetch_all(con, "SELECT a FROM repository.t ORDER BY a") == [(1,), (2,), (3,)]
        assert query.fetch_all(con, "SELECT a FROM repository.none") == []
        assert query.fetch_all(con, "SELECT count(*) FROM x.v") == [(2,)]
        con.execute("SET VARIABLE least = 3")
        assert query.fetch_all(con, "SELECT count(*) FROM x.v") == [(1,)]


def test_a_root_that_was_moved_still_reads(root: Root, tmp_path: Path) -> None:
    make(root, 1)
    shutil.move(root.folder, tmp_path / "elsewhere")
    with connect_current(tmp_path / "elsewhere" / "published", ENV) as con:
        assert query.fetch_all(con, "SELECT sum(a) FROM repository.t") == [(6,)]


def test_a_failed_check_publishes_nothing_and_the_last_good_generation_stays(root: Root) -> None:
    make(root, 1)
    with pytest.raises(
        CheckFailed, match=r"1 checks failed: x\.a: .*unique of value \(2 unexpected, such as 1\)"
    ) as refused:
        make(root, 2, checks=[check(True), check(False)])
    assert refused.value.exit_status == 1
    assert current(root.published, ENV).n == 1
    with connect_current(root.published, ENV) as con:
        assert seen(con)[:2] == (1, 1)


def test_the_last_generations_are_kept_and_an_open_reader_outlives_its_file(root: Root) -> None:
    make(root, 1)
    with connect_current(root.published, ENV) as con:
        for value in range(2, KEEP + 3):
            make(root, value)
        assert not (root.published / ENV / "1.duckdb").exists()
        assert seen(con)[:2] == (1, 1)
    assert [each.n for each in generations(root.published, ENV)] == list(range(3, KEEP + 3))
    assert leftovers(root) == set()


def test_nothing_published_says_what_to_do_and_what_there_is(root: Root) -> None:
    with pytest.raises(NotFound, match="warehouse run"):
        connect_current(root.published, ENV)
    make(root, 1)
    with pytest.raises(NotFound, match=r"nothing is published in 'staging'\. Allowed: environments prod"):
        current(root.published, "staging")
    with pytest.raises(UsageError, match="no environment"):
        current(root.published, "../prod")


def test_a_current_that_names_nothing_or_no_database_is_a_clear_error(root: Root) -> None:
    done = make(root, 1)
    done.path.write_bytes(b"not a database" * 1000)
    mirror.send(done.path)
    with pytest.raises(FormatError, match=r"1\.duckdb cannot be opened"):
        connect_current(root.published, ENV)
    mirror.remove(done.path)
    with pytest.raises(NotFound, match=r"names '1\.duckdb'"):
        connect_current(root.published, ENV)


def test_readers_survive_twenty_publishes_and_see_no_torn_result(root: Root) -> None:
    make(root, 1)
    reader = start("read", root.folder, 21)
    publisher = start("publish", root.folder, 20)
    assert finished(publisher) == list(range(2, 22))
    times, *values = finished(reader)
    assert times > 20
    assert len(values) > 3
    assert set(values) <= set(range(1, 22))


def test_two_publishers_at_once_never_share_a_number(root: Root) -> None:
    both = [start("publish", root.folder, 6) for _ in range(2)]
    numbers = sorted(finished(both[0]) + finished(both[1]))
    assert numbers == list(range(1, 13))
    assert current(root.published, ENV).n == 12
    assert leftovers(root) == set()


def test_a_publisher_killed_before_any_step_leaves_the_last_current_and_the_next_cleans_up(root: Root) -> None:
    make(root, 1)
    outcomes = list[int]()
    while killed(root, len(outcomes) + 1):
        n = current(root.published, ENV).n
        with connect_current(root.published, ENV) as con:
            assert seen(con)[:2] == (n, n)
        assert [each.n for each in generations(root.published, ENV)] == [*range(1, n + 1)]
        outcomes.append(n)
        mirror.remove_below(root.published)
        shutil.rmtree(root.published)
        make(root, 1)
    assert len(outcomes) > 10
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {1, 2}


def test_what_a_killed_publisher_left_is_removed_by_the_next(root: Root) -> None:
    make(root, 1)
    assert all(killed(root, step) for step in (1, 4, 6, 8))
    assert leftovers(root) != set()
    n = make(root, 3).n
    assert leftovers(root) == set()
    assert current(root.published, ENV).n == n
    with connect_current(root.published, ENV) as con:
        assert seen(con)[:2] == (3, 3)


def test_the_building_file_of_a_living_process_is_left_alone(root: Root) -> None:
    mine = building(root.published, ENV)
    mine.write_bytes(b"")
    dead = mine.with_name(f".building-{os.getpid()}-1x00.duckdb")
    dead.write_bytes(b"")
    building(root.published, ENV)
    assert (mine.exists(), dead.exists()) == (True, False)


def test_a_full_disk_is_one_clear_error_and_nothing_is_switched(root: Root) -> None:
    make(root, 1)
    path = building(root.published, ENV)
    with query.connect(path) as con:
        con.execute("CREATE TABLE a AS SELECT 1 AS a")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
    try:
        with pytest.raises(StorageFull, match="no space left"):
            publish(root.published, ENV, path, inputs=[], checks=[], models=[], created_at=moment(), run_id="full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert current(root.published, ENV).n == 1
    assert leftovers(root) == set()

"""A writer killed at any point leaves the last commit readable; the next run completes it and leaves no file behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import killed_writer
import pytest
from killing import with_tests
from scenes import facts, leftovers, stored

from warehouse.errors import Busy
from warehouse.repository import Repository, ingestion, parts

HERE = Path(__file__).parent
WIDENED_ONLY = ("while_files_are_widened", "between_widened_files_and_commit")
TYPED_ONLY = {"between_new_column_and_its_rows", *WIDENED_ONLY}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """``killed_writer.run`` sets these for its own process; here they must not outlive the test."""
    monkeypatch.setattr(parts, "BATCH_BYTES", parts.BATCH_BYTES)
    monkeypatch.setattr(ingestion, "COMMIT_OBJECTS", ingestion.COMMIT_OBJECTS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    """The rows of runs that nobody killed."""
    found = {}
    for table in ("documents", "typed", "widened"):
        root = tmp_path_factory.mktemp(table) / "root"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parts, "BATCH_BYTES", parts.BATCH_BYTES)
            patch.setattr(ingestion, "COMMIT_OBJECTS", ingestion.COMMIT_OBJECTS)
            killed_writer.run(root, table)
        found[table] = [stored(Repository(root), name) for name in (table, "rejects")]
    return found


CASES = [
    *(("documents", point) for point in killed_writer.POINTS if point not in TYPED_ONLY),
    *(("typed", point) for point in ("between_new_column_and_its_rows", "inside_parquet_write")),
    *(("widened", point) for point in (*WIDENED_ONLY, "after_commit")),
]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """A function from a case to a root of a writer that was killed there; of two cases there are two."""
    cases = [*CASES, ("documents", "inside_parquet_footer"), ("documents", "in_archive_copy")]
    given = [(str(tmp_path_factory.mktemp("killed") / "root"), *case) for case in cases]
    script = [sys.executable, str(HERE / "killed_writer.py"), *(text for each in given for text in each)]
    ended = subprocess.run(script, check=True, timeout=200, stdout=subprocess.PIPE, text=True, env=with_tests())
    assert ended.stdout.split() == [str(-signal.SIGKILL.value)] * len(given)
    left = {case: [Path(root) for root, *of in given if tuple(of) == case] for case in CASES}
    return lambda table, point: left[table, point].pop()


@pytest.mark.parametrize(("table", "point"), CASES)
def test_a_run_killed_anywhere_is_completed_by_the_next(
    killed: Callable[[str, str], Path], whole: dict[str, list[object]], table: str, point: str
) -> None:
    root = killed(table, point)
    repository = Repository(root)
    before = stored(repository, table) if table in repository.tables() else []
    assert len(before) in {0, 300, 600}
    assert all(row in whole[table][0] or point == "between_new_column_and_its_rows" for row in before)
    assert table != "widened" or {type(row["n"]) for row in before} <= {int if len(before) == 300 else float}
    killed_writer.run(root, table)
    assert [stored(repository, name) for name in (table, "rejects")] == whole[table]
    assert sorted(fact.uri for fact in facts(repository, table)) == ["0", "1", "2", "3"]
    assert leftovers(root) == []


def test_files_of_a_killed_writer_are_there_before_and_gone_after_the_next_write(
    killed: Callable[[str, str], Path],
) -> None:
    root = killed("documents", "inside_parquet_footer")
    left = leftovers(root)
    assert [name for name in left if "/part-" in name]
    assert [name for name in left if "/_staging/" in name]
    with Repository(root).ingestion(table="documents", source="s", run_id="r"):
        assert leftovers(root) == []


def test_a_killed_archive_copy_is_there_before_and_gone_after_the_next_ingestion(
    killed: Callable[[str, str], Path],
) -> None:
    root = killed("documents", "in_archive_copy")
    assert [name for name in leftovers(root) if name.startswith("archive/tmp/")]
    with Repository(root).ingestion(table="documents", source="s", run_id="r"):
        assert leftovers(root) == []


def test_a_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from warehouse.repository import Repository\n"
        "with Repository(Path(sys.argv[1])).ingestion(table='documents', source='s', run_id='r'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(Busy, match=rf"table documents is being written by process {holder.pid} \(waited 0.1 s\)"),
            Repository(tmp_path, wait_s=0.1).ingestion(table="documents", source="t", run_id="r"),
        ):
            raise AssertionError
        holder.kill()
    with Repository(tmp_path, wait_s=1).ingestion(table="documents", source="t", run_id="r") as free:
        assert free.finish() == []

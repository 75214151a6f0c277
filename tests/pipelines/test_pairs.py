"""Comparing documents ends with the same pairs wherever it was cut off, and compares nothing twice."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.pairs import pair
from warehouse import curation
from warehouse.contracts import DOCUMENTS, doc_id
from warehouse.errors import Busy
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository, delta

ROWS = "SELECT a, b, jaccard FROM repository.pairs ORDER BY ALL"


def text(group: int, version: int) -> str:
    """One of a group of texts that differ in one word of 80."""
    return " ".join(f"w{group}x{number}" if number != version else "changed" for number in range(80))


def stored(root: Path, groups: range) -> Repository:
    """A repository with four versions of a text in each group, measured and not compared."""
    repository = Repository(root)
    texts = {doc_id("s", f"{group}/{at}", "0", ""): text(group, at) for group in groups for at in range(4)}
    rows = [
        {"doc_id": name, "source": "s", "uri": name, "record": "0", "known_at": 0, "text": value}
        for name, value in texts.items()
    ]
    documents = pa.RecordBatch.from_pylist(rows, DOCUMENTS)
    batch = documents.select(["doc_id", "text"])
    for table, found in {
        "documents": documents,
        "signals": curation.measure(batch),
        "minhash": curation.minhash(batch),
    }.items():
        repository.append(table, [found], schema=found.schema, source="s", run_id="r")
    return repository


def rows(repository: Repository) -> list[tuple[Any, ...]]:
    with connect() as con:
        attach_repository(con, [repository.snapshot("pairs")])
        return fetch_all(con, ROWS)


class Cut(BaseException):
    """What ends a run in the middle of it."""


def cut_at(monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool) -> None:
    """Make the ``number``-th commit fail, before or after it is done."""
    real, left = delta.commit, [number]

    def commit(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and not after:
            raise Cut
        done = real(*arguments, **options)
        if left[0] == 0:
            raise Cut
        return done

    monkeypatch.setattr(delta, "commit", commit)


def test_cut_off_at_any_commit_the_next_run_ends_with_the_same_pairs(
    memory_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pristine = stored(memory_folder / "pristine", range(3))
    whole = Repository(shutil.copytree(pristine.root, memory_folder / "whole"))
    pair(whole, run_id="r", read_bytes=1500)
    commits = whole.snapshot("pairs").version + 1
    assert commits >= 3
    assert len(rows(whole)) == 12 + 3 * 6
    for number in range(1, commits + 1):
        for after in (False, True):
            repository = Repository(shutil.copytree(pristine.root, memory_folder / f"{number}{after}"))
            with monkeypatch.context() as patched, pytest.raises(Cut):
                cut_at(patched, number, after=after)
                pair(repository, run_id="r", read_bytes=1500)
            pair(repository, run_id="r", read_bytes=1500)
            assert rows(repository) == rows(whole), (number, after)


def test_a_second_run_commits_nothing_and_a_new_batch_only_what_it_adds(memory_folder: Path) -> None:
    repository = stored(memory_folder / "root", range(2))
    assert pair(repository, run_id="r")[:2] == (8 + 2 * 6, 2 * 6)
    version = repository.snapshot("pairs").version
    assert pair(repository, run_id="r") == (0, 0, 0)
    assert repository.snapshot("pairs").version == version
    stored(memory_folder / "root", range(2, 3))
    assert pair(repository, run_id="r")[:2] == (4 + 6, 6)


def test_without_documents_the_table_is_made_empty(memory_folder: Path) -> None:
    repository = stored(memory_folder / "none", range(0))
    assert pair(repository, run_id="r") == (0, 0, 0)
    assert repository.snapshot("pairs").rows == 0


def test_two_at_once_are_told_apart(memory_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = stored(memory_folder / "raced", range(2))
    real = curation.pairs

    def beaten(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(curation, "pairs", real)
        pair(repository, run_id="other")
        return real(*arguments, **options)

    monkeypatch.setattr(curation, "pairs", beaten)
    with pytest.raises(Busy):
        pair(repository, run_id="r")
    assert len(rows(repository)) == 8 + 2 * 6

"""A list searches each document once, and all of them again when a file has changed; one taken away finds nothing."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import test_pairs

from pipelines.measures import measure, measured_tables
from warehouse.contracts import DOCUMENTS, doc_id
from warehouse.curation import SIGNALS, ListRecipe, load_list
from warehouse.errors import RecipeError
from warehouse.models import load_models
from warehouse.project import builtin_folder
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository

FILES = {
    "recipes/lists/rude.yaml": "kind: words\nfiles: {en: en.txt}\n",
    "recipes/lists/sites.yaml": "kind: urls\ndomains: domains.txt\n",
    "en.txt": "blurp\n",
    "domains.txt": "s3.example\n",
}
TEXT = ["nothing here", "a blurp and a blurp", "fizz"]
VIEW = load_models([builtin_folder() / "sql/staging/current_lists.sql"])[0].sql


def arrive(repository: Repository, numbers: range) -> None:
    rows = [
        {"doc_id": doc_id("s", str(at), "0", ""), "source": "s", "uri": f"https://s{at}.example/", "record": "0"}
        | {"known_at": 0, "text": TEXT[at % 3], "version": 1, "words_mode": "unicode", "language": "en"}
        for at in numbers
    ]
    for table, schema in (("documents", DOCUMENTS), ("signals", SIGNALS)):
        batch = pa.RecordBatch.from_pylist(rows, schema)
        repository.append(table, [batch], schema=schema, source="s", run_id=f"{table}{numbers}")


def searched(repository: Repository, *names: str, commit_bytes: int = 1 << 20) -> tuple[int, int]:
    folder = repository.root.parent / f"{repository.root.name}.files"
    recipes = [load_list(folder / f"recipes/lists/{name}.yaml", folder) for name in names]
    return search(repository, recipes, commit_bytes=commit_bytes)


def search(repository: Repository, recipes: Sequence[ListRecipe], *, commit_bytes: int = 1 << 20) -> tuple[int, int]:
    """Rows added, documents searched."""
    wanted = [each for each in measured_tables("unicode", recipes) if each.table == "lists"]
    added = measure(repository, wanted, run_id="r", memory_limit="1GB", commit_bytes=commit_bytes)["lists"]
    return added.rows, added.compared


def write(repository: Repository, **files: str) -> None:
    folder = repository.root.parent / f"{repository.root.name}.files"
    for name, content in FILES.items() if not files else ((f"{name}.txt", text) for name, text in files.items()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def current(repository: Repository, columns: str = "uri, list, matches") -> list[tuple[Any, ...]]:
    with connect() as con:
        attach_repository(con, [repository.snapshot("lists"), repository.snapshot("documents")])
        join = f"SELECT {columns} FROM ({VIEW}) JOIN repository.documents USING (doc_id)"
        return fetch_all(con, f"FROM ({join}) WHERE matches > 0 ORDER BY ALL")


@pytest.fixture
def repository(memory_folder: Path, request: pytest.FixtureRequest) -> Repository:
    made = Repository(memory_folder / request.node.name)
    write(made)
    return made


def test_what_is_new_is_searched_once_and_a_changed_file_searches_everything(repository: Repository) -> None:
    arrive(repository, range(4))
    assert searched(repository, "rude", "sites") == (8, 4)
    blurp = [("https://s1.example/", "rude", 2)]
    assert current(repository) == [*blurp, ("https://s3.example/", "sites", 1)]
    version = repository.snapshot("lists").version
    assert searched(repository, "rude", "sites") == (0, 0) and repository.snapshot("lists").version == version
    arrive(repository, range(4, 6))
    assert searched(repository, "rude", "sites") == (4, 2)
    write(repository, en="fizz\nBLURP\n")
    assert searched(repository, "rude", "sites") == (6, 6)
    rude = [(f"https://s{at}.example/", "rude", 2 - (at % 3 == 2)) for at in (1, 2, 4, 5)]
    assert [row for row in current(repository) if row[1] == "rude"] == rude


def test_a_list_that_was_taken_away_finds_nothing_more_and_one_that_is_back_everything(
    repository: Repository,
) -> None:
    arrive(repository, range(4))
    searched(repository, "rude", "sites")
    assert searched(repository, "rude") == (1, 0) and [row[1] for row in current(repository)] == ["rude"]
    assert searched(repository, "rude") == (0, 0)
    assert searched(repository, "rude", "sites") == (4, 4)
    assert [row[1] for row in current(repository)] == ["rude", "sites"]


def test_cut_off_at_any_commit_the_next_run_ends_with_the_same_rows(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(repository, range(4))
    whole = Repository(shutil.copytree(repository.root, repository.root.with_name("uncut")))
    shutil.copytree(f"{repository.root}.files", f"{whole.root}.files")
    searched(whole, "rude", "sites", commit_bytes=1)
    with monkeypatch.context() as patched, pytest.raises(test_pairs.Cut):
        test_pairs.cut_at(patched, 1, after=True)
        searched(repository, "rude", "sites", commit_bytes=1)
    searched(repository, "rude", "sites")
    assert current(repository) == current(whole) and repository.snapshot("lists").rows == 8


def test_a_document_waits_until_its_language_is_known(repository: Repository) -> None:
    arrive(repository, range(2))
    shutil.rmtree(repository.root / "repository/signals")
    assert searched(repository, "rude", "sites") == (2, 2)
    arrive(repository, range(2, 4))
    assert searched(repository, "rude", "sites") == (4, 4)


def test_a_file_that_is_gone_when_it_is_read_is_told(repository: Repository) -> None:
    arrive(repository, range(1))
    folder = repository.root.parent / f"{repository.root.name}.files"
    recipe = load_list(folder / "recipes/lists/rude.yaml", folder)
    (folder / "en.txt").unlink()
    with pytest.raises(RecipeError, match=r"en.txt:1: cannot be read: No such file or directory"):
        search(repository, [recipe])

"""A project whose data root is a bucket: the whole route, and a second machine that has nothing but the recipes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.run import run_assets
from warehouse.answers.status import status
from warehouse.datasets import resolve, verify
from warehouse.errors import InputError
from warehouse.project import Project, load
from warehouse.publish import connect_current, current
from warehouse.query import fetch_all
from warehouse.repository import Repository

SQL = "SELECT source, rule_set, kept, reason, count(*) FROM curation.decisions GROUP BY ALL ORDER BY ALL"


@pytest.fixture
def url(s3: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place in a bucket, which is the data root from now on."""
    url = f"s3://{s3.made()}/warehouse"
    monkeypatch.setenv("WAREHOUSE_ROOT", url)
    monkeypatch.delenv("WAREHOUSE_STATE", raising=False)
    return url


def on_another_machine(project: Project, folder: Path) -> Project:
    """The project in a fresh clone."""
    return load(Path(shutil.copytree(project.folder, folder, ignore=shutil.ignore_patterns(".warehouse"))))


def decided(project: Project) -> list[tuple[Any, ...]]:
    with connect_current(project.published, "prod") as con:
        return fetch_all(con, SQL) + fetch_all(con, "SELECT uri, content_hash FROM repository.documents ORDER BY ALL")


def test_a_second_machine_sees_the_same_and_goes_on(
    url: str, make_project: Callable[[], Project], memory_folder: Path
) -> None:
    one = make_project()
    run_assets(one, ["sources/manual+", "sources/chips+"])
    other = on_another_machine(one, memory_folder / "other")
    assert status(other).root == url and not list(other.root.glob("archive/*/*"))
    assert status(other).tables == status(one).tables and current(other.published, "prod").n == 1
    assert decided(other) == decided(one)
    assert verify(resolve(other.datasets, "corpus")).id == verify(resolve(one.datasets, "corpus")).id
    held = Repository(one.root).snapshot("documents")
    run_assets(other, ["sources/manual"])
    assert Repository(one.root).snapshot("documents").version == held.version
    (other.folder / "data/manual-3.jsonl").write_text('{"name": "new", "body": "Words that nobody had before."}\n')
    run_assets(other, ["sources/manual+"])
    assert Repository(one.root).snapshot("documents").rows == held.rows + 1
    assert decided(one) == decided(other) and current(one.published, "prod").n == 2


def test_a_bucket_that_is_not_there_is_one_clear_error(
    make_project: Callable[[], Project], s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_ROOT", "s3://no-such-bucket/x")
    with pytest.raises(InputError, match=r"s3://no-such-bucket/x cannot be reached: no such bucket"):
        status(make_project())

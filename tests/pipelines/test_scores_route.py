"""A model is the same however documents came, stays until its recipe changes, and then scores all of them again."""

from __future__ import annotations

import json
import random
import shutil
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
import test_pairs

from pipelines.scores import Bound, Outcome, bind_score, score, score_assets, train
from warehouse.contracts import DOCUMENTS, content_hash, doc_id
from warehouse.curation import load_score
from warehouse.datasets import Basis, export, load_recipe
from warehouse.errors import CheckFailed, RecipeError
from warehouse.models import load_models
from warehouse.project import Project, builtin_folder, load, prepare
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DRAW = random.Random(4)
RECIPE = """\
kind: classifier
positive: SELECT doc_id FROM staging.current_documents WHERE source = 'good'
negative: |
  SELECT doc_id FROM repository.documents WHERE source = 'bad' -- a comment
bits: 10
held_out: 0.3
"""
ALIKE = RECIPE.replace("source = 'good'", "doc_id < '8'").replace("source = 'bad'", "doc_id >= '8'") + "min_auc: 1\n"
"""Two halves that nothing tells apart."""
DATASET = """\
select: {select}
splits: {{train: 0.5, validation: 0.5}}
tokenizer: {{train: {{vocab_size: 300, max_bytes: 20000}}}}
sequence_length: 64
"""
WRITTEN = {"repository.documents", "repository.signals"}
LOADED = load_models([builtin_folder() / f"sql/staging/current_{name}.sql" for name in ("documents", "scores")])


def text(source: str) -> str:
    low = {"good": 0, "bad": 20, "new": 10}[source]
    return " ".join(f"w{low + DRAW.randrange(40)}" for _ in range(30))


def document(source: str, number: int, body: str, *, synthetic: bool = False) -> dict[str, Any]:
    digest = content_hash(body)
    place = {"doc_id": doc_id(source, str(number), "0", digest), "source": source, "uri": f"{source}/{number}"}
    return {**place, "record": "0", "known_at": 0, "text": body, "content_hash": digest, "synthetic": synthetic}


ROWS = [document(source, at, text(source)) for at in range(40) for source in ("good", "bad")]


def project_of(folder: Path, *batches: list[dict[str, Any]]) -> Project:
    folder.mkdir()
    (folder / "warehouse.toml").write_text('name = "scored"\n')
    project = load(folder)
    prepare(project)
    for rows in batches:
        arrive(project, rows)
    return project


def arrive(project: Project, rows: list[dict[str, Any]]) -> None:
    batch = pa.RecordBatch.from_pylist(rows, DOCUMENTS)
    Repository(project.root).append("documents", [batch], schema=DOCUMENTS, source="s", run_id="r")


def bound(folder: Path, stated: str = RECIPE) -> Bound:
    (folder / "quality.yaml").write_text(stated)
    return bind_score(load_score(folder / "quality.yaml"), LOADED, WRITTEN)


def trained(project: Project, given: Bound) -> Outcome:
    return train(project, given, run_id="r", known_at=NOW)


def scored(project: Project, *, commit_bytes: int = 1 << 20) -> tuple[int, int, int]:
    added = score(Repository(project.root), ["quality"], run_id="r", memory_limit="1GB", commit_bytes=commit_bytes)
    return added.rows, added.compared, added.bytes


def rows(project: Project) -> list[tuple[Any, ...]]:
    with connect() as con:
        attach_repository(con, [Repository(project.root).snapshot("scores")])
        return fetch_all(con, "FROM repository.scores ORDER BY ALL")


def current(project: Project, columns: str) -> list[tuple[Any, ...]]:
    """staging.current_scores by these columns, with counts."""
    repository = Repository(project.root)
    with connect() as con:
        attach_repository(con, [repository.snapshot(table) for table in ("scores", "score_models")])
        con.execute(f"CREATE VIEW current AS {LOADED[-1].sql}")
        return fetch_all(con, f"SELECT {columns}, count(*) FROM current GROUP BY ALL ORDER BY ALL")


@pytest.fixture(scope="module")
def whole(memory_folder: Path) -> Project:
    """All documents at once, trained and scored."""
    project = project_of(memory_folder / "whole", ROWS)
    assert trained(project, bound(project.folder)).new
    assert scored(project)[:2] == (len(ROWS), len(ROWS))
    return project


def test_a_model_and_its_scores_are_the_same_in_whatever_batches_and_order_documents_came(
    whole: Project, memory_folder: Path
) -> None:
    mixed = random.Random(5).sample(ROWS, len(ROWS))
    copy = document("good", 900, str(ROWS[0]["text"]))
    parts = project_of(memory_folder / "parts", mixed[:7], mixed[7:50], [*mixed[50:], copy])
    made, first = trained(parts, bound(parts.folder)).row, trained(whole, bound(whole.folder)).row
    assert made["model"] == first["model"] and made["texts"] == first["texts"]
    assert made["documents"] + made["held_out"] == len(ROWS) and 0.9 < made["value"] <= 1
    assert json.loads(made["inputs"]) == {"documents": 2}
    scored(parts, commit_bytes=1)
    assert set(rows(whole)) < set(rows(parts)) and len(rows(parts)) == len(ROWS) + 1


def test_an_unchanged_model_scores_only_what_is_new_and_a_retrained_one_everything(
    whole: Project, memory_folder: Path
) -> None:
    project = replace(whole, folder=memory_folder, root=shutil.copytree(whole.root, memory_folder / "grown"))
    before = rows(project)
    assert not trained(project, bound(memory_folder)).new and scored(project) == (0, 0, 0)
    arrive(project, [document("new", at, text("new")) for at in range(5)] + [document("new", 9, " ... ")])
    assert not trained(project, bound(memory_folder)).new and scored(project)[:2] == (6, 6)
    assert set(before) < set(rows(project)) and [row[3] for row in rows(project)].count(None) == 1
    again = trained(project, bound(memory_folder, RECIPE + "round: 2\n"))
    assert again.new and again.row["version"] == 2 and scored(project)[1] == len(ROWS) + 6
    assert current(project, "version, release") == [(2, None, len(ROWS) + 6)]


def test_cut_off_at_any_commit_the_next_run_ends_with_the_same_scores(
    whole: Project, memory_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, after in ((1, False), (2, True)):
        project = project_of(memory_folder / f"cut{number}{after}", ROWS)
        with monkeypatch.context() as patched, pytest.raises(test_pairs.Cut):
            test_pairs.cut_at(patched, number, after=after)
            trained(project, bound(project.folder))
            scored(project, commit_bytes=1)
        trained(project, bound(project.folder))
        scored(project)
        assert rows(project) == rows(whole)
        assert Repository(project.root).snapshot("score_models").rows == 1


def test_synthetic_texts_and_held_out_sources_are_not_trained_on(memory_folder: Path) -> None:
    made_up = [document("good", 500 + at, text("good"), synthetic=True) for at in range(10)]
    elsewhere = [
        document(source, 700 + at, text(source)) | {"source": f"{source}_2"}
        for at in range(5)
        for source in ("good", "bad")
    ]
    project = project_of(memory_folder / "marked", [*ROWS, *made_up, *elsewhere])
    stated = RECIPE.replace("= 'good'", "LIKE 'good%'").replace("= 'bad'", "LIKE 'bad%'")
    stated = stated.replace("0.3", "[good_2, bad_2]")
    real = trained(project, bound(project.folder, stated)).row
    assert (real["documents"], real["held_out"]) == (80, 10)
    every = trained(project, bound(project.folder, stated + "synthetic: true\n")).row
    assert (every["documents"], every["held_out"]) == (90, 10)
    few = trained(project, bound(project.folder, stated + "max_documents: 3\n")).row
    assert (few["documents"], few["held_out"]) == (6, 6)
    small = trained(project, bound(project.folder, stated + "max_bytes: 1\n")).row
    assert (small["documents"], small["held_out"]) == (2, 2)


def test_a_model_that_tells_nothing_is_not_stored_and_one_without_texts_waits(memory_folder: Path) -> None:
    project = project_of(memory_folder / "mixed", ROWS)
    refused = trained(project, bound(project.folder, RECIPE.replace("'bad'", "'good' AND false")))
    assert refused.skipped == "negative has no text to train on"
    outcome = trained(project, bound(project.folder, ALIKE))
    assert not outcome.new and outcome.value < 1
    assert "score_models" not in Repository(project.root).tables() and scored(project) == (0, 0, 0)
    assert current(project, "name") == []
    with pytest.raises(CheckFailed, match="40 texts are positive and negative"):
        trained(project, bound(project.folder, RECIPE.replace("'bad'", "'good'")))


def test_the_check_warns_while_texts_are_missing_and_stops_the_run_for_a_model_beyond_its_limit(
    memory_folder: Path,
) -> None:
    project = project_of(memory_folder / "checked", ROWS[:1])

    def ran(stated: str) -> tuple[list[tuple[bool, str]], list[str]]:
        assets = score_assets(project, [bound(project.folder, stated)], defaultdict(list))
        done = dg.materialize(list(assets), raise_on_error=False)
        checks = [(each.passed, each.severity.value) for each in done.get_asset_check_evaluations()]
        return checks, [each.asset_key.path[-1] for each in done.get_asset_materialization_events()]

    assert ran(RECIPE) == ([(False, "WARN")], ["quality", "scores"])
    arrive(project, ROWS[1:])
    assert ran(ALIKE) == ([(False, "ERROR")], [])


def test_a_model_of_a_release_names_it_and_waits_while_it_is_not_there(memory_folder: Path) -> None:
    project = project_of(memory_folder / "released", ROWS)
    first = RECIPE.replace("staging.current_documents WHERE source = 'good'", "release.documents WHERE split = 'train'")
    stated = bound(project.folder, first + "release: good@1\n")
    assert trained(project, stated).skipped.startswith("no release 'good@1'")
    said = DATASET.format(select="SELECT doc_id FROM repository.documents WHERE source = 'good' AND uri < 'good/3'")
    (project.folder / "good.yaml").write_text(said)
    documents = Repository(project.root).snapshot("documents")
    with connect() as con:
        attach_repository(con, [documents])
        release = export(
            load_recipe(project.folder / "good.yaml"),
            Basis(con, {"documents": 0}, [], {}, project.datasets, NOW, "r"),
            snapshot_documents=documents,
        )
    row = trained(project, stated).row
    assert json.loads(row["inputs"]) == {"documents": 0, "good@1": release.id}
    scored(project)
    assert current(project, "version, release") == [(1, "good@1", len(ROWS))]
    older = trained(project, bound(project.folder, first + "release: gone@1\n"))
    assert older.skipped.endswith("; the older model 1 still scores") and not older.new
    released = sum(each["source"] == "good" and each["uri"] < "good/3" for each in ROWS)
    assert 40 < row["documents"] + row["held_out"] < 40 + released
    assert trained(project, stated).new is False
    with pytest.raises(RecipeError, match=r"quality.yaml:2: positive reads release.documents, and the recipe names no"):
        bound(project.folder, first)
    with pytest.raises(RecipeError, match=r"release is 'good'. Allowed: the name and version of a release"):
        bound(project.folder, first + "release: good\n")


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("SELECT doc_id FROM staging.current_scores WHERE score > 0.5", "positive reads scores, which are made of it"),
        ("SELECT doc_id FROM marts.nothing", "positive reads marts.nothing, which nothing here writes"),
    ],
)
def test_a_select_that_reads_scores_or_nothing_that_is_there_is_refused_at_its_line(
    select: str, said: str, tmp_path: Path
) -> None:
    stated = RECIPE.replace("SELECT doc_id FROM staging.current_documents WHERE source = 'good'", select)
    with pytest.raises(RecipeError) as caught:
        bound(tmp_path, stated)
    assert str(caught.value).startswith(f"{tmp_path / 'quality.yaml'}:2: {said}")


def test_a_select_that_duckdb_refuses_is_told_at_its_line(whole: Project, tmp_path: Path) -> None:
    stated = RECIPE.replace("SELECT doc_id FROM staging", "SELECT uri FROM staging") + "round: 7\n"
    with pytest.raises(RecipeError, match=r'quality.yaml:2: Binder Error: Referenced column "doc_id" not found'):
        trained(whole, bound(tmp_path, stated))

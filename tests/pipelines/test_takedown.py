"""Laws of taking down: nothing of it is left anywhere, nothing else is lost, a kill anywhere is completed."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import taken_project
from taken_project import BAD, GOOD, NEAR, exported, ids, make, run, take_down

from pipelines import takedown
from pipelines.definitions import build_definitions
from pipelines.run import run_assets
from warehouse import datasets, publish
from warehouse.answers import proof
from warehouse.answers import takedown as answers
from warehouse.answers.status import status
from warehouse.cli.app import run as warehouse
from warehouse.datasets import list_releases, read_manifest, rebuild, resolve, verify
from warehouse.errors import Busy, IntegrityError, NotFound, Revoked, UsageError
from warehouse.kernels.prints import Known, known
from warehouse.loader import Loader
from warehouse.project import Project, load
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository

PAGE = "http://bad.example.org/bad"
KEPT = ["Other.", GOOD]


@pytest.fixture(scope="module")
def pristine(memory_folder: Path) -> Path:
    return make(memory_folder / "pristine").folder


@pytest.fixture
def project(pristine: Path, memory_folder: Path, request: pytest.FixtureRequest) -> Project:
    """A copy of the project: nothing that it stored names its place."""
    return load(Path(shutil.copytree(pristine, memory_folder / f"copy-{abs(hash(request.node.name))}")))


def reach(project: Project, asked: str, value: str) -> answers.Reach:
    return takedown.reached(project, asked, value, short="keep")


def marks(project: Project) -> Known:
    path = project.folder / "prints"
    found = answers.reach(project, "uri", PAGE, marked=path, made_of={}, short="keep")
    return known(np.fromfile(path, np.int64), found.contents)


def places(found: list[proof.Left], below: Path) -> set[str]:
    return {str(Path(each.path).relative_to(below)) for each in found}


def test_a_takedown_reaches_versions_copies_near_duplicates_objects_and_releases(project: Project) -> None:
    found = reach(project, "uri", PAGE)
    texts = ids(project)
    assert sorted((each.why, texts[each.doc_id]) for each in found.documents) == sorted(
        [("asked", BAD), ("asked", "An earlier text of the same page."), ("copy", BAD), ("near_duplicate", NEAR)]
    )
    assert [(each.uri, each.others, each.whole) for each in found.objects] == [
        (uri, 1, False) for uri in sorted(["data/a.jsonl", "data/b.jsonl"], key=lambda uri: order(project, uri))
    ]
    assert found.releases == ("every@1",)
    by_doc = reach(project, "doc", next(each for each, text in texts.items() if text == NEAR))
    assert {each.why for each in by_doc.documents} == {"asked", "near_duplicate"}
    assert {texts[each.doc_id] for each in by_doc.documents} == {NEAR, BAD}


def order(project: Project, uri: str) -> str:
    receipts = Repository(project.root).receipts("documents")
    return next(fact.sha256 for receipt in receipts for fact in receipt.objects if fact.uri == uri)


@pytest.mark.parametrize(
    ("asked", "value", "count"),
    [
        ("domain", "example.org", 6),
        ("domain", "OTHER.example.org", 1),
        ("source", "notes", 6),
        ("licence", "CC0-1.0", 6),
    ],
)
def test_each_way_of_asking_finds_its_documents(project: Project, asked: str, value: str, count: int) -> None:
    assert len({each.doc_id for each in reach(project, asked, value).documents}) == count


@pytest.mark.parametrize("value", ["example", "xample.org", "notes", "ample.org"])
def test_what_no_document_has_is_refused(project: Project, value: str) -> None:
    with pytest.raises(NotFound, match=f"no document or row of domain '{value}'"):
        reach(project, "domain", value)
    with pytest.raises(UsageError, match=r"a takedown by .title.\. Allowed: uri, domain, source, doc, licence"):
        reach(project, "title", value)


def test_the_proof_finds_it_wherever_it_can_be(project: Project) -> None:
    root, marked = project.root, marks(project)
    found = places(proof.left(project, marked), root)
    assert {path.split("/")[0] for path in found} == {"archive", "datasets", "published", "repository"}
    assert {path for path in found if path.startswith("datasets")} == {
        "datasets/every/1/documents.parquet",
        "datasets/every/1/train-00000-of-00001.bin",
    }
    assert {Path(path).suffix for path in found if path.startswith("repository")} == {".parquet", ".json"}
    planted = project.root / "planted"
    planted.mkdir()
    (planted / "log.txt").write_text(f"x\n{BAD.lower()}\n")
    (planted / "hash.txt").write_text(f"id={next(iter(reach(project, 'uri', PAGE).contents))};")
    (planted / "a.gz").write_bytes(gzip.compress(json.dumps({"a": [{"b": BAD.replace(" ", "\n")}]}).encode()))
    with zipfile.ZipFile(planted / "b.zip", "w") as packed:
        packed.writestr("deep/c.gz", gzip.compress(BAD.encode()))
    with closing(sqlite3.connect(planted / "runs.db")) as con:
        con.execute("CREATE TABLE t (a TEXT)")
        con.execute("INSERT INTO t VALUES (?)", [BAD])
        con.commit()
    (planted / "near.txt").write_text(" ".join(BAD.split()[:12]) + " but not the thirteenth, and " + GOOD)
    assert places(proof.left(project, marked), root) - found == {
        f"planted/{name}" for name in ("log.txt", "hash.txt", "a.gz", "b.zip", "runs.db")
    }


def test_nothing_of_it_is_left_and_nothing_else_is_lost(project: Project) -> None:
    marked, repository = marks(project), Repository(project.root)
    before = {v: repository.snapshot("documents", version=v).rows for v in range(1)}
    plan = take_down(project)
    assert proof.left(project, marked) == []
    assert sorted(ids(project).values()) == KEPT
    assert {v: repository.snapshot("documents", version=v).rows for v in before} == {0: 2}
    assert not (project.root / "takedowns" / f"{plan.id}.json").exists()
    assert [(each.name, each.version, each.state) for each in list_releases(project.datasets)] == [
        ("every", 1, "revoked"),
        ("plain", 1, "live"),
    ]
    held = verify(resolve(project.datasets, "plain@1"))
    assert rebuild(held.path, repository.snapshot("documents"), scratch=project.root).id == held.id
    assert exported(project, "every") == "every@2"
    assert proof.left(project, marked) == []


def test_a_revoked_release_is_refused_with_the_reason_by_name_by_path_and_by_the_loader(project: Project) -> None:
    take_down(project)
    folder = project.datasets / "every/1"
    for opened in (
        lambda: resolve(project.datasets, "every@1"),
        lambda: verify(folder),
        lambda: Loader(folder, batch=1),
        lambda: rebuild(folder),
    ):
        with pytest.raises(Revoked, match="was revoked: asked"):
            opened()
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "revoked.json"]
    index = json.loads((project.datasets / "every/index.json").read_text())
    assert [(each["state"], each["why"]) for each in index["versions"]] == [("revoked", "asked")]
    datasets.revoke(project.datasets / "every", 1, why="again", at=taken_project.LATER)
    with pytest.raises(Revoked, match="was revoked: asked"):
        verify(folder)


def test_what_was_taken_down_comes_in_no_more_and_the_archive_stays_without_it(project: Project) -> None:
    marked = marks(project)
    take_down(project)
    assert run(project).unchanged_objects == 2, "the source still holds it"
    assert proof.left(project, marked) == []
    path = project.folder / "data/a.jsonl"
    path.write_text(json.dumps({"page": "http://new.example.org", "text": BAD}) + "\n" + path.read_text())
    done = run(project)
    assert done.total("rejected") == 5, "four records and the broken line"
    assert sorted(ids(project).values()) == KEPT
    with connect() as con:
        attach_repository(con, [Repository(project.root).snapshot("rejects")])
        reasons = dict(fetch_all(con, "SELECT reason, count(*) FROM repository.rejects GROUP BY ALL"))
    assert reasons == {"taken_down": 4, "invalid_json": 2}
    assert proof.left(project, marked) == []


def test_where_something_is_left_the_proof_names_it_and_the_same_again_completes_it(project: Project) -> None:
    left = project.root / "kept.txt"
    left.write_text(BAD)
    with pytest.raises(IntegrityError, match=r"1 files still hold what was taken down: .*kept\.txt \(words\)"):
        take_down(project)
    assert [plan.value for plan in takedown.pending(project)] == [PAGE]
    assert [(each.asked, each.value) for each in status(project).takedowns] == [("uri", PAGE)]
    left.unlink()
    take_down(project)
    assert takedown.pending(project) == []


def test_rows_of_what_is_gone_that_a_run_still_made_are_refused(project: Project) -> None:
    repository, reached = Repository(project.root), reach(project, "uri", PAGE).documents[0]
    at = repository.snapshot("signals").version
    take_down(project)
    row = pa.RecordBatch.from_pylist([{"doc_id": reached.doc_id, "version": 1, "text_hash": 1}], taken_project.SIGNALS)
    with pytest.raises(Busy, match="was at version"):
        repository.append("signals", [row], schema=taken_project.SIGNALS, source="s", run_id="r", after=at)


@pytest.fixture(scope="module")
def killed(pristine: Path, memory_folder: Path, checkout: Path) -> dict[str, Any]:
    """What taken_project saw at each point; ``none`` is the takedown that nobody killed."""
    results = memory_folder / "kills/results.json"
    results.parent.mkdir()
    environment = {**os.environ, "PYTHONPATH": f"{checkout / 'tests'}:{checkout / 'tests/pipelines'}:{checkout}"}
    script = [sys.executable, str(Path(taken_project.__file__)), str(pristine), str(results)]
    done = subprocess.run(script, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(results.read_text())
    return found


def test_a_takedown_killed_anywhere_is_completed_by_the_same_again(killed: dict[str, Any]) -> None:
    whole = killed.pop("none")
    assert len(killed) == 13
    for point, found in killed.items():
        assert (found["status"], found["again"]) == (-9, 0), point
        wanted = whole["seen"] | {"versions": found["seen"]["versions"]}
        assert found["seen"] == wanted, point
        assert max(found["seen"]["versions"]) == 2, point
    assert (whole["seen"]["plans"], whole["seen"]["strays"]) == ([], [])


def test_the_verb_publishes_anew_and_makes_a_new_release_of_each_that_was_revoked(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    (project.folder / "warehouse.toml").write_text('name = "taken"\nbuiltin = false\n')
    marked, place = marks(project), ["--project", str(project.folder)]
    assert warehouse(["takedown", "--uri", PAGE, "--dry-run", *place]) == 0
    assert "2 asked" in (said := capsys.readouterr().out)
    assert "releases to revoke: every@1" in said
    assert warehouse(["takedown", "--uri", PAGE, "--why", "request 7", *place]) == 0
    said = capsys.readouterr().out
    assert "4 documents, 0 rows of other tables, 2 objects" in said
    assert "revoked every@1, made again every@2" in said
    assert proof.left(project, marked) == []
    assert [(each.name, each.version, each.state, each.why) for each in list_releases(project.datasets)] == [
        ("every", 1, "revoked", "request 7"),
        ("every", 2, "live", ""),
        ("plain", 1, "live", ""),
    ]
    assert read_manifest(resolve(project.datasets, "every")).documents == 2
    assert [each.n for each in publish.generations(project.published, "prod")] == [2]
    assert warehouse(["verify", "every@1", *place]) == 1
    assert "'every@1' was revoked: request 7. Allowed: every@2" in capsys.readouterr().err


def test_a_takedown_is_runs_of_its_own_that_no_other_run_brings(make_project: Callable[[], Project]) -> None:
    project = make_project()
    run_assets(project, ["sources/manual"])
    uri = "data/manual-1.jsonl"
    facts = run_assets(project, ["takedown/removed"], takedown={"asked": "uri", "value": uri, "why": "asked"}).assets[
        -1
    ]
    [proved] = run_assets(project, ["takedown/proved"], takedown={"takedown": facts.metadata["takedown"]}).assets
    assert proved.name == "takedown/proved"
    assert facts.metadata["documents"] >= 30
    with pytest.raises(NotFound, match="no takedown 'x' is under way"):
        run_assets(project, ["takedown/proved"], takedown={"takedown": "x"})
    job = build_definitions(project).resolve_job_def("run")
    assert not {key.path[0] for key in job.asset_layer.selected_asset_keys} & {"takedown", "maintenance"}

"""A small project in which a text has gone everywhere that texts go, made without Dagster, and its takedown.

``taken_project.py FOLDER RESULTS``: takedowns of copies of the project, each killed (SIGKILL) at a point of POINTS.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from kill_harness import forked
from killing import killing
from small_project import DAY, publish_again

from pipelines import takedown
from pipelines.export import export
from pipelines.intake import ingest
from warehouse import datasets, publish, query
from warehouse.answers import proof
from warehouse.curation import PAIRS
from warehouse.datasets import DatasetRecipe, load_recipe
from warehouse.project import Project, load, prepare
from warehouse.repository import Repository, delta, redaction
from warehouse.repository import takedown as rows
from warehouse.sources import load_source

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau"
BAD = f"Secret {WORDS} end."
NEAR = f"Almost {WORDS.removesuffix(' tau')} otherwise."
GOOD = f"Plain {' '.join(WORDS.split()[::-1])} stays."
RECORDS = [
    ("bad", BAD),
    ("good", GOOD),
    ("copy", BAD),
    ("near", NEAR),
    ("bad", "An earlier text of the same page."),
    ("other", "Other."),
]
SIGNALS = pa.schema([("doc_id", pa.string()), ("version", pa.int32()), ("text_hash", pa.int64())])
SELECTED = {"every": "true", "plain": "text LIKE 'Plain%'"}
"""Data sets, the second without the text, and what they hold."""
RECIPE = """\
splits: {train: 1.0}
tokenizer: {train: {vocab_size: 300, max_bytes: 10000}}
sequence_length: 16
packing: concatenate
shards: 1
"""
LATER = datetime(2026, 3, 1, tzinfo=UTC)

POINTS: dict[str, tuple[Any, str, str]] = {
    "before_the_plan": (takedown, "write_whole", "before"),
    "after_the_plan": (takedown, "write_whole", "after"),
    "after_the_bar": (takedown, "_record", "after"),
    "before_the_index": (datasets.shelf, "write_index", "before"),
    "among_shards": (datasets.shelf, "write_index", "after"),
    "before_the_log": (rows, "_replace", "before"),
    "among_commits": (rows, "_replace", "after 2"),
    "before_the_new_commit": (delta, "touch", "before 2"),
    "before_an_object_goes": (redaction, "_replace", "before"),
    "among_objects": (redaction, "_replace", "after"),
    "before_the_proof": (proof, "left", "before"),
    "after_the_proof": (proof, "left", "after"),
    "before_the_plan_goes": (takedown, "_record", "after 2"),
}


def make(folder: Path) -> Project:
    """Documents from two objects, one plain and one packed, signals, a pair, a snapshot and two releases."""
    for name in ("recipes/sources", "recipes/datasets", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "warehouse.toml").write_text('name = "taken"\n')
    (folder / "recipes/sources/notes.yaml").write_text(
        "uri: data/*.jsonl\nlicence: CC0-1.0\nfields: {uri: page}\nmax_reject_share: 0.5\n"
    )
    lines = [json.dumps({"page": f"http://{name}.example.org/{name}", "text": text}) for name, text in RECORDS]
    (folder / "data/a.jsonl").write_text("\n".join(lines[:4]) + "\n{broken: Secret\n")
    (folder / "data/b.jsonl").write_text("\n".join(lines[4:]) + "\n")
    for name, condition in SELECTED.items():
        recipe = f"select: SELECT DISTINCT doc_id FROM repository.documents WHERE {condition}\n{RECIPE}"
        (folder / f"recipes/datasets/{name}.yaml").write_text(recipe)
    project = load(folder)
    prepare(project)
    run(project)
    repository = Repository(project.root)
    for table, schema in (("signals", SIGNALS), ("pairs", PAIRS)):
        batch = pa.RecordBatch.from_pylist(_measured(table, ids(project)), schema=schema)
        repository.append(table, [batch], schema=schema, source="curation", run_id="r")
    published(project)
    for name in SELECTED:
        exported(project, name)
    return project


def exported(project: Project, name: str) -> str:
    """A release of the data set, as NAME@VERSION."""
    recipe = load_recipe(project.folder / f"recipes/datasets/{name}.yaml")
    assert isinstance(recipe, DatasetRecipe)
    made = export(project, recipe, env="prod", processes=1, run_id="r")
    return f"{made.name}@{made.version}"


def _measured(table: str, held: dict[str, str]) -> list[dict[str, Any]]:
    by_text = {text: doc_id for doc_id, text in held.items()}
    if table == "pairs":
        return [{"a": by_text[BAD], "b": by_text[NEAR], "version": 1, "jaccard": 0.9}] + [
            {"a": each, "b": None, "version": 1, "jaccard": None} for each in held
        ]
    return [{"doc_id": each, "version": 1, "text_hash": at} for at, each in enumerate(sorted(held))]


def run(project: Project) -> Any:
    """The source into the repository, as the asset does it."""
    source = load_source(project.folder / "recipes/sources/notes.yaml")
    return ingest(project, source, run_id="r", known_at=DAY)


def ids(project: Project) -> dict[str, str]:
    """doc_id -> text of the documents that are there."""
    with query.connect() as con:
        query.attach_repository(con, [Repository(project.root).snapshot("documents")])
        return dict(query.fetch_all(con, "SELECT doc_id, text FROM repository.documents"))


def published(project: Project) -> publish.Published:
    """A snapshot with a table of its own of the texts."""
    held = ids(project)
    also = ("CREATE SCHEMA staging; CREATE TABLE staging.texts AS SELECT unnest($1) AS text", [[*held.values()]])
    return publish_again(project, [], curated=False, also=also)


def take_down(project: Project) -> takedown.Plan:
    """What the verb does."""
    done = takedown.remove(project, "uri", "http://bad.example.org/bad", "asked", run_id="r", now=LATER)
    published(project)
    return takedown.prove(project, done.plan.id, run_id="r")


def seen(project: Project) -> dict[str, Any]:
    """What is to be the same after any kill and a second run: documents, takedowns, releases, archive, what is left."""
    repository = Repository(project.root)
    with query.connect() as con:
        held = ("documents", "signals", "pairs", "takedowns", "redactions")
        query.attach_repository(con, [repository.snapshot(table) for table in held])
        tables = {
            table: sorted(map(str, query.fetch_all(con, f"SELECT {columns} FROM repository.{table}")))
            for table, columns in {
                "documents": "text",
                "signals": "doc_id",
                "pairs": "a, b",
                "takedowns": "step, asked, value, why, barred, documents, rows, releases, models",
                "redactions": 'old_sha256, new_sha256, member, "offset", length, reason',
            }.items()
        }
    versions = range(repository.snapshot("documents").version + 1)
    return {
        **tables,
        "versions": sorted({repository.snapshot("documents", version=v).rows for v in versions}),
        "releases": [
            [each.name, each.version, each.state, each.why] for each in datasets.list_releases(project.datasets)
        ],
        "revoked": sorted(path.name for path in (project.datasets / "every/1").iterdir()),
        "archive": sorted(path.name for path in (project.root / "archive").rglob("*") if path.is_file()),
        "generations": len(publish.generations(project.published, "prod")),
        "plans": [str(path) for path in (project.root / "takedowns").iterdir()],
        "strays": sorted(
            path.name for path in project.root.rglob("*") if path.name.startswith(("_staging", "erased", ".revoked"))
        ),
    }


def main(pristine: Path, results: Path) -> None:
    """At each point: a copy of the project, a takedown that dies there, another that does not, and what is seen then.

    Every step is a fork of this process, which has loaded everything and opened no table.
    """
    found = {"none": _seen_after(pristine, results.parent / "none", None)}
    for point, (owner, name, when) in POINTS.items():
        armed = partial(setattr, owner, name, killing(getattr(owner, name), when))
        found[point] = _seen_after(pristine, results.parent / point, armed)
    results.write_text(json.dumps(found))


def _seen_after(pristine: Path, folder: Path, armed: Callable[[], None] | None) -> dict[str, Any]:
    shutil.copytree(pristine, folder)
    project = load(folder)
    status = forked(lambda: (armed(), take_down(project))) if armed else 0
    again = forked(lambda: (take_down(project), (folder / "seen").write_text(json.dumps(seen(project)))))
    return {"status": status, "again": again, "seen": json.loads((folder / "seen").read_text())}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

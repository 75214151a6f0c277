"""A project with made-up documents, measured and compared by the real functions and published with the real models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from warehouse import curation, publish, query
from warehouse.contracts import DOCUMENTS, Check, content_hash, doc_id
from warehouse.models import Model, build, load_models
from warehouse.project import Project, load, prepare
from warehouse.repository import Repository

MEASURES = {
    "signals": (curation.measure, curation.SIGNALS),
    "paragraphs": (curation.paragraphs, curation.PARAGRAPHS),
    "minhash": (curation.minhash, curation.MINHASH),
    "pii": (curation.pii, curation.PII),
}


def row(uri: str, text: str, *, source: str, licence: str | None) -> dict[str, object]:
    """A document of this text, known on one day."""
    digest = content_hash(text)
    place = {"doc_id": doc_id(source, uri, "0", digest), "source": source, "uri": uri, "record": "0"}
    said = {"text": text, "content_hash": digest, "licence": licence, "synthetic": False, "generation": 0}
    return {**place, **said, "known_at": datetime(2026, 1, 5, tzinfo=UTC), "object_sha256": "0" * 64}


def decided_project(
    folder: Path,
    rows: Sequence[Mapping[str, object]],
    *,
    models: Mapping[str, str] | None = None,
    met: Sequence[Mapping[str, object]] = (),
    scores: Mapping[str, float] | None = None,
) -> Project:
    """The project in ``folder``; rows as ``documents`` has them, models: its own, by path below ``sql/``, met: rows of
    ``contamination``, scores: those of documents by one model, notes_like.
    """
    folder.mkdir(parents=True)
    for path, text in (models or {}).items():
        (folder / "sql" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "sql" / path).write_text(text)
    (folder / "warehouse.toml").write_text('name = "decided"\n')
    project = load(folder)
    prepare(project)
    repository = Repository(project.root)
    _measured(repository, rows)
    for table, schema, given in (("pairs", curation.PAIRS, ()), ("contamination", curation.CONTAMINATION, met)):
        _append(repository, table, pa.RecordBatch.from_pylist(list(given), schema), schema)
    if scores is not None:
        given = [{"doc_id": name, "name": "notes_like", "version": 1, "score": value} for name, value in scores.items()]
        model = [{"name": "notes_like", "version": 1, "inputs": "{}"}]
        for table, schema, held in (("scores", curation.SCORES, given), ("score_models", curation.SCORE_MODELS, model)):
            _append(repository, table, pa.RecordBatch.from_pylist(held, schema), schema)
    _paired(repository)
    published_again(project)
    return project


def more_documents(project: Project, rows: Sequence[Mapping[str, object]]) -> None:
    """Further rows of ``documents``, measured and compared; nothing is published."""
    repository = Repository(project.root)
    _measured(repository, rows)
    _paired(repository)


def _measured(repository: Repository, rows: Sequence[Mapping[str, object]]) -> None:
    batch = pa.RecordBatch.from_pylist(list(rows), DOCUMENTS)
    _append(repository, "documents", batch, DOCUMENTS)
    for table, (function, schema) in MEASURES.items():
        keys = () if table in {"paragraphs", "pii"} else ("doc_id",)
        _append(repository, table, function(batch.select(["doc_id", "text"])), schema, keys)


def _paired(repository: Repository) -> None:
    with query.connect() as con:
        query.attach_repository(con, [repository.snapshot(name) for name in repository.tables()])
        found = list(curation.pairs(con))
    for part in found:
        _append(repository, "pairs", part.rows, curation.PAIRS)


def _append(
    repository: Repository, table: str, batch: pa.RecordBatch, schema: pa.Schema, keys: tuple[str, ...] = ()
) -> None:
    repository.append(table, [batch], schema=schema, source="made", run_id="run-1", keys=keys)


def published_again(project: Project, *, goal: str = "", **variables: float) -> None:
    """A further snapshot: every model that the repository's tables allow, built with these variables; goal: only this
    one and what it is made of.
    """
    repository = Repository(project.root)
    inputs = [repository.snapshot(name) for name in repository.tables()]
    path = publish.building(project.published, "prod")
    with query.connect(path) as con:
        query.attach_repository(con, inputs)
        for name, value in variables.items():
            con.execute(f"SET VARIABLE {name} = {value!r}")
        built = list(build(con, _needed(load_models(project.files("sql", "*.sql")), goal)))
    check = Check("suite", "curation.decisions", "expect_table_row_count_to_be_between", None, {}, True, 5, 0)
    publish.publish(
        project.published, "prod", path, inputs=inputs, checks=[check], models=built,
        created_at=datetime(2026, 1, 5, tzinfo=UTC), run_id="run-1",
    )  # fmt: skip


def _needed(every: list[Model], goal: str) -> list[Model]:
    wanted = {goal}
    for model in reversed(every):
        wanted |= set(model.depends_on) if model.name in wanted else set()
    return [model for model in every if model.name in wanted] if goal else every

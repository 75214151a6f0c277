"""A tiny documents table as one Parquet file, a DuckDB snapshot that selects from it, and exports of both.

A module of its own, for a test that pickles a world into another process.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import query
from warehouse.contracts import DOCUMENTS, Snapshot, content_hash, doc_id
from warehouse.datasets import (
    Basis,
    DatasetRecipe,
    Release,
    TableManifest,
    TableRecipe,
    Train,
    export,
    export_table,
)

KNOWN = datetime(2025, 1, 1, tzinfo=UTC)
SELECT = "SELECT doc_id FROM curation.decisions WHERE rule_set = 'house' AND kept"
RECIPE = DatasetRecipe(
    name="tiny",
    select=SELECT,
    description="Made-up words.",
    splits=(("train", 0.8), ("validation", 0.2)),
    tokenizer=Train(vocab_size=400, max_bytes=20_000),
    sequence_length=64,
    shards=3,
    seed=7,
)


def row(number: int, text: str, **values: Any) -> dict[str, Any]:
    """A row of documents, by defaults of source ``made`` and licence MIT."""
    uri, content = f"made/{number}", content_hash(text)
    facts = {"source": "made", "uri": uri, "record": "0", "object_sha256": f"{number:064x}", "known_at": KNOWN}
    state = {"licence": "MIT", "title": "", "synthetic": False, "generation": 0, "receipt_id": "r1"}
    return {
        "doc_id": doc_id("made", uri, "0", content),
        **facts,
        **state,
        "text": text,
        "content_hash": content,
    } | values


def texts(count: int) -> list[str]:
    """Seeded sentences of invented words, and the cases that break tokenisers."""
    chance = random.Random(11)
    words = ["".join(chance.choices("aeioulmnrst", k=chance.randint(2, 9))) for _ in range(300)]
    made = [" ".join(chance.choices(words, k=chance.randint(3, 260))) + f" no {n}.\n" for n in range(count)]
    odd = [
        "",
        "x",
        "ends <|endoftext|> inside <|pad|>",
        "ünïcödé 中文 العربية 👩‍👩‍👧 \u0000\ufeff",
        "a  b\t\r\nc " * 90,
        "Same TEXT",
        " same  text",
    ]
    return made + odd


@dataclass(frozen=True)
class World:
    """A documents table, and what exports from it."""

    folder: Path
    snapshot: Snapshot
    rows: list[dict[str, Any]]

    def export(self, recipe: DatasetRecipe = RECIPE, *, out: str = "out", **options: Any) -> Release:
        with connection(self.snapshot) as con:
            stated, rest = basis(con, self.folder / out, options)
            return export(recipe, stated, snapshot_documents=self.snapshot, **rest)


def basis(con: query.Connection, datasets: Path, options: dict[str, Any]) -> tuple[Basis, dict[str, Any]]:
    """A basis of some of the options where they state one, and the other options."""
    stated: dict[str, Any] = {
        "inputs": {"documents": 3},
        "checks": [],
        "model_fingerprints": {"curation.decisions": "f"},
    }
    stated |= {"datasets": datasets, "created_at": KNOWN, "run_id": "run"}
    names = {each.name for each in fields(Basis)}
    mine = {name: value for name, value in options.items() if name in names}
    return Basis(con=con, **(stated | mine)), {name: options[name] for name in options.keys() - mine.keys()}


def export_rows(recipe: TableRecipe, datasets: Path, **options: Any) -> Release[TableManifest]:
    """A release of rows, of a SELECT that reads no table."""
    with query.connect() as con:
        stated, rest = basis(con, datasets, {"inputs": {"t": 1}, "model_fingerprints": {}} | options)
        return export_table(recipe, stated, **rest)


def connection(snapshot: Snapshot) -> query.Connection:
    """A snapshot of the analysts' kind: the repository attached, and a table of decisions that keeps all."""
    con = query.connect()
    query.attach_repository(con, [snapshot])
    con.execute("CREATE SCHEMA curation")
    con.execute(
        "CREATE TABLE curation.decisions AS SELECT DISTINCT doc_id, source, 'house' AS rule_set, true AS kept "
        "FROM repository.documents"
    )
    return con


def write_world(folder: Path, rows: list[dict[str, Any]], *, version: int = 3) -> World:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"documents-{version}.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=DOCUMENTS), path, row_group_size=50)
    return World(folder, Snapshot("documents", version, (str(path),), DOCUMENTS, len(rows), path.stat().st_size), rows)

"""Documents of a test as curation sees them: measured, compared, and every model of curation built over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from warehouse import query
from warehouse.contracts import DOCUMENTS, content_hash, doc_id
from warehouse.curation import (
    CONTAMINATION,
    LISTS,
    MINHASH,
    PAIRS,
    PARAGRAPHS,
    SIGNALS,
    measure,
    minhash,
    pairs,
    paragraphs,
)

MODELS = [
    "staging.current_documents",
    *("staging.signals_mode", "staging.current_signals"),
    "staging.current_minhash",
    "staging.current_contamination",
    "curation.contamination",
    *(f"curation.{name}" for name in ("oversized_buckets", "near_pairs", "clusters", "paragraph_duplicates")),
    "staging.current_lists",
    "curation.list_matches",
    *(f"curation.{name}" for name in ("gopher", "c4", "fineweb", "house", "dolma", "nemo")),
    *(f"curation.{name}" for name in ("rules", "decisions", "funnel")),
]
TABLES = {
    **{"documents": DOCUMENTS, "signals": SIGNALS, "paragraphs": PARAGRAPHS, "minhash": MINHASH},
    **{"pairs": PAIRS, "contamination": CONTAMINATION, "lists": LISTS},
}


def row(
    uri: str, text: str | None, *, day: int = 1, licence: str | None = "MIT", synthetic: bool = False
) -> dict[str, object]:
    digest = content_hash(text or "")
    return {
        "doc_id": doc_id("test", uri, "0", digest),
        "source": "test",
        "uri": uri,
        "record": "0",
        "known_at": day * 86_400_000_000,
        "licence": licence,
        "text": text,
        "content_hash": digest,
        "synthetic": synthetic,
        "generation": 0,
    }


def decided(
    checkout: Path, rows: Sequence[Mapping[str, object]], *, measured: bool = True, **thresholds: float
) -> query.Connection:
    """A connection in which every model of curation is built over these documents."""
    con = empty(**thresholds)
    arrive(con, rows, measured=measured)
    build(con, checkout)
    return con


def empty(**thresholds: float) -> query.Connection:
    """A connection with the tables of curation, without a row, and these variables."""
    con = query.connect(threads=2)
    for name, value in thresholds.items():
        con.execute(f"SET VARIABLE {name} = {value}")
    con.execute("ATTACH ':memory:' AS repository")
    for name, schema in TABLES.items():
        con.register("given", schema.empty_table())
        con.execute(f"CREATE TABLE repository.{name} AS FROM given")
        con.unregister("given")
    return con


def arrive(con: query.Connection, rows: Sequence[Mapping[str, object]], *, measured: bool = True) -> None:
    """One batch: its documents stored; those not known before measured, and compared with all that came earlier."""
    known = {each[0] for each in query.fetch_all(con, "SELECT doc_id FROM repository.documents")}
    append(con, "documents", pa.Table.from_pylist(list(rows), DOCUMENTS))
    fresh = {str(value["doc_id"]): value for value in rows if value["doc_id"] not in known}
    if not measured or not fresh:
        return
    batch = pa.RecordBatch.from_pylist(list(fresh.values()), DOCUMENTS).select(["doc_id", "text"])
    for name, function in {"signals": measure, "paragraphs": paragraphs, "minhash": minhash}.items():
        append(con, name, pa.Table.from_batches([function(batch)]))
    compare(con)


def compare(con: query.Connection, *, read_bytes: int = 1 << 20) -> None:
    """What the asset ``repository/pairs`` appends."""
    for found in list(pairs(con, read_bytes=read_bytes)):
        append(con, "pairs", pa.Table.from_batches([found.rows]))


def append(con: query.Connection, name: str, rows: pa.Table) -> None:
    con.register("given", rows)
    con.execute(f"INSERT INTO repository.{name} FROM given")
    con.unregister("given")


def build(con: query.Connection, checkout: Path, models: Sequence[str] = MODELS) -> None:
    """These models, made anew."""
    for name in models:
        schema, model = name.split(".")
        text = (checkout / "sql" / schema / f"{model}.sql").read_text()
        kind = "TABLE" if "\nkind: table\n" in text else "VIEW"
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        con.execute(f"CREATE OR REPLACE {kind} {name} AS {text}")

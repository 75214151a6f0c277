"""Decisions over a million documents: CPU and wall seconds of the models, and of deciding again with another threshold.

    make bench AREA=decisions                      one million made-up rows
    make bench AREA=decisions ARGS="--rows 200000"

The rows are those that the models read: documents without text to speak of, signals, bands, pairs; one text in twenty
is a copy and one in ten has a near pair. They lie in Parquet files, and the real builder makes the models from the real
SQL. Then a variable changes, and what depends on it is made again: decisions, and the tables counted from them; three
times, each with another threshold, of which the shortest counts. No peer stores what it measured, so none can decide
again without the text; ``--own`` is accepted for uniformity. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import query
from warehouse.contracts import DOCUMENTS, Snapshot
from warehouse.curation import CONTAMINATION, MINHASH, PAIRS, PARAGRAPHS, SIGNALS
from warehouse.models import Model, build, load_models
from warehouse.project import find

PROJECT = Path(__file__).resolve().parent.parent
GOAL = "curation.decisions"
ROWS = 1_000_000
SHARES = {
    "alpha_words": 0.8, "stop_words": 0.06, "filled_lines": 0.08, "terminal_lines": 0.03, "short_lines": 0.03,
    "newlines": 0.1, "split_lines": 0.08, "duplicate_lines": 0.004, "lines": 0.08, "bullet_lines": 0.01,
    "ellipsis_lines": 0.002, "hashes": 0.004, "ellipses": 0.004, "paragraphs": 0.02, "duplicate_paragraphs": 0.002,
    "c4_sentences": 0.04, "c4_open_sentences": 0.05, "c4_curly_bracket_lines": 0.0002,
    "c4_open_curly_bracket_lines": 0.0002, "duplicate_line_chars": 0.2, "duplicate_filled_chars": 0.02,
    "duplicate_paragraph_chars": 0.1, "top_2_gram_chars": 0.15, "top_3_gram_chars": 0.12, "top_4_gram_chars": 0.1,
    "duplicate_5_gram_chars": 0.3, "duplicate_6_gram_chars": 0.28, "duplicate_7_gram_chars": 0.26,
    "duplicate_8_gram_chars": 0.24, "duplicate_9_gram_chars": 0.22, "duplicate_10_gram_chars": 0.2,
}  # fmt: skip
"""What a count is of a document's words, in the mean."""


def main() -> None:
    """Build, change a variable, build again; print a line a model and the JSON line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--own", action="store_true", help="ours alone; no peer decides from stored measurements")
    arguments.add_argument("--rows", type=int, default=ROWS)
    print(json.dumps(figures(arguments.parse_args().rows)))


def figures(rows: int) -> dict[str, float]:
    """Seconds of the first build over so many documents, and of deciding again."""
    with tempfile.TemporaryDirectory() as folder, query.connect(Path(folder) / "built.duckdb", threads=2) as con:
        query.attach_repository(con, made_up(Path(folder), rows, np.random.default_rng(1)))
        models = needed(load_models(find(PROJECT).files("sql", "*.sql")))
        return measured(con, models, "1m" if rows == ROWS else str(rows))


def needed(models: Iterable[Model]) -> list[Model]:
    """The models that decisions are made of, and those counted from decisions alone, in the order of building."""
    every = {model.name: model for model in models}
    wanted, open_names = set[str](), [GOAL, "curation.funnel"]
    while open_names:
        wanted.add(name := open_names.pop())
        open_names += every[name].depends_on
    return [model for name, model in every.items() if name in wanted]


def measured(con: query.Connection, models: list[Model], rows: str) -> dict[str, float]:
    """Seconds of the first build, and of deciding again after a change of one threshold; rows: as the keys say it."""
    first = spent(con, f"build_{rows}", models)
    print(f"kept by house: {counted(con):,}")
    again = [model for model in models if model.name in (GOAL, "curation.funnel")]
    later = [decided_again(con, again, f"redecide_{rows}", words) for words in (60, 45, 90)]
    return {**first, **min(later, key=lambda each: each[f"redecide_{rows}_s"])}


def decided_again(con: query.Connection, again: list[Model], name: str, words: int) -> dict[str, float]:
    """Seconds of it with so many words as the least of the house."""
    con.execute(f"SET VARIABLE house_min_words = {words}")
    for model in again:
        con.execute(f"DROP TABLE {model.name}")
    seconds = spent(con, name, again)
    print(f"kept by house, of {words} words and more: {counted(con):,}")
    return seconds


def spent(con: query.Connection, name: str, models: list[Model]) -> dict[str, float]:
    """Wall and CPU seconds of building these models."""
    wall, cpu = time.perf_counter(), time.process_time()
    for built in build(con, models):
        if built.model.kind == "table":
            print(f"{built.model.name:28}{built.rows:>12,} rows{built.wall_s:>8.2f} s{built.cpu_s:>8.2f} CPU s")
    return {f"{name}_s": round(time.perf_counter() - wall, 2), f"{name}_cpu_s": round(time.process_time() - cpu, 2)}


def counted(con: query.Connection) -> int:
    """Documents that the house keeps."""
    kept: int = query.fetch_all(con, "SELECT count(*) FROM curation.decisions WHERE rule_set = 'house' AND kept")[0][0]
    return kept


def made_up(folder: Path, rows: int, rng: np.random.Generator) -> list[Snapshot]:
    """The six tables as Parquet files, as the repository writes them."""
    ids = pa.array([f"{number:032x}" for number in rng.permutation(rows)])
    hashes = rng.integers(-(2**63), 2**63 - 1, rows)
    copies = rng.integers(0, rows, rows // 20)
    hashes[copies] = hashes[rng.integers(0, rows, copies.size)]
    return [
        stored(folder, "documents", documents(ids, rng), DOCUMENTS),
        stored(folder, "signals", signals(ids, hashes, rng), SIGNALS),
        stored(folder, "paragraphs", paragraphs(ids, rng), PARAGRAPHS),
        stored(folder, "minhash", bands(ids, rng), MINHASH),
        stored(folder, "pairs", pairs(ids, rng), PAIRS),
        stored(folder, "contamination", {"doc_id": []}, CONTAMINATION),
    ]


def stored(folder: Path, table: str, columns: dict[str, object], schema: pa.Schema) -> Snapshot:
    """A table in one file; columns that are not given are null."""
    given = {field.name: pa.array(columns[field.name], field.type) for field in schema if field.name in columns}
    count = len(next(iter(given.values())))
    held = pa.table([given.get(field.name, pa.nulls(count, field.type)) for field in schema], schema)
    path = folder / f"{table}.parquet"
    pq.write_table(held, path, compression="zstd", row_group_size=131_072)
    return Snapshot(table, 1, (str(path),), schema, count, path.stat().st_size)


def documents(ids: pa.Array, rng: np.random.Generator) -> dict[str, object]:
    """Of twenty sources, on five days; one in three without a licence."""
    count = len(ids)
    return {
        "doc_id": ids,
        "source": [f"source_{number}" for number in rng.integers(0, 20, count)],
        "uri": [f"made/up/{number}" for number in range(count)],
        "record": ["0"] * count,
        "known_at": rng.integers(0, 5, count) * 86_400_000_000,
        "licence": np.where(rng.random(count) < 0.33, None, "MIT"),
        "text": ["text"] * count,
        "synthetic": rng.random(count) < 0.1,
    }


def signals(ids: pa.Array, hashes: np.ndarray, rng: np.random.Generator) -> dict[str, object]:
    """Words log-normal about 150; every count a share of them, most documents below the mean."""
    count = len(ids)
    words = np.maximum(rng.lognormal(5, 1.2, count), 1).astype(np.int64)
    found: dict[str, object] = {field.name: np.zeros(count, np.int64) for field in SIGNALS}
    found |= {
        name: (words * np.minimum(rng.gamma(1, share, count), 1)).astype(np.int64) for name, share in SHARES.items()
    }
    found |= {"doc_id": ids, "version": np.ones(count, np.int32), "text_hash": hashes, "words": words}
    found |= {"plain_words": words, "chars": words * 6, "bytes": words * 6, "plain_word_chars": words * 5}
    found |= {"alpha_words": (words * rng.beta(9, 1, count)).astype(np.int64), "stop_words": rng.integers(0, 9, count)}
    found |= {name: found[name.removeprefix("feed_")] for name in found if name.startswith("feed_")}
    languages = np.array(["en", "de", "fr"])[rng.integers(0, 3, count)]
    found |= {"language": languages, "language_score": rng.beta(5, 1, count)}
    return found | dict.fromkeys(("words_mode", "script", "language_2nd", "language_2nd_score"), [None] * count)


def paragraphs(ids: pa.Array, rng: np.random.Generator) -> dict[str, object]:
    """One line each, of which every document shares one with some other."""
    count = len(ids)
    places = pa.array(np.arange(count + 1, dtype=np.int32))
    hashes, lengths = rng.integers(0, count // 2, count), np.full(count, 80, np.int32)
    lists = {name: pa.ListArray.from_arrays(places, part) for name, part in (("hashes", hashes), ("lengths", lengths))}
    return {"doc_id": ids, "version": np.ones(count, np.int32), **lists}


def bands(ids: pa.Array, rng: np.random.Generator) -> dict[str, object]:
    """Fourteen hashes each, hardly any shared."""
    values = pa.array(rng.integers(-(2**63), 2**63 - 1, 14 * len(ids)))
    lists = pa.ListArray.from_arrays(np.arange(0, 14 * len(ids) + 1, 14, dtype=np.int32), values)
    return {"doc_id": ids, "version": np.ones(len(ids), np.int32), "bands": lists}


def pairs(ids: pa.Array, rng: np.random.Generator) -> dict[str, object]:
    """One document in ten with another of those next to it, so that there are chains, at a similarity from 0.5 to 1."""
    one = np.sort(rng.choice(len(ids) - 3, len(ids) // 10, replace=False))
    other = one + rng.integers(1, 4, one.size)
    names = np.array(ids)
    least, most = np.minimum(names[one], names[other]), np.maximum(names[one], names[other])
    return {"a": least, "b": most, "version": np.ones(one.size, np.int32), "jaccard": rng.uniform(0.5, 1, one.size)}


if __name__ == "__main__":
    main()

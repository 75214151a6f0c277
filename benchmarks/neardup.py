"""Near duplicates: MB of text a CPU second of each step, and how many planted duplicates are found.

    make bench AREA=neardup                        200 MB of the language reference's words in random order
    make bench AREA=neardup ARGS="--megabytes 50"

Steps are those of the route: bands, candidates with verification, decisions. One duplicate in five documents is planted
at a similarity from 0.5 to 1; recall is compared with 1 - (1 - J^8)^14. No peer verifies similarity, so none runs
beside it; ``--own`` is accepted for uniformity. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from pydoc_data.topics import topics

import pyarrow as pa

from warehouse import query
from warehouse.contracts import DOCUMENTS, content_hash, doc_id
from warehouse.curation import PAIRS, minhash, pairs
from warehouse.kernels import minhash as kernel
from warehouse.kernels.texts import texts

CHECKOUT = Path(__file__).resolve().parent.parent
RULES = """
CREATE SCHEMA staging; CREATE SCHEMA curation;
CREATE VIEW staging.current_documents AS SELECT doc_id, source, 0 AS keep_rank FROM repository.documents;
CREATE VIEW staging.current_signals AS FROM repository.signals;
CREATE VIEW curation.rules AS SELECT doc_id, source, 0 AS keep_rank, 'all' AS rule_set,
    CAST(NULL AS STRUCT(reason VARCHAR, value DOUBLE, threshold DOUBLE, failed BOOLEAN)) AS failure
FROM repository.documents
"""


def main() -> None:
    """Run every step once on made-up text and print the table and the JSON line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--own", action="store_true", help="ours alone; no peer verifies")
    arguments.add_argument("--megabytes", type=float, default=200.0)
    given = arguments.parse_args()
    corpus, planted = made_up(int(given.megabytes * 1e6), random.Random(1))
    print(json.dumps({**measured(corpus, planted), "megabytes": given.megabytes}))


def made_up(size: int, rng: random.Random) -> tuple[list[str], list[tuple[int, int]]]:
    """Texts of about ``size`` bytes, and which is a changed copy of which."""
    vocabulary = sorted({word for text in topics.values() for word in text.split()})
    corpus: list[str] = []
    planted = []
    while size > 0:
        words = rng.choices(vocabulary, k=rng.randint(50, 900))
        if corpus and rng.random() < 0.2:
            origin = rng.randrange(len(corpus))
            words = changed(corpus[origin].split(" "), vocabulary, rng)
            planted.append((origin, len(corpus)))
        corpus.append(" ".join(words))
        size -= len(corpus[-1].encode())
    return corpus, planted


def changed(words: list[str], vocabulary: list[str], rng: random.Random) -> list[str]:
    """The words with a run of them replaced, so that any similarity down to 0.5 occurs."""
    count = int(len(words) * rng.random() ** 2 / 3)
    at = rng.randrange(len(words) - count)
    return words[:at] + rng.choices(vocabulary, k=count) + words[at + count :]


def measured(corpus: list[str], planted: list[tuple[int, int]]) -> dict[str, float]:
    """Print a line a step; figures of all, by name."""
    size = sum(len(text.encode()) for text in corpus) / 1e6
    ids = [doc_id("bench", str(at), "0", content_hash(text)) for at, text in enumerate(corpus)]
    batch = pa.RecordBatch.from_pydict({"doc_id": ids, "text": pa.array(corpus, pa.large_string())})
    minhash(batch.slice(0, 10))
    print(f"{len(corpus):,} documents, {size:.0f} MB of text")
    seconds: dict[str, float] = {}
    bands = timed(seconds, "bands", lambda: minhash(batch))
    con = stored(batch, corpus, bands)
    found = timed(seconds, "pairs", lambda: list(pairs(con)))
    register(con, "pairs", pa.Table.from_batches([part.rows for part in found], PAIRS))
    timed(seconds, "decisions", lambda: decide(con))
    kept = query.fetch_all(con, "SELECT count(*) FROM curation.decisions WHERE kept")[0][0]
    figures = {f"{name}_mb_per_cpu_s": round(size / spent, 1) for name, spent in seconds.items()}
    figures["text_to_kept_mb_per_cpu_s"] = round(size / sum(seconds.values()), 1)
    for name, figure in figures.items():
        print(f"{name:28}{figure:10.1f}")
    print(f"{sum(part.candidates for part in found):,} candidates verified; {kept:,} documents kept")
    return {**figures, **recall(con, batch["text"], planted), "documents": len(corpus), "kept": kept}


def timed(seconds: dict[str, float], name: str, work: Callable[[], object]) -> object:
    """What the work gives; its CPU seconds under its name."""
    began = time.process_time()
    result = work()
    seconds[name] = time.process_time() - began
    return result


def stored(batch: pa.RecordBatch, corpus: list[str], bands: object) -> query.Connection:
    """A connection with the tables that the pairs are made of."""
    con = query.connect()
    query.attach_memory(con, "repository")
    count = batch.num_rows
    documents = pa.Table.from_batches([batch]).append_column(
        "known_at", pa.array([0] * count, DOCUMENTS.field("known_at").type)
    )
    register(con, "documents", documents.append_column("source", pa.array(["bench"] * count)))
    register(con, "minhash", pa.Table.from_batches([bands]))
    hashes = [int(content_hash(text)[:15], 16) for text in corpus]
    sizes = [len(text.encode()) for text in corpus]
    signals = {"doc_id": batch["doc_id"], "version": pa.array([1] * count), "text_hash": hashes, "bytes": sizes}
    register(con, "signals", pa.table(signals))
    register(con, "pairs", PAIRS.empty_table())
    return con


def register(con: query.Connection, name: str, table: pa.Table) -> None:
    """A table of the repository, in place of what it was."""
    con.register("given", table)
    con.execute(f"CREATE OR REPLACE TABLE repository.{name} AS FROM given")
    con.unregister("given")


def decide(con: query.Connection) -> None:
    """The models from pairs to decisions, every document passing all other rules."""
    con.execute(RULES)
    for name in ("staging.current_minhash", "curation.oversized_buckets", "curation.near_pairs", "curation.decisions"):
        con.execute(
            f"CREATE TABLE {name} AS {(CHECKOUT / 'sql' / name.replace('.', '/')).with_suffix('.sql').read_text()}"
        )


def recall(con: query.Connection, column: pa.Array, planted: list[tuple[int, int]]) -> dict[str, float]:
    """Share of planted pairs that are known, by similarity, beside what the bands promise; equal texts left out."""
    known = {frozenset(row) for row in query.fetch_all(con, "SELECT a, b FROM curation.near_pairs")}
    hashes = query.arrow(con, "SELECT text_hash FROM repository.signals")["text_hash"].to_pylist()
    figures = {}
    for low, pairs_there in sorted(by_similarity(column, planted).items()):
        caught = sum(frozenset((hashes[one], hashes[other])) in known for _, one, other in pairs_there) / len(
            pairs_there
        )
        promised = sum(1 - (1 - near**8) ** 14 for near, _, _ in pairs_there) / len(pairs_there)
        print(f"similarity {low:.2f} up: {len(pairs_there):6,} planted, {caught:.3f} found, {promised:.3f} promised")
        figures |= {f"recall_{low:.2f}": round(caught, 3), f"promised_{low:.2f}": round(promised, 3)}
    return figures


def by_similarity(column: pa.Array, planted: list[tuple[int, int]]) -> dict[float, list[tuple[float, int, int]]]:
    """(similarity, one, other) of the planted pairs from 0.5 up, in steps of 0.05."""
    found = defaultdict(list)
    for near, one, other in similarities(column, planted):
        if 0.5 <= near < 1:
            found[min(int(near * 20) / 20, 0.95)].append((near, one, other))
    return found


def similarities(column: pa.Array, planted: list[tuple[int, int]]) -> Iterator[tuple[float, int, int]]:
    """The true similarity of each planted pair."""
    left, right = (pa.array([pair[side] for pair in planted], pa.int64()).to_numpy().copy() for side in (0, 1))
    near = kernel.jaccard(kernel.sets(texts(column)), left, right)
    for value, (one, other) in zip(near, planted, strict=True):
        yield float(value), one, other


if __name__ == "__main__":
    main()

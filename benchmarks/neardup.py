"""Near duplicates: MB of text a CPU second from text to kept ids beside the peers, and planted duplicates found.

    make bench AREA=neardup                        200 MB of the language reference's words in random order
    make bench AREA=neardup ARGS="--megabytes 50"

Steps are those of the route: bands, candidates with verification, decisions. One duplicate in five documents is planted
at a similarity from 0.5 to 1; recall is compared with 1 - (1 - J^8)^14. False joins are near pairs whose similarity
falls below the threshold when their texts are compared as sets of word 5-grams in plain Python. Peers: datatrove, rensa
and datasketch on the sample of samples.py, and ours on the same; none of them verifies. ``--own`` leaves them out. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pydoc_data.topics import topics

import peers
import pyarrow as pa
import samples

from warehouse import query
from warehouse.contracts import DOCUMENTS, content_hash, doc_id
from warehouse.curation import PAIRS, minhash, pairs
from warehouse.kernels import minhash as kernel
from warehouse.kernels.texts import texts

THRESHOLD = 0.8
MEGABYTES = 200.0
RULES = """
CREATE SCHEMA staging; CREATE SCHEMA curation;
CREATE VIEW staging.current_documents AS SELECT doc_id, source, 0 AS keep_rank FROM repository.documents;
CREATE VIEW staging.current_signals AS FROM repository.signals;
CREATE VIEW curation.rules AS SELECT doc_id, source, 0 AS keep_rank, 'all' AS rule_set,
    CAST(NULL AS STRUCT(reason VARCHAR, value DOUBLE, threshold DOUBLE, failed BOOLEAN)) AS failure
FROM repository.documents
"""


def main() -> None:
    """Run every step once on made-up text, beside the peers on real text, and print the tables and the JSON line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--own", action="store_true", help="without the peers")
    arguments.add_argument("--megabytes", type=float, default=MEGABYTES)
    given = arguments.parse_args()
    figures = planted(given.megabytes)
    if not given.own:
        figures |= beside(samples.of(samples.sample(samples.DATA)))
    print(json.dumps(figures))


def planted(megabytes: float) -> dict[str, float]:
    """Speed of each step on so much made-up text, and what of its planted duplicates is found."""
    some, pairs_there = made_up(int(megabytes * 1e6), random.Random(1))
    con, figures = measured(some)
    return figures | recall(con, some, pairs_there) | {"neardup_false_joins": false_joins(con, some)}


def beside(some: list[str]) -> dict[str, float]:
    """Text to kept ids of the same documents, by us and by the peers."""
    speed, figures = measured(some)[1]["neardup_mb_per_cpu_s"], dict[str, float]()
    for said in peers.answers("neardup_peers.py", some):
        theirs = samples.megabytes(some) / said["cpu_s"]
        print(f"{said['name']:12}{theirs:8.2f} MB a CPU second, {len(said['kept']):,} kept; ours {speed:.1f}")
        figures[f"neardup_vs_{said['name']}"] = round(speed / theirs, 1)
    return figures


def made_up(size: int, rng: random.Random) -> tuple[list[str], list[tuple[int, int]]]:
    """Texts of about ``size`` bytes, and which is a changed copy of which."""
    vocabulary = sorted({word for text in topics.values() for word in text.split()})
    some: list[str] = []
    planted = []
    while size > 0:
        words = rng.choices(vocabulary, k=rng.randint(50, 900))
        if some and rng.random() < 0.2:
            origin = rng.randrange(len(some))
            words = changed(some[origin].split(" "), vocabulary, rng)
            planted.append((origin, len(some)))
        some.append(" ".join(words))
        size -= len(some[-1].encode())
    return some, planted


def changed(words: list[str], vocabulary: list[str], rng: random.Random) -> list[str]:
    """The words with a run of them replaced, so that any similarity down to 0.5 occurs."""
    count = int(len(words) * rng.random() ** 2 / 3)
    at = rng.randrange(len(words) - count)
    return words[:at] + rng.choices(vocabulary, k=count) + words[at + count :]


def measured(some: list[str]) -> tuple[query.Connection, dict[str, float]]:
    """Print a line a step; what is decided, and MB a CPU second of each step and of all."""
    size = samples.megabytes(some)
    ids = [doc_id("bench", str(at), "0", content_hash(text)) for at, text in enumerate(some)]
    batch = pa.RecordBatch.from_pydict({"doc_id": ids, "text": pa.array(some, pa.large_string())})
    minhash(batch.slice(0, 10))
    seconds: dict[str, float] = {}
    bands = timed(seconds, "bands", lambda: minhash(batch))
    con = stored(batch, some, bands)
    found = timed(seconds, "pairs", lambda: list(pairs(con)))
    register(con, "pairs", pa.Table.from_batches([part.rows for part in found], PAIRS))
    timed(seconds, "decisions", lambda: decide(con))
    kept = query.fetch_all(con, "SELECT count(*) FROM curation.decisions WHERE kept")[0][0]
    rates = {name: f"{size / spent:.0f} MB/s" for name, spent in seconds.items()}
    compared = sum(part.compared for part in found)
    print(f"{len(some):,} documents, {size:.1f} MB of text: {compared:,} compared, {kept:,} kept;", rates)
    return con, {
        "neardup_bands_mb_per_cpu_s": round(size / seconds["bands"], 1),
        "neardup_mb_per_cpu_s": round(size / sum(seconds.values()), 1),
    }


def timed(seconds: dict[str, float], name: str, work: Callable[[], object]) -> object:
    """What the work gives; its CPU seconds under its name."""
    began = time.process_time()
    result = work()
    seconds[name] = time.process_time() - began
    return result


def stored(batch: pa.RecordBatch, some: list[str], bands: object) -> query.Connection:
    """A connection with the tables that the pairs are made of."""
    con = query.connect()
    query.attach_memory(con, "repository")
    count = batch.num_rows
    documents = pa.Table.from_batches([batch]).append_column(
        "known_at", pa.array([0] * count, DOCUMENTS.field("known_at").type)
    )
    register(con, "documents", documents.append_column("source", pa.array(["bench"] * count)))
    register(con, "minhash", pa.Table.from_batches([bands]))
    hashes = [text_hash(text) for text in some]
    sizes = [len(text.encode()) for text in some]
    signals = {"doc_id": batch["doc_id"], "version": pa.array([1] * count), "text_hash": hashes, "bytes": sizes}
    register(con, "signals", pa.table(signals))
    register(con, "pairs", PAIRS.empty_table())
    return con


def text_hash(text: str) -> int:
    """Stands for the hash of the normalised text: texts that differ have another."""
    return int(content_hash(text)[:15], 16)


def register(con: query.Connection, name: str, table: pa.Table) -> None:
    """A table of the repository, in place of what it was."""
    con.register("given", table)
    con.execute(f"CREATE OR REPLACE TABLE repository.{name} AS FROM given")
    con.unregister("given")


def decide(con: query.Connection) -> None:
    """The models from pairs to decisions, every document passing all other rules."""
    con.execute(RULES)
    for name in ("staging.current_minhash", "curation.oversized_buckets", "curation.near_pairs", "curation.decisions"):
        file = (samples.CHECKOUT / "sql" / name.replace(".", "/")).with_suffix(".sql")
        con.execute(f"CREATE TABLE {name} AS {file.read_text()}")


def recall(con: query.Connection, some: list[str], planted: list[tuple[int, int]]) -> dict[str, float]:
    """Share of planted pairs that are known, by similarity, beside what the bands promise; equal texts left out."""
    known = {frozenset(row) for row in query.fetch_all(con, "SELECT a, b FROM curation.near_pairs")}
    hashes = [text_hash(text) for text in some]
    figures = {}
    for low, pairs_there in sorted(by_similarity(some, planted).items()):
        count = len(pairs_there)
        caught = sum(frozenset((hashes[one], hashes[other])) in known for _, one, other in pairs_there) / count
        chances = [1 - (1 - near**8) ** 14 for near, _, _ in pairs_there]
        promised, error = sum(chances) / count, math.sqrt(sum(chance * (1 - chance) for chance in chances)) / count
        print(f"similarity {low / 100:.2f} up: {count:6,} planted, {caught:.3f} found, ", end="")
        print(f"{promised:.3f} promised, {(caught - promised) / error if error else 0:+.1f} standard errors")
        figures |= {f"neardup_recall_{low}": round(caught, 4), f"neardup_recall_expected_{low}": round(promised, 4)}
    return figures


def by_similarity(some: list[str], planted: list[tuple[int, int]]) -> dict[int, list[tuple[float, int, int]]]:
    """(similarity, one, other) of the planted pairs from 0.5 up, by tenths: 50, 60 to 90."""
    found = defaultdict(list)
    for near, one, other in similarities(some, planted):
        if 0.5 <= near < 1:
            found[int(near * 10) * 10].append((near, one, other))
    return found


def false_joins(con: query.Connection, some: list[str]) -> int:
    """Near pairs at the threshold of the decisions whose texts are less similar than that in plain Python."""
    twin, by_hash = samples.twin("test_near_duplicates"), {text_hash(text): text for text in some}
    joined = query.fetch_all(con, f"SELECT a, b FROM curation.near_pairs WHERE jaccard >= {THRESHOLD}")
    near = (twin.similarity(*(twin.shingles(by_hash[side]) for side in pair)) for pair in joined)
    return sum(similarity < THRESHOLD for similarity in near)


def similarities(some: list[str], planted: list[tuple[int, int]]) -> Iterator[tuple[float, int, int]]:
    """The true similarity of each planted pair."""
    left, right = (pa.array([pair[side] for pair in planted], pa.int64()).to_numpy().copy() for side in (0, 1))
    near = kernel.jaccard(kernel.sets(texts(pa.array(some, pa.large_string()))), left, right)
    for value, (one, other) in zip(near, planted, strict=True):
        yield float(value), one, other


if __name__ == "__main__":
    main()

"""Signals and published rules beside datatrove, dolma and NeMo Curator: words, first reasons, MB a CPU second.

    make bench AREA=signals
    make bench AREA=signals ARGS="--own"                           without the peers
    make bench AREA=signals ARGS="--documents 1000 --data FOLDER"

Agreement is on the sample of samples.py. Ours: the kernels over one batch, one thread, without language and SQL; the
rules are read from the signals by the SQL of sql/curation. Warm is the best of five passes over the sample, cold one
pass over 200 MB of whole documents, three in four of them source code. Compile time apart. The memos of chunks are
small and start empty in every pass. Threads: signals and language of the 200 MB by one thread and by one for each core,
by the clock, best of three. datatrove: each filter called on each document, without readers and writers.

In the chain FineWeb's rules read what C4's filter leaves of a text, on both sides. Alone ("fineweb"), and in a chain of
which every filter reads the stored text ("unedited"), they read that: the same SQL over the columns of the whole text.
The agreement in the JSON is over the four filters and the chain. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import peers
import pyarrow as pa
import samples

from warehouse import query
from warehouse.contracts import TEXT_ROWS, Words
from warehouse.curation import SIGNALS, measure
from warehouse.datasets.lines import lines_of
from warehouse.datasets.masks import masked_text
from warehouse.datasets.recipe import Lines
from warehouse.engine import run_threads
from warehouse.kernels import c4, lines, profile, words
from warehouse.kernels.texts import Texts, texts

FILTERS = ("gopher_quality", "gopher_repetition", "c4", "fineweb")
LEFT = "c4_open_left_"


def main() -> None:
    """Measure, compare with the peers, print a line each and the JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--own", action="store_true", help="without the peers")
    arguments.add_argument("--data", type=Path, default=samples.DATA, help="folder of corpora")
    arguments.add_argument("--documents", type=int, default=samples.SAMPLE, help="at most so many, of all kinds alike")
    given = arguments.parse_args()
    documents = samples.sample(given.data, given.documents)
    figures = own(samples.of(documents), samples.of(samples.whole(given.data)))
    if not given.own:
        figures |= beside(documents)
    print(json.dumps(figures))


def own(some: list[str], varied: list[str]) -> dict[str, float]:
    """Our speeds on both, and how they grow with the threads."""
    return speeds(some, varied) | threaded(varied)


def beside(documents: list[tuple[str, str]]) -> dict[str, float]:
    """Agreement with the peers on (kind, text), and the ratio of speeds to datatrove."""
    return compared(documents) | tagged(documents)


def speeds(some: list[str], varied: list[str]) -> dict[str, float]:
    """MB of UTF-8 a CPU second of all kernels behind the signals, on both, and a line for each."""
    found: dict[str, float] = {}
    for mode, name in (("spacy_en", "rules"), ("unicode", "rules_unicode")):
        passes = kernels(mode)
        tiny = texts(pa.array(["Compile, please: a.b@c.de (x:)) 5km.\n"]))
        for kernel in passes.values():
            kernel(tiny)
        for given, times, key in ((some, 5, f"{name}_mb_per_cpu_s_warm"), (varied, 1, f"{name}_mb_per_cpu_s_cold")):
            column = texts(pa.array(given, pa.large_string()))
            spent = {part: min(seconds(kernel, column) for _ in range(times)) for part, kernel in passes.items()}
            rates = {part: f"{column.bytes / 1e6 / taken:.0f} MB/s" for part, taken in spent.items()}
            print(f"{mode}, {column.bytes / 1e6:.0f} MB:", rates)
            found[key] = round(column.bytes / 1e6 / sum(spent.values()), 1)
    return found | {"rules_unicode_mb_per_cpu_s": found["rules_unicode_mb_per_cpu_s_warm"]}


def threaded(varied: list[str]) -> dict[str, float]:
    """How many times as fast ``measure`` is of all batches with a thread for each core as with one, by the clock."""
    batch, cores = samples.batch_of(varied), len(os.sched_getaffinity(0))
    parts = [batch.slice(at, TEXT_ROWS) for at in range(0, batch.num_rows, TEXT_ROWS)]
    spent = {threads: math.inf for threads in (1, cores)}
    for threads in (*spent, *spent, *spent):
        start = time.perf_counter()
        list(run_threads(measure, parts, threads=threads))
        spent[threads] = min(spent[threads], time.perf_counter() - start)
    print("threads:", {threads: f"{taken:.2f} s" for threads, taken in spent.items()})
    return {"rules_threads": cores, "rules_threads_speedup": round(spent[1] / spent[cores], 2)}


def kernels(mode: Words) -> dict[str, Callable[[Texts], object]]:
    """The four passes over the text, by name; c4 takes what words found last."""
    line_words: words.LineWords

    def cut(column: Texts) -> None:
        nonlocal line_words
        _, line_words = words.measure(column, mode)

    return {
        "profile": profile.measure,
        "lines": lines.measure,
        "words": cut,
        "c4": lambda column: c4.measure(column, mode, line_words),
    }


def seconds(kernel: Callable[[Texts], object], column: Texts) -> float:
    start = time.process_time()
    kernel(column)
    return time.process_time() - start


def compared(documents: list[tuple[str, str]]) -> dict[str, float]:
    """Agreement with datatrove, every disagreement printed by cause, and the ratio of speeds on the same documents."""
    theirs = peers.answers("signals_datatrove.py", samples.of(documents))
    speed = theirs.pop()
    mine = verdicts(samples.of(documents))
    same_words(documents, [answer["words"] for answer in theirs])
    same_lines(samples.of(documents), [answer["left"] for answer in theirs])
    kept = reasons = total = 0
    for name in (*FILTERS, "chain", "unedited"):
        pairs = [(ours[name], it[name]) for ours, it in zip(mine, theirs, strict=True)]
        keep = sum((left is None) == (right is None) for left, right in pairs)
        same = sum(left == right for left, right in pairs)
        print(f"{name}: keep or drop {keep / len(pairs):.4f}, first reason {same / len(pairs):.4f}")
        print("   ", Counter(f"ours {a}, datatrove {b}" for a, b in pairs if a != b).most_common(12))
        if name != "unedited":
            kept, reasons, total = kept + keep, reasons + same, total + len(pairs)
    own = own_speed(samples.of(documents)[: speed["documents"]])
    print(f"on the first {speed['documents']}: ours {own:.1f}, datatrove {speed['mb_per_cpu_s']:.3f} MB a CPU second")
    return {
        "rules_vs_datatrove": round(own / speed["mb_per_cpu_s"], 1),
        "rules_agreement_keep": round(kept / total, 5),
        "rules_agreement_reason": round(reasons / total, 5),
    }


def tagged(documents: list[tuple[str, str]]) -> dict[str, float]:
    """Agreement of the rule sets dolma and nemo with those themselves, every disagreement printed by cause."""
    theirs = peers.answers("signals_taggers.py", samples.of(documents))
    mine = verdicts(samples.of(documents))
    figures = {}
    for name in theirs[0]:
        pairs = [(ours[name], it[name]) for ours, it in zip(mine, theirs, strict=True)]
        keep = sum((left is None) == (right is None) for left, right in pairs) / len(pairs)
        same = sum(left == right for left, right in pairs) / len(pairs)
        print(f"{name}: keep or drop {keep:.4f}, first reason {same:.4f}")
        print("   ", Counter(f"ours {a}, {name} {b}" for a, b in pairs if a != b).most_common(12))
        figures |= {f"{name}_agreement_keep": round(keep, 5), f"{name}_agreement_reason": round(same, 5)}
    return figures


def own_speed(some: list[str]) -> float:
    """MB a CPU second on these texts, twenty times over for the clock's sake."""
    column = texts(pa.array(some * 20, pa.large_string()))
    passes = kernels("spacy_en").values()
    return column.bytes / 1e6 / sum(min(seconds(kernel, column) for _ in range(3)) for kernel in passes)


def same_words(documents: list[tuple[str, str]], theirs: list[list[str]]) -> None:
    """Print how many documents have the same words, and the first that has not."""
    cut = samples.twin("english_words").cut
    other = [(kind, text, words) for (kind, text), words in zip(documents, theirs, strict=True) if cut(text) != words]
    print(
        f"words equal in {len(documents) - len(other)} of {len(documents)} documents,", sum(map(len, theirs)), "words"
    )
    for kind, text, wanted in other[:5]:
        print("   ", kind, [(a, b) for a, b in zip(cut(text), wanted, strict=False) if a != b][:3])


def same_lines(some: list[str], theirs: list[dict[Lines, str | None]]) -> None:
    """Print of how many documents C4's line rules leave the same text, and MB a CPU second of finding what goes."""
    column = pa.array(some, pa.large_string())
    for rule in theirs[0]:
        ours = [
            masked_text(text, found) for text, found in zip(some, lines_of(column, rule)[0].to_pylist(), strict=True)
        ]
        pairs = [(mine, it[rule]) for mine, it in zip(ours, theirs, strict=True) if it[rule] is not None]
        given, kernel = texts(column), partial(c4.edits, needs_mark=rule == "c4")
        spent = min(seconds(kernel, given) for _ in range(3))
        equal = sum(mine == other for mine, other in pairs)
        print(f"lines {rule}: equal text in {equal} of {len(pairs)}, {given.bytes / 1e6 / spent:.0f} MB/s")


def verdicts(some: list[str]) -> list[dict[str, str | None]]:
    """The first failing reason of each filter and of FineWeb's chain, by the SQL of sql/curation."""
    batch = pa.RecordBatch.from_pydict({"doc_id": [str(index) for index in range(len(some))], "text": some})
    con = query.connect(threads=1)
    con.register("measured", pa.Table.from_batches([measure(batch)]))
    con.execute("CREATE SCHEMA staging; CREATE SCHEMA curation; CREATE TABLE staging.current_signals AS FROM measured")
    for name in ("gopher", "c4", "fineweb", "dolma", "nemo"):
        con.execute(f"CREATE VIEW curation.{name} AS {(samples.CHECKOUT / f'sql/curation/{name}.sql').read_text()}")
    left = [name for name in SIGNALS.names if name.startswith(LEFT)]
    whole = ", ".join(f"{name.removeprefix(LEFT)} AS {name}" for name in left)
    con.execute(f"CREATE VIEW staging.whole AS SELECT * REPLACE ({whole}) FROM staging.current_signals")
    alone = (
        (samples.CHECKOUT / "sql/curation/fineweb.sql").read_text().replace("staging.current_signals", "staging.whole")
    )
    con.execute(f"CREATE VIEW curation.alone AS {alone}")
    first = "list_filter({}, lambda rule: rule.failed)[1].reason AS {}"
    before = "gopher.repetition || gopher.quality || c4.open_rules"
    columns = {
        "gopher_quality": "gopher.quality",
        "gopher_repetition": "gopher.repetition",
        "c4": "c4.rules",
        "fineweb": "alone.rules",
        "chain": f"{before} || fineweb.rules",
        "unedited": f"{before} || alone.rules",
        "dolma_gopher": "dolma.rules[:17]",
        "dolma_c4": "dolma.rules[18:]",
        "nemo": "nemo.rules",
    }
    chosen = ", ".join(first.format(rules, name) for name, rules in columns.items())
    rows = query.fetch_all(
        con,
        f"SELECT {chosen} FROM curation.gopher JOIN curation.c4 USING (doc_id)"
        " JOIN curation.fineweb USING (doc_id) JOIN curation.alone USING (doc_id)"
        " JOIN curation.dolma USING (doc_id) JOIN curation.nemo USING (doc_id)"
        " ORDER BY CAST(doc_id AS INTEGER)",
    )
    return [dict(zip(columns, row, strict=True)) for row in rows]


if __name__ == "__main__":
    main()

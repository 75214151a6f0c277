"""Speed of the comparison with benchmarks in MB of text a CPU second, and what of planted items it finds.

    make bench AREA=contamination
    make bench AREA=contamination ARGS="--data FOLDER"    benchmarks/ and books_en.zip of that folder

Benchmarks are GSM8K's test set and HumanEval where they are there, else paragraphs of the standard library; text is the
books, else the standard library's modules. Peer: dictionaries of word 13-grams in plain Python, on a tenth of the text
with every planted item: its spans must be equal. Hits on text that nothing was planted in are printed one by one. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sysconfig
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from samples import DATA, batch_of, best, megabytes, twin

from warehouse.curation.contamination import Benchmarks, contamination
from warehouse.kernels import contamination as kernel
from warehouse.kernels.texts import texts

TWIN = twin("test_contamination")
PLANTED = 400
PLACES = ("start", "stop", "words", "ngrams")
CODE = ("prompt", "entry_point", "canonical_solution", "test")


def main() -> None:
    """Measure, compare with the reference, plant; print a line each and the JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=DATA, help="folder of corpora")
    data = arguments.parse_args().data
    print(json.dumps(figures(data, list(corpus(data)))))


def figures(data: Path, some: list[str]) -> dict[str, Any]:
    """Speed on these texts, what of planted items is found in them, and whether all is as the reference says."""
    items = list(items_of(data))
    against = indexed(items)
    found, unplanted = speed(some, against), met(contamination(batch_of(some), against))
    for row in unplanted:
        print("not planted:", row["item"], some[int(row["doc_id"])].encode()[row["start"] : row["stop"]])
    found["hits_on_what_was_not_planted"] = len(unplanted)
    return found | planted(items, some, against) | equality(items, some[::10], against)


def items_of(data: Path) -> Iterator[tuple[str, str, str]]:
    """(benchmark, item, text)."""
    folder = data / "benchmarks"
    if not folder.is_dir():
        for path in sorted(Path(sysconfig.get_path("stdlib"), "json").glob("*.py")):
            yield from (("stdlib", f"{path}#{n}", part) for n, part in enumerate(path.read_text().split("\n\n")))
        return
    with (folder / "gsm8k_test.jsonl").open(encoding="utf-8") as lines:
        for number, row in enumerate(map(json.loads, lines)):
            yield "gsm8k", f"gsm8k#{number}", f"{row['question']}\n{row['answer']}"
    with gzip.open(folder / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            yield "humaneval", row["task_id"], "\n".join(row[name] for name in CODE)


def corpus(data: Path) -> Iterator[str]:
    """The texts that are searched."""
    file = data / "books_en.zip"
    if not file.is_file():
        yield from (path.read_text("utf-8", "replace") for path in Path(sysconfig.get_path("stdlib")).glob("*.py"))
        return
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if not name.endswith("/"):
                yield archive.read(name).decode("utf-8", "replace")


def indexed(items: list[tuple[str, str, str]]) -> Benchmarks:
    names = sorted({name for name, _, _ in items})
    groups = np.array([names.index(name) for name, _, _ in items], np.int64)
    index = kernel.index(texts(pa.array([text for _, _, text in items], pa.large_string())), groups)
    return Benchmarks(pa.array(names), np.bincount(groups), pa.array([item for _, item, _ in items]), index)


def met(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    return [row for row in rows.to_pylist() if row["start"] >= 0]


def speed(some: list[str], against: Benchmarks) -> dict[str, Any]:
    """MB/s of the whole measurement, rows included."""
    batch, size = batch_of(some), megabytes(some)
    contamination(batch, against)
    rate = size / best(lambda: contamination(batch, against))
    count = against.index.text.size
    print(f"{size:.1f} MB in {len(some)} texts, {count:,} 13-grams: {rate:.0f} MB a CPU second")
    return {"mb": round(size, 1), "decontamination_mb_per_cpu_s": round(rate, 1)}


def planted(items: list[tuple[str, str, str]], some: list[str], against: Benchmarks) -> dict[str, int]:
    """Items put into the middle of pieces of text, one each: how many of 13 words or more were found as themselves."""
    cut, draw = TWIN.cut, random.Random(1)
    chosen = [item for item in draw.sample(items, min(PLANTED, len(items))) if len(cut(item[2])) >= kernel.WORDS]
    pieces = [draw.choice(some)[:4_000] for _ in chosen]
    whole = [f"{piece[:2_000]}\n{text}\n{piece[2_000:]}" for piece, (_, _, text) in zip(pieces, chosen, strict=True)]
    rows = met(contamination(batch_of(whole), against))
    found = {int(row["doc_id"]) for row in rows if row["benchmark"] == chosen[int(row["doc_id"])][0]}
    named = {int(row["doc_id"]) for row in rows if row["item"] == chosen[int(row["doc_id"])][1]}
    print(f"planted {len(chosen)} items of 13 words or more: {len(found)} found, {len(named)} under their own name")
    return {"planted": len(chosen), "found": len(found), "found_under_their_own_name": len(named)}


def equality(items: list[tuple[str, str, str]], some: list[str], against: Benchmarks) -> dict[str, Any]:
    """Whether the spans of some text with items in it are those of the plain reference, and the speed of that."""
    twin, names, labels = TWIN, against.names.to_pylist(), against.items.to_pylist()
    held = twin.known([(names.index(name), text) for name, _, text in items])
    some = [text[:100_000] for text in some] + [text for _, _, text in items[::40]]
    size, began = megabytes(some), time.process_time()
    wanted = [(number, *span) for number, text in enumerate(some) for span in twin.reference(text, held)[0]]
    rate = size / (time.process_time() - began)
    ours = [
        (int(row["doc_id"]), names.index(row["benchmark"]), *(row[name] for name in PLACES), labels.index(row["item"]))
        for row in met(contamination(batch_of(some), against))
    ]
    print(f"reference on {size:.1f} MB: {len(wanted)} spans, equal: {ours == wanted}, {rate:.2f} MB a CPU second")
    return {"reference_mb_per_cpu_s": round(rate, 2), "equal_to_reference": ours == wanted}


if __name__ == "__main__":
    main()

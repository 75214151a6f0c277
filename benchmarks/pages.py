"""Main text of HTML pages: F1 against gold texts and CPU seconds, ours beside resiliparse alone and trafilatura.

    make bench AREA=pages                  all three, in turns, two rounds
    make bench AREA=pages ARGS="--own"     ours and resiliparse alone

Input: the 181 pages of scrapinghub's article-extraction-benchmark in ../shared/data (BENCH_PAGES names another copy),
31.5 MB. F1 is that benchmark's: 4-grams of words, precision and recall averaged over the pages (evaluate.py).
trafilatura runs in an environment of its own, from the same bytes. CPU seconds are user and system of the process that
extracts, start-up apart.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from peers import interpreter

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = Path(os.environ.get("BENCH_PAGES", CHECKOUT.parent / "shared" / "data" / "html_gold_scrapinghub"))
ROUNDS = 2
Extract = Callable[[bytes], str | None]


def main() -> None:
    """Print a line an extractor and the JSON line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--own", action="store_true", help="without trafilatura")
    arguments.add_argument("--extract", choices=EXTRACTORS, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.extract:
        extract(given.extract)
    else:
        print(json.dumps(compared(own=given.own)))


def compared(*, own: bool) -> dict[str, dict[str, float]]:
    """f1, cpu_s and MB of HTML a CPU second by extractor, and a line for each."""
    names = ["ours", "resiliparse"] + ([] if own else ["trafilatura"])
    seconds: dict[str, list[float]] = {name: [] for name in names}
    figures = {}
    for _ in range(ROUNDS):
        for name in names:
            argv = [interpreter() if name == "trafilatura" else sys.executable, __file__, "--extract", name]
            answer = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)
            seconds[name].append(answer["cpu_s"])
            figures[name] = scored(answer["texts"])
    size = sum(len(raw) for raw in pages().values()) / 1e6
    print(f"{len(pages())} pages, {size:.1f} MB of HTML; the best of {ROUNDS} rounds")
    print(f"{'extractor':14}{'precision':>10}{'recall':>8}{'F1':>7}{'CPU s':>8}{'MB/CPU s':>10}")
    for name in names:
        precision, recall, f1 = figures[name]
        spent = min(seconds[name])
        print(f"{name:14}{precision:10.3f}{recall:8.3f}{f1:7.3f}{spent:8.2f}{size / spent:10.1f}")
    best = {name: min(spent) for name, spent in seconds.items()}
    return {
        name: {
            "f1": round(figures[name][2], 3),
            "cpu_s": round(best[name], 2),
            "mb_per_cpu_s": round(size / best[name], 1),
        }
        for name in names
    }


def pages() -> dict[str, bytes]:
    """Name -> bytes of each page."""
    return {
        path.name.split(".")[0]: gzip.decompress(path.read_bytes()) for path in sorted((PAGES / "html").glob("*.gz"))
    }


def extract(name: str) -> None:
    """Print the texts and the CPU seconds of one extractor."""
    run, given = EXTRACTORS[name](), pages()
    run(next(iter(given.values())))
    before = used()
    texts = {key: run(raw) or "" for key, raw in given.items()}
    json.dump({"cpu_s": used() - before, "texts": texts}, sys.stdout)


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def ours() -> Extract:
    """Our page reader, metadata included, without the process around it."""
    from warehouse.sources.page import page

    return lambda raw: page(raw, None)["text"]


def resiliparse() -> Extract:
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    return lambda raw: extract_plain_text(bytes_to_str(raw, detect_encoding(raw)), main_content=True, alt_texts=False)


def trafilatura() -> Extract:
    import trafilatura as peer

    return lambda raw: peer.extract(raw, include_comments=False)


EXTRACTORS = {"ours": ours, "resiliparse": resiliparse, "trafilatura": trafilatura}


def scored(texts: dict[str, str]) -> tuple[float, float, float]:
    """Precision, recall and F1."""
    gold = json.loads((PAGES / "ground-truth.json").read_text())
    precision = recall = 0.0
    for name, truth in gold.items():
        wanted, found = shingles(truth["articleBody"]), shingles(texts[name])
        shared = (wanted & found).total()
        precision += shared / max(1, found.total()) / len(gold)
        recall += shared / max(1, wanted.total()) / len(gold)
    return precision, recall, 2 * precision * recall / (precision + recall)


def shingles(text: str) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", text)
    return Counter(tuple(words[at : at + 4]) for at in range(max(1, len(words) - 3)))


if __name__ == "__main__":
    main()

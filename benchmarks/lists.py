"""Lists of words and of URLs: MB of text a CPU second, URLs a CPU second by a million domains, beside plain Python.

    make bench AREA=lists
    make bench AREA=lists ARGS="--data FOLDER"    bad_words_ldnoobw/en and books_en.zip of that folder

Words are the English list where it is there, else the keywords of Python; texts are the books, else the standard
library. Peer: the expression of C4's filter as datatrove writes it, on a tenth of the texts, which must meet the same.
Domains and URLs are made up; the peer is a set of the domains, asked for each domain above a URL's. Best of three; rows
of the table included. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import keyword
import random
import re
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
from contamination import corpus
from samples import DATA, best

from warehouse.curation.list_recipe import load_list
from warehouse.curation.lists import Held, hold, search_urls, search_words

DOMAINS, URLS = 1_000_000, 200_000


def main() -> None:
    """Measure, compare, print a line each and the JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=DATA, help="folder of corpora")
    data = arguments.parse_args().data
    figures = {**of_words(list(corpus(data)), words_of(data)), **of_urls()}
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


def words_of(data: Path) -> list[str]:
    """The English list of the corpora, else Python's keywords."""
    listed = data / "bad_words_ldnoobw/en"
    return listed.read_text("utf-8").splitlines() if listed.is_file() else keyword.kwlist


def held(stated: str, lines: list[str]) -> tuple[Held, float]:
    """The list of these lines, read from a file, and the CPU seconds that took."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "entries.txt").write_text("\n".join(lines), "utf-8")
        (Path(folder) / "bench.yaml").write_text(stated)
        began = time.process_time()
        return hold(load_list(Path(folder) / "bench.yaml", Path(folder)), 1, ""), time.process_time() - began


def of_words(some: list[str], words: list[str]) -> dict[str, float]:
    """MB a CPU second by the list, by a million entries that no text has, and by the expression."""
    made_up = [f"{word}{number}zz" for number in range(DOMAINS // len(words) + 1) for word in words][:DOMAINS]
    batch, size = words_batch(some), sum(len(text.encode()) for text in some) / 1e6
    own, million = (held("kind: words\nfiles: {en: entries.txt}\n", each)[0] for each in (words, made_up))
    rates = {
        "list_words_mb_per_cpu_s": size / best(warmed(partial(search_words, batch, [own]))),
        "list_words_million_mb_per_cpu_s": size / best(partial(search_words, batch, [million])),
    }
    print(f"{size:.1f} MB, {len(words)} entries:", {name: f"{rate:.0f}" for name, rate in rates.items()})
    part = some[::10]
    expression = re.compile(r"(?:\W|^)({})(?:\W|$)".format("|".join(re.escape(word.strip()) for word in words)))
    began = time.process_time()
    meets = [any(expression.findall(text.lower())) for text in part]
    spent, size = time.process_time() - began, sum(len(text.encode()) for text in part) / 1e6
    found = [matches > 0 for matches in search_words(words_batch(part), [own])["matches"].to_pylist()]
    equal = sum(a == b for a, b in zip(meets, found, strict=True)) / len(part)
    print(f"expression on {size:.1f} MB: {size / spent:.2f} MB a CPU second, the same in {equal:.2%}")
    return {**rates, "expression_mb_per_cpu_s": size / spent, "list_words_agreement": equal}


def words_batch(some: list[str]) -> pa.RecordBatch:
    ids, languages = pa.array(map(str, range(len(some)))), pa.array(["en"] * len(some))
    return pa.record_batch({"doc_id": ids, "text": pa.array(some, pa.large_string()), "language": languages})


def warmed(function: Callable[[], object]) -> Callable[[], object]:
    """The function after its kernels are compiled."""
    function()
    return function


def of_urls() -> dict[str, float]:
    """Seconds to read a million domains, URLs a CPU second by them, and by a set of them in Python."""
    draw = random.Random(1)
    domains = [f"{draw.getrandbits(40):x}.example{number % 50}" for number in range(DOMAINS)]
    hosts = [f"www.{draw.choice(domains)}" if at % 4 == 0 else f"a{at}.example.org" for at in range(URLS)]
    urls = [f"https://{host}/pages/{at}/some-title-of-it?page={at}" for at, host in enumerate(hosts)]
    list_of, read = held("kind: urls\ndomains: entries.txt\n", domains)
    batch = pa.record_batch({"doc_id": pa.array(map(str, range(URLS))), "uri": pa.array(urls)})
    rate = URLS / best(partial(search_urls, batch, [list_of]))
    blocked, began = set(domains), time.process_time()
    meets = [any(above in blocked for above in upwards(urlsplit(url).netloc)) for url in urls]
    plain = URLS / (time.process_time() - began)
    found = [matches > 0 for matches in search_urls(batch, [list_of])["matches"].to_pylist()]
    print(f"{DOMAINS:,} domains read in {read:.1f} CPU s; {rate:,.0f} URLs a CPU second, a set in Python {plain:,.0f}")
    return {
        "list_domains_read_s": read,
        "list_urls_per_cpu_s": rate,
        "set_urls_per_cpu_s": plain,
        "list_urls_agreement": sum(a == b for a, b in zip(meets, found, strict=True)) / URLS,
    }


def upwards(host: str) -> list[str]:
    """A domain and those above it."""
    labels = host.split(".")
    return [".".join(labels[at:]) for at in range(len(labels))]


if __name__ == "__main__":
    main()

"""The documents that the areas of curation measure: a sample of all kinds alike, and some 200 MB of the same kinds.

Kinds: books, mail, web pages by our reader, two versions of a manual, JSON Lines of ../shared/data where they
are, and the installed packages' Python modules.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from warehouse.sources.page import page

CHECKOUT = Path(__file__).resolve().parent.parent
DATA = CHECKOUT.parent / "shared/data"
ARCHIVES = {
    "book": "books_en.zip",
    "mail": "mail_spamassassin.zip",
    "page": "multilingual_html.zip",
    "copy": "near_dup_pgdocs.zip",
}
PIECE = 2_500  # characters of a piece of a book
MOST = 4_000  # characters of any document of the sample
SAMPLE = 5_600
WHOLE = 200_000_000


def sample(data: Path, most: int = SAMPLE) -> list[tuple[str, str]]:
    """(kind, text) of at most so many documents that are not blank, of every kind alike as far as there are.

    Books are in pieces, other documents cut at MOST characters; in random order.
    """
    kinds: dict[str, list[tuple[str, str]]] = {}
    for document in shortened(data):
        if document[1].strip():
            kinds.setdefault(document[0], []).append(document)
    chosen: list[tuple[str, str]] = []
    for left, part in enumerate(sorted(kinds.values(), key=len), start=-len(kinds)):
        share = -(-(most - len(chosen)) // -left)
        chosen += part[:: max(1, len(part) // share)][:share]
    random.Random(0).shuffle(chosen)
    print(len(chosen), "documents", dict(Counter(kind for kind, _ in chosen)))
    return chosen


def whole(data: Path, most: int = WHOLE) -> list[tuple[str, str]]:
    """(kind, text) of documents of all kinds as they are, in random order, up to so many bytes."""
    found = [document for document in documents(data) if document[1].strip()]
    random.Random(0).shuffle(found)
    chosen, kinds, size = [], Counter[str](), 0
    for kind, text in found:
        if size >= most:
            break
        chosen.append((kind, text))
        kinds[kind] += len(text.encode())
        size += len(text.encode())
    print(len(chosen), "whole documents, MB:", {kind: round(size / 1e6, 1) for kind, size in kinds.items()})
    return chosen


def shortened(data: Path) -> Iterator[tuple[str, str]]:
    """(kind, text) of every document: books in 60 pieces, of modules one in seven."""
    modules = 0
    for kind, text in documents(data):
        modules += kind == "code"
        if kind == "book":
            yield from ((kind, text[at : at + PIECE]) for at in range(0, min(len(text), 60 * PIECE), PIECE))
        elif kind != "code" or modules % 7 == 1:
            yield kind, text[:MOST]


def documents(data: Path) -> Iterator[tuple[str, str]]:
    """(kind, text) of every document, in one order."""
    for kind, name in ARCHIVES.items():
        if (data / name).is_file():
            yield from ((kind, text) for text in archived(data / name, kind))
    for path in sorted((data / "jsonl_corpora").rglob("*.json*")):
        yield from (("jsonl", text) for text in strings(path))
    for path in sorted(Path(pa.__file__).parent.parent.rglob("*.py")):
        yield "code", path.read_bytes().decode("utf-8", "replace")


def archived(path: Path, kind: str) -> Iterator[str]:
    """Texts of an archive's files; pages by our reader."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(item for item in archive.namelist() if not item.endswith("/")):
            raw = archive.read(name)
            yield (page(raw, None)["text"] or "") if kind == "page" else raw.decode("utf-8", "replace")


def strings(path: Path) -> Iterator[str]:
    """The longest string of each line of a JSON Lines file."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    for line in io.StringIO(raw.decode("utf-8", "replace")):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        values = [value for value in record.values() if isinstance(value, str)] if isinstance(record, dict) else []
        if values:
            yield max(values, key=len)


def of(documents: list[tuple[str, str]]) -> list[str]:
    """Their texts."""
    return [text for _, text in documents]


def batch_of(texts: list[str]) -> pa.RecordBatch:
    """The batch that curation's functions take; doc_id is the place."""
    ids = pa.array([str(index) for index in range(len(texts))])
    return pa.RecordBatch.from_arrays([ids, pa.array(texts, pa.large_string())], ["doc_id", "text"])


def megabytes(texts: list[str]) -> float:
    """MB of UTF-8."""
    return sum(len(text.encode()) for text in texts) / 1e6


def best(function: Callable[[], object], *, times: int = 3) -> float:
    """The least CPU seconds of some calls."""
    measured = []
    for _ in range(times):
        began = time.process_time()
        function()
        measured.append(time.process_time() - began)
    return min(measured)


def twin(name: str) -> ModuleType:
    """A module of tests/curation: a definition in plain Python."""
    for folder in ("tests", "tests/curation"):
        if str(CHECKOUT / folder) not in sys.path:
            sys.path.insert(0, str(CHECKOUT / folder))
    return import_module(name)

"""A quality classifier and a perplexity trained on real text: AUC and bits a word held out, MB a CPU second to score.

    make bench AREA=scores
    make bench AREA=scores ARGS="--data FOLDER"

Positive: pieces of books (a source an author), pages of PostgreSQL's manual (a source a chapter), the gold bodies of
article pages (a source a site). Negative: spam mail (a source a sender's domain), and boilerplate: the lines of those
article pages that are not of the gold body (a source a site). One source in three is held out whole. ``across``: kinds
that the model has never seen, trained on the others; the harder test. Speed is of the 52 MB of books, both models and
each alone, the best of three; the reference is the definition in plain Python on a part, whose scores must be equal.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import email
import gzip
import json
import math
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from email.message import Message
from itertools import product
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from samples import DATA, batch_of, best, twin

from warehouse.contracts import digest
from warehouse.curation import Model, score
from warehouse.curation.score_models import auc, features, fit_classifier, fit_perplexity, scores
from warehouse.sources.page import page

CUT, REFERENCE = twin("test_contamination").cut, twin("test_score_models").reference
PIECE, MOST = 4_000, 8_000
BITS = 18
POSITIVE, NEGATIVE = ("book", "manual", "article"), ("spam", "boilerplate")


class Document(NamedTuple):
    """A text of a kind, from a source."""

    kind: str
    source: str
    text: str


def main() -> None:
    """Train, measure, print a line each and the JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=DATA, help="folder of corpora")
    data = arguments.parse_args().data
    some = [document for document in documents(data) if document.text.strip()]
    for kind in (*POSITIVE, *NEGATIVE):
        own = [document for document in some if document.kind == kind]
        print(f"{kind}: {len(own)} texts of {len({each.source for each in own})} sources")
    held = [int(digest(document.source), 16) % 3 == 0 for document in some]
    trained = [document for document, out in zip(some, held, strict=True) if not out]
    out = [document for document, out in zip(some, held, strict=True) if out]
    model, figures = classifier(trained), {}
    figures["quality_auc"] = measured(model, out)
    print(f"held out: {len(out)} texts, trained on {len(trained)}: AUC {figures['quality_auc']:.4f}")
    for positive, negative in product(POSITIVE, NEGATIVE):
        pair = [document for document in out if document.kind in (positive, negative)]
        print(f"  {positive} against {negative}: AUC {measured(model, pair):.4f}")
    figures |= across(some)
    plain = perplexity([document for document in trained if document.kind in POSITIVE])
    figures |= likeness(plain, out)
    figures |= speeds(data, model, plain)
    figures |= equality(model, plain, [document.text for document in some[::40]])
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


def documents(data: Path) -> Iterator[Document]:
    """All texts."""
    for name, raw in archived(data / "books_en.zip", ".md"):
        text = raw.decode("utf-8", "replace")
        for start in range(0, min(len(text), 20 * PIECE), PIECE):
            yield Document("book", name.split("/")[1], text[start : start + PIECE])
    for name, raw in archived(data / "near_dup_pgdocs.zip", ".html"):
        if "15.18" in name:
            yield Document("manual", Path(name).stem.split("-")[0], (page(raw, None)["text"] or "")[:PIECE])
    for name, raw in archived(data / "mail_spamassassin.zip", ".txt"):
        if "/spam-" in name:
            yield mail(raw)
    folder = data / "html_gold_scrapinghub"
    paths = {path.name.partition(".")[0]: path for path in folder.rglob("*.html.gz")}
    for name, gold in json.loads((folder / "ground-truth.json").read_text()).items():
        site, body = urlsplit(gold["url"]).netloc, gold["articleBody"]
        yield Document("article", site, body)
        yield Document("boilerplate", site, "\n".join(beside(gzip.decompress(paths[name].read_bytes()), body))[:MOST])


def archived(path: Path, ending: str) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the files of an archive."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(ending):
                yield name, archive.read(name)


def mail(raw: bytes) -> Document:
    """The first text of a mail; its source is the sender's domain."""
    message = email.message_from_bytes(raw)
    sender = re.findall(r"@([\w.-]+)", str(message.get("From", ""))) or ["unknown"]
    part: Message = next((each for each in message.walk() if each.get_content_maintype() == "text"), message)
    body = part.get_payload(decode=True)
    body = body if isinstance(body, bytes) else b""
    html = part.get_content_subtype() == "html"
    text = page(body, None, whole=True)["text"] or "" if html else body.decode("utf-8", "replace")
    return Document("spam", sender[0].lower(), text[:MOST])


def beside(raw: bytes, body: str) -> Iterator[str]:
    """The lines of a page that are not in its gold body."""
    spaced = " ".join(body.split())
    for line in (page(raw, None, whole=True)["text"] or "").splitlines():
        if line.strip() and " ".join(line.split()) not in spaced:
            yield line


def column(some: list[Document]) -> pa.Array:
    return pa.array([document.text for document in some], pa.large_string())


def labels(some: list[Document]) -> list[int]:
    return [int(document.kind in POSITIVE) for document in some]


def classifier(some: list[Document]) -> Model:
    began = time.process_time()
    made = fit_classifier(features(column(some), "classifier", bits=BITS), labels(some), bits=BITS, seed=0)
    print(f"trained on {len(some)} texts in {time.process_time() - began:.1f} CPU s")
    return made


def perplexity(some: list[Document]) -> Model:
    return fit_perplexity(features(column(some), "perplexity", bits=BITS), bits=BITS)


def measured(model: Model, some: list[Document]) -> float:
    return auc(scores(column(some), [model])[0], labels(some))


def across(some: list[Document]) -> dict[str, float]:
    """AUC on kinds of which the model has seen no text."""
    web = [document for document in some if document.kind in ("article", "boilerplate")]
    rest = [document for document in some if document.kind not in ("article", "boilerplate")]
    found = {
        "quality_auc_web_by_books_manual_spam": measured(classifier(rest), web),
        "quality_auc_books_manual_spam_by_web": measured(classifier(web), rest),
    }
    print("across kinds:", {name: f"{value:.4f}" for name, value in found.items()})
    return found


def likeness(model: Model, out: list[Document]) -> dict[str, float]:
    """Bits a word of texts held out, by kind, and the AUC of a low perplexity as a sign of quality."""
    bits, words = (
        np.log2(scores(column(out), [model])[0]),
        np.array([len(part) for part in features(column(out), "perplexity", bits=BITS)]),
    )
    for kind in (*POSITIVE, *NEGATIVE):
        own = np.array([document.kind == kind for document in out]) & (words > 0)
        print(f"  {kind}: {bits[own] @ words[own] / words[own].sum():.2f} bits a word")
    good = np.array(labels(out), bool) & (words > 0)
    return {
        "perplexity_bits_per_word": float(bits[good] @ words[good] / words[good].sum()),
        "perplexity_auc": auc(-np.nan_to_num(bits, nan=math.inf), labels(out)),
    }


def speeds(data: Path, model: Model, plain: Model) -> dict[str, float]:
    """MB of text a CPU second, rows of the table included."""
    books = [raw.decode("utf-8", "replace") for _, raw in archived(data / "books_en.zip", ".md")]
    batch, size = batch_of(books), sum(len(text.encode()) for text in books) / 1e6
    given: dict[str, dict[str, tuple[int, Model]]] = {
        "quality": {"quality": (1, model)},
        "perplexity": {"plain": (1, plain)},
        "scores_both": {"quality": (1, model), "plain": (1, plain)},
    }
    found = {f"{name}_mb_per_cpu_s": size / best(scoring(batch, models)) for name, models in given.items()}
    print(f"{size:.1f} MB of books:", {name: f"{rate:.0f}" for name, rate in found.items()})
    return found


def scoring(batch: pa.RecordBatch, models: dict[str, tuple[int, Model]]) -> Callable[[], object]:
    score(batch, models)
    return lambda: score(batch, models)


def equality(model: Model, plain: Model, some: list[str]) -> dict[str, float]:
    """Whether scores are those of the definition in plain Python, and its speed."""
    cut, twin = CUT, REFERENCE
    size, began = sum(len(text.encode()) for text in some) / 1e6, time.process_time()
    words = [[word for word, _, _ in cut(text)] for text in some]
    wanted = [[twin(each, made) for each in words] for made in (model, plain)]
    rate = size / (time.process_time() - began)
    found = scores(pa.array(some, pa.large_string()), [model, plain])
    equal = all(np.allclose(a, b, rtol=1e-9, atol=1e-6, equal_nan=True) for a, b in zip(found, wanted, strict=True))
    print(f"reference on {size:.1f} MB: equal {equal}, {rate:.2f} MB a CPU second")
    return {"reference_mb_per_cpu_s": rate, "equal_to_reference": float(equal)}


if __name__ == "__main__":
    main()

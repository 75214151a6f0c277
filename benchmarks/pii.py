"""Speed of the search for personal data in MB of text a CPU second, and precision and recall where gold spans exist.

    make bench AREA=pii                          stdlib text, and what ../shared/data holds
    make bench AREA=pii ARGS="--data FOLDER"     mail_spamassassin.zip, books_en.zip and pii_presidio of that folder

Peers: the same kinds as Python's ``re`` with the same checks (tests/curation/pii_twin.py), on a tenth of the text, and
Presidio's recognisers of single kinds, at any score; ``--own`` leaves them out. Gold: presidio-research's 1,500
synthetic sentences; a span counts as found if it overlaps one of its kind. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peers import interpreter
from samples import DATA, batch_of, best, megabytes, twin

from warehouse.curation import pii

PII_TWIN = twin("pii_twin")
GOLD = {
    "US_SSN": "ssn",
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "IP_ADDRESS": "ip",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
}
Spans = dict[str, list[tuple[int, int]]]
PRESIDIO = """
import json, sys
from presidio_analyzer import predefined_recognizers as every
records, kinds = json.load(sys.stdin)
by_kind = {"EMAIL_ADDRESS": every.EmailRecognizer(), "PHONE_NUMBER": every.PhoneRecognizer(),
    "IP_ADDRESS": every.IpRecognizer(), "CREDIT_CARD": every.CreditCardRecognizer(),
    "IBAN_CODE": every.IbanRecognizer(), "US_SSN": every.UsSsnRecognizer()}
found = []
for text in records:
    at = lambda place: len(text[:place].encode())
    found.append({ours: [(at(span.start), at(span.end)) for span in by_kind[name].analyze(text, [name], None) or []]
        for name, ours in kinds.items()})
print(json.dumps(found))
"""


def main() -> None:
    """Measure every corpus that is there; print a line each and the JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--own", action="store_true", help="without the peers")
    arguments.add_argument("--data", type=Path, default=DATA, help="folder of corpora")
    given = arguments.parse_args()
    figures: dict[str, Any] = {name: speed(name, texts, own=given.own) for name, texts in corpora(given.data)}
    print(json.dumps(figures | gold(given.data, own=given.own)))


def gold(data: Path, *, own: bool) -> dict[str, dict[str, dict[str, float]]]:
    """Precision and recall of each kind, ours and Presidio's, where the sentences with gold spans are."""
    file = data / "pii_presidio/synth_dataset_v2.json"
    if not file.is_file():
        return {}
    records = json.loads(file.read_text("utf-8"))
    found = {"gold": found_by_us(records)}
    if not own:
        found["gold_presidio"] = found_by_presidio(records)
    return {name: accuracy(name, records, spans) for name, spans in found.items()}


def corpora(data: Path) -> Iterator[tuple[str, list[str]]]:
    """Name and texts of each corpus: the standard library always, mail and books where they are."""
    yield "code", [path.read_text("utf-8", "replace") for path in Path(sysconfig.get_path("stdlib")).glob("*.py")]
    for name, file in (("mail", "mail_spamassassin.zip"), ("books", "books_en.zip")):
        if (data / file).is_file():
            with zipfile.ZipFile(data / file) as archive:
                names = [item for item in archive.namelist() if not item.endswith("/")]
                yield name, [archive.read(item).decode("utf-8", "replace") for item in names]


def speed(name: str, texts: list[str], *, own: bool) -> dict[str, float]:
    """MB/s of the whole measurement, look-ups and rows included, and how many spans it found."""
    batch, size = batch_of(texts), megabytes(texts)
    pii(batch_of(texts[:1]))
    found = pii(batch)
    figures = {
        "mb": round(size, 1),
        "mb_per_cpu_s": round(size / best(lambda: pii(batch)), 1),
        "spans": found.num_rows - found["kind"].null_count,
    }
    if not own:
        figures["re_mb_per_cpu_s"] = peer(texts[:: max(10, int(size))])
    print(f"{name:8}", figures)
    return figures


def peer(texts: list[str]) -> float:
    """MB/s of the regular expressions."""
    return round(megabytes(texts) / best(lambda: [PII_TWIN.spans(text) for text in texts], times=1), 2)


def found_by_us(records: list[dict[str, Any]]) -> list[Spans]:
    """Our spans of each record."""
    rows = pii(batch_of([record["full_text"] for record in records])).to_pylist()
    ours: list[Spans] = [{} for _ in records]
    for row in rows:
        if row["kind"]:
            ours[int(row["doc_id"])].setdefault(row["kind"], []).append((row["start"], row["stop"]))
    return ours


def found_by_presidio(records: list[dict[str, Any]]) -> list[Spans]:
    """Presidio's spans of each record, in a process of its own environment."""
    asked = json.dumps([[record["full_text"] for record in records], GOLD])
    command = [interpreter(), "-c", PRESIDIO]
    done = subprocess.run(
        command, input=asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    found: list[Spans] = json.loads(done.stdout.splitlines()[-1])
    return found


def accuracy(name: str, records: list[dict[str, Any]], found: list[Spans]) -> dict[str, dict[str, float]]:
    """Precision and recall of each kind against gold spans."""
    wanted = [spans(record) for record in records]
    figures = {kind: scored(kind, found, wanted) for kind in GOLD.values()}
    for kind, figure in figures.items():
        print(f"{name:15}{kind:8}", figure)
    return figures


def spans(record: dict[str, Any]) -> Spans:
    """Gold spans by our kinds, in bytes."""
    text, found = record["full_text"], dict[str, list[tuple[int, int]]]()
    for span in record["spans"]:
        if span["entity_type"] in GOLD:
            place = tuple(len(text[: span[side]].encode()) for side in ("start_position", "end_position"))
            found.setdefault(GOLD[span["entity_type"]], []).append((place[0], place[1]))
    return found


def scored(kind: str, ours: list[Spans], gold: list[Spans]) -> dict[str, float]:
    pairs = [(mine.get(kind, []), true.get(kind, [])) for mine, true in zip(ours, gold, strict=True)]
    given, wanted = sum(len(mine) for mine, _ in pairs), sum(len(true) for _, true in pairs)
    right = sum(any(meets(span, other) for other in true) for mine, true in pairs for span in mine)
    seen = sum(any(meets(span, other) for other in mine) for mine, true in pairs for span in true)
    return {
        "gold": wanted,
        "found": given,
        "precision": round(right / given, 3) if given else 1.0,
        "recall": round(seen / wanted, 3) if wanted else 1.0,
    }


def meets(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


if __name__ == "__main__":
    main()

"""Read files that are one line of so many MB, each under many names; print what came of each, and the memory it took.

Run as a process of its own: ``python long_lines.py FOLDER MB``. A line of JSON for each: name, head, rows, reasons of
rejects, and by how many MB the peak of resident memory grew.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from warehouse.contracts import Dropped, Reject
from warehouse.sources import Located, Source, closing_parser, read

TABLES = ("a.csv", "a.jsonl", "a.json", "a.warc", "a.mcf", "nothing")
HEADS = {
    b"": ["a.csv", "a.txt", "a.html", "a.xml", "a.eml", "a.json", "a.jsonl", "a.py", "a.warc", "a.mcf"],
    b'{"text": "': ["a.jsonl", "a.json", "nothing"],
    b'[{"text": "': ["a.json", "a.jsonl"],
    b'text,b\n1,"': ["a.csv"],
    b"text,b\n1,": ["a.csv"],
    b"<html><p>": ["a.html"],
    b"<?xml version='1.0'?><x>": ["a.xml"],
    b"<?xml version='1.0'?><x y='": ["a.xml"],
    b"From: a@b\nSubject: ": ["a.eml"],
    b"From a@example.org Tue Mar 10 08:00:00 2026\nSubject: x\n\n": ["a.mbox"],
    b"WARC/1.0\r\nWARC-Type: ": ["a.warc"],
    b"#!/bin/sh\n": ["a"],
    b"%PDF-1.4\n": ["a.pdf"],
    b"Node: x\nname: ": ["a.mcf"],
}


def peak_mb() -> float:
    """Peak of this process's resident memory."""
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def outcome(path: Path, name: str, table: str) -> dict[str, Any]:
    """What reading a file under a name gives."""
    before, rows, reasons = peak_mb(), 0, Counter[str]()
    for item in read(Source("s", (name,), table=table), Located(name, path, path.stat().st_size), path):
        if isinstance(item, (Reject, Dropped)):
            reasons[item.reason] += 1
        else:
            rows += item.num_rows
    return {"name": name, "table": table, "rows": rows, "reasons": reasons, "grew_mb": round(peak_mb() - before, 1)}


def main(folder: Path, size_mb: int) -> None:
    path = folder / "long"
    with path.open("wb") as file:
        for _ in range(size_mb):
            file.write(b"word " * 209_715)
    with closing_parser():
        for head, names in HEADS.items():
            with path.open("r+b") as file:
                file.write(head)
            for name in names:
                for table in ("documents", "t") if name in TABLES else ("documents",):
                    print(json.dumps({"head": head.decode(), **outcome(path, name, table)}), flush=True)
            with path.open("r+b") as file:
                file.write(b"word " * 20)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""The peers' environment, made on first use from pinned versions, and a script run in it.

``PEERS`` names another Python that has them. dolma, NeMo Curator and Presidio ask for much that what is measured here
does not use (torch, Ray, a spaCy of another version), so their wheels come without what they ask for.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WHOLE = (
    *("datatrove==0.10.1", "spacy==3.8.18", "nltk==3.10.4", "orjson==3.13.0", "regex==2026.11.19", "tldextract==5.4.0"),
    *("datasketch==2.0.0", "rensa==0.5.0", "trafilatura==2.3.1", "lxml-html-clean==0.4.5"),
    *("dlt[filesystem,parquet]==1.31.0", "warcio==1.8.1"),
    *(
        "phonenumbers==9.0.43",
        "pyyaml",
        "tokenizers==0.23.3",
        "xxhash==3.8.2",
        "msgspec==0.22.0",
        "necessary==0.4.3",
        "loguru==0.7.3",
    ),
)
BARE = ("dolma==1.2.1", "nemo-curator==1.4.0", "presidio-analyzer==2.2.366")


def interpreter(*, whole: Sequence[str] = WHOLE, bare: Sequence[str] = BARE, name: str = ".venv-bench") -> str:
    """The Python that has the peers."""
    if "PEERS" in os.environ:
        return os.environ["PEERS"]
    folder = HERE.parent / name
    python = str(folder / "bin" / "python")
    stamp = folder / hashlib.sha256(repr((whole, bare)).encode()).hexdigest()[:16]
    if not stamp.exists():
        print("making", folder, file=sys.stderr)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([*install, *whole], check=True)
        if bare:
            subprocess.run([*install, "--no-deps", *bare], check=True)
        stamp.touch()
    return python


def answers(script: str, texts: Iterable[str]) -> list[Any]:
    """The lines of JSON that a script beside this one says of the texts: python SCRIPT TEXTS.jsonl ANSWERS.jsonl."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        given, said = Path(folder) / "texts.jsonl", Path(folder) / "answers.jsonl"
        given.write_text("".join(json.dumps(text) + "\n" for text in texts))
        subprocess.run([interpreter(), HERE / script, given, said], check=True)
        return [json.loads(line) for line in said.read_text().splitlines()]

"""Documents a CPU second that a language is found for, ours beside the package of fastText on the same texts.

    make bench AREA=language
    make bench AREA=language ARGS="--data FOLDER"     with the declarations in udhr_xml.zip of that folder

Texts are pieces of 1,000 characters of the standard library's text and, where they are, of 400 languages. Both are
called in turn three times, the least is taken; the package gets what ``identify`` would read. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import sysconfig
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fasttext
import pyarrow as pa
from samples import DATA

from warehouse.curation.language import MAX_CHARS, identify, model_file


def main() -> None:
    """Measure, and print the JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=DATA, help="folder of udhr_xml.zip")
    print(json.dumps(figures(list(texts(arguments.parse_args().data)))))


def figures(pieces: list[str]) -> dict[str, float]:
    """Documents a CPU second, ours and the package's, and the share of which both say the same."""
    model, column = fasttext.load_model(str(model_file())), pa.array(pieces, pa.large_string())
    identify(column.slice(0, 1))
    rounds = [
        (timed(lambda: identify(column)), timed(lambda: [said(model, each) for each in pieces])) for _ in range(3)
    ]
    ours, theirs = (min(measured, key=lambda pair: pair[0]) for measured in zip(*rounds, strict=True))
    equal = sum(one == other for one, other in zip(ours[1].language.to_pylist(), theirs[1], strict=True))
    return {
        "langid_documents": len(pieces),
        "langid_docs_per_cpu_s": round(len(pieces) / ours[0]),
        "langid_fasttext_docs_per_cpu_s": round(len(pieces) / theirs[0]),
        "langid_equal_share": round(equal / len(pieces), 5),
    }


def texts(data: Path) -> Iterator[str]:
    """Pieces of at most MAX_CHARS that hold a word."""
    whole = [path.read_text("utf-8", "replace") for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))]
    if (data / "udhr_xml.zip").is_file():
        with zipfile.ZipFile(data / "udhr_xml.zip") as packed:
            names = sorted(name for name in packed.namelist() if name.endswith(".xml"))
            whole += [re.sub("<[^>]*>", " ", packed.read(name).decode("utf-8", "replace")) for name in names]
    for text in whole:
        pieces = (text[at : at + MAX_CHARS] for at in range(0, min(len(text), 20 * MAX_CHARS), MAX_CHARS))
        yield from (piece for piece in pieces if piece.strip())


def said(model: Any, text: str) -> str:
    """The package's language of a text."""
    (label,), _ = model.predict(" ".join(text.split()))
    return str(label).removeprefix("__label__")


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and its result."""
    began = time.process_time()
    result = function()
    return time.process_time() - began, result


if __name__ == "__main__":
    main()

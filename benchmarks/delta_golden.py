"""Delta's own golden tables, read by us and by the protocol's text: how many give their rows, how many are refused.

    make bench AREA=delta_golden ARGS="--data FOLDER"     with delta_golden.zip in that folder

The tables are those of delta-io/delta, connectors/golden-tables; what a table holds is what benchmarks/delta_twin.py,
a replay of its log in plain Python, finds in it. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import delta_twin

from warehouse.errors import WarehouseError
from warehouse.repository import read_delta


@dataclass(frozen=True, slots=True)
class Verdict:
    """word: right | refused | wrong; said: why it was refused, or a row that differs; empty: it has no rows to give."""

    table: str
    word: str
    said: str
    empty: bool


LARGE = ("parquet-decimal-dictionaries", "parquet-decimal-dictionaries-v2")
"""Tables of a million rows each."""


def verdicts(data: Path, *, without: Sequence[str] = ()) -> Iterator[Verdict]:
    """One of each log in delta_golden.zip of the folder ``data`` but for tables left out, by name."""
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(data / "delta_golden.zip").extractall(folder)
        base = Path(folder) / "delta_golden"
        for log in sorted(base.rglob("_delta_log")):
            if (name := str(log.parent.relative_to(base))) not in without:
                yield _verdict(log.parent, name)


def _verdict(table: Path, name: str) -> Verdict:
    try:
        wanted = delta_twin.rows(table)
    except delta_twin.UnreadableError:
        wanted = None
    try:
        found = Counter(delta_twin.text(row) for row in read_delta(table).read_all().to_pylist())
    except WarehouseError as error:
        return Verdict(name, "refused", str(error).replace(str(table), name), wanted is None)
    if found == wanted:
        return Verdict(name, "right", "", False)
    differing = (found - (wanted or Counter())) or ((wanted or Counter()) - found)
    return Verdict(name, "wrong", next(iter(differing), "rows, where there are none"), wanted is None)


def measure(data: Path) -> dict[str, int]:
    """``delta_golden_right``, ``_refused`` and ``_wrong``, and of the refused those that have rows to give."""
    found = list(verdicts(data))
    words = Counter(each.word for each in found)
    held = sum(each.word == "refused" and not each.empty for each in found)
    named = {f"delta_golden_{word}": words[word] for word in ("right", "refused", "wrong")}
    return {**named, "delta_golden_refused_with_rows": held}


def main() -> None:
    """Measure, and print the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    print(json.dumps(measure(parser.parse_args().data)))


if __name__ == "__main__":
    main()

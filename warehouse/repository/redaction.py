"""Records cut out of the objects of the archive: a new object in the place of the old one, which is removed.

What is cut out, and what is left, a cutter says (warehouse.sources.cutting): it knows the formats. Where it gives
nothing back, or there is none, an empty object takes the old one's place: the records that it held beside stay in the
tables, their bytes are gone. ``archive/<aa>/<sha256>.redacted`` names what is in an object's place, and the archive
never takes the old bytes again; it says ``closed`` where what is left cannot be read as before, for its records have
other numbers or all are gone: such an object is not read again.
Order: the new object, the rows of ``redactions``, the name, then the old object goes; the same again completes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import mirror
from warehouse.contracts import Cut, Cutter, Cutting
from warehouse.repository import archive, delta, writing
from warehouse.repository.storage import room
from warehouse.repository.takedown import REDACTIONS, REDACTIONS_TABLE

ASKED = "asked"
"""Reason where all of an object was asked for."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """What is in an object's place: its sha256, and ``cut`` or why all of the object went."""

    sha256: str
    reason: str


def redact(root: Path, sha256: str, cutter: Cutter | None, *, takedown_id: str, run_id: str, wait_s: float) -> Redacted:
    """What is in the place of an object since a cutter, or all of it without one, was cut out, as ``redactions`` says.

    Raises NotFound, Busy, StorageFull.
    """
    old = archive.object_path(root, sha256).name
    if takedown_id and (reason := _reason(root, old, takedown_id)):
        return Redacted(old, reason)
    place = archive.place(root, old)
    with archive.scratch(root) as folder:
        whole = Cutting(None, (Cut("", 0, place.stat().st_size),), ASKED)
        cutting = cutter(place, folder) if cutter else whole
        chunks = archive.chunks(cutting.path) if cutting.path else []
        new, _ = archive.store_chunks(root, chunks, name=f"{sha256} without")
    if new == old:
        return Redacted(old, cutting.reason)
    said = {"old_sha256": old, "new_sha256": new, "reason": cutting.reason, "takedown_id": takedown_id}
    rows = [
        said | {"member": each.member, "offset": each.offset, "length": each.length, "receipt_id": ""}
        for each in cutting.cuts
    ]
    writing.append(
        root,
        REDACTIONS_TABLE,
        [pa.RecordBatch.from_pylist(rows, schema=REDACTIONS)],
        schema=REDACTIONS,
        source="takedown",
        run_id=run_id,
        keys=("old_sha256", "member", "offset"),
        wait_s=wait_s,
    )
    _replace(root, old, new, closed=cutting.path is None or cutting.renumbered)
    return Redacted(new, cutting.reason)


def _reason(root: Path, sha256: str, takedown_id: str) -> str:
    """Why an object came of this takedown, if it did: it is not to be looked into again for what is no longer in it."""
    files = [file.path for file in delta.files(root / "repository" / REDACTIONS_TABLE)]
    mirror.fetch_all(files)
    wanted = {"new_sha256": sha256, "takedown_id": takedown_id}
    tables = (pq.read_table(path, columns=[*wanted, "reason"]).to_pylist() for path in files)
    found = (row["reason"] for table in tables for row in table if wanted.items() <= row.items())
    return next(found, "")


def _replace(root: Path, old: str, new: str, *, closed: bool) -> None:
    """Let ``new`` stand in the place of ``old``, whose bytes are removed."""
    place = archive.place(root, old)
    with room("a redaction", root):
        draft = place.with_suffix(".redacted.tmp")
        draft.write_text(f"{new} closed\n" if closed else f"{new}\n", "utf-8")
        mirror.replace(draft, place.with_suffix(archive.REDACTED))
    mirror.remove(place)

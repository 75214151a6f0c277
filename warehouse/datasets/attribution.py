"""ATTRIBUTION.md of a release: what each licence asks, and whose texts must be named, as far as the warehouse knows.

    licences   of every licence that was stated: documents, bytes, share, what it asks, where its text is
    naming     of those that ask for credit or a notice: every uri up to EACH texts of a licence, above that source and
               host with the number of texts, the GROUPS largest of a licence

Won: a release of a million pages has a file of some hundred kilobytes. Lost: it then names hosts, and the single pages
stand in documents.parquet alone; the warehouse knows no authors, which are to be read at the uri.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.datasets.licences import ASKS, UNKNOWN, Licence, licence_of

EACH = 200
"""Documents of a licence up to which each is named by its uri."""

GROUPS = 1000
"""Pairs of source and host of a licence that are named, those of the most documents first."""

HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>\[[^\]/]*\]|[^/?#:]*)"
MEASURES = ("documents", "rows", "sources", "tokens", "bytes")


def attribution(
    name: str, counts: Mapping[str, Mapping[str, int]], texts: pa.Table | None, *, changed: Sequence[str], where: str
) -> str:
    """The whole file. counts: licence -> what it holds, by MEASURES; texts: licence, source and uri of each document or
    row, None where a release does not know them; changed: what was done to the texts; where: what lists them all.
    """
    licences = {stated: licence_of(stated) for stated in counts}
    return "\n".join([
        f"# Licences and attribution of {name}\n",
        "Each text keeps the licence under which its source gave it; nothing is guessed where none was stated. What a",
        "licence asks is a reminder of what stands in its own text, which alone counts.\n",
        *_summary(counts, licences),
        *_unclear(counts, licences),
        *_naming(licences, texts, where),
        *_changed(changed),
    ]) + "\n"  # fmt: skip


def _summary(counts: Mapping[str, Mapping[str, int]], licences: Mapping[str, Licence]) -> Iterator[str]:
    measures = [name for name in MEASURES if any(name in held for held in counts.values())]
    yield f"| licence | {' | '.join(measures)} | share of {measures[-1]} | asks | text |"
    yield f"|---|{'--:|' * (len(measures) + 1)}---|---|"
    whole = max(sum(held[measures[-1]] for held in counts.values()), 1)
    for stated, held in sorted(counts.items(), key=lambda row: (-row[1][measures[-1]], row[0])):
        numbers = " | ".join(f"{held[name]:,}" for name in measures)
        share = f"{held[measures[-1]] / whole:.2%}"
        licence = licences[stated]
        yield f"| {cell(stated)} | {numbers} | {share} | {_asked(licence)} | {' '.join(licence.addresses)} |"
    yield "\nIn the column asks:\n"
    yield from (f"- {ask}: {meaning}" for ask, meaning in ASKS.items())


def _asked(licence: Licence) -> str:
    return ", ".join(licence.asks) or "nothing" if licence.terms else "not known"


def _unclear(counts: Mapping[str, Mapping[str, int]], licences: Mapping[str, Licence]) -> Iterator[str]:
    """Texts of which nothing is known but what was stated."""
    unclear = [stated for stated, licence in licences.items() if not licence.terms and stated != UNKNOWN]
    if UNKNOWN in counts:
        yield f"\n`{UNKNOWN}`: the source stated no licence. That gives no leave to use them, and none to pass them on."
    if unclear:
        yield "\nStated, but by none of the SPDX identifiers that are known here; read what the source says:"
        yield ", ".join(f"`{cell(stated)}`" for stated in sorted(unclear)) + "."


def _naming(licences: Mapping[str, Licence], texts: pa.Table | None, where: str) -> Iterator[str]:
    asking = [stated for stated, licence in sorted(licences.items()) if licence.attributed]
    if not asking:
        yield "\n## What must be named\n\nNone of the licences that are known asks for it."
        return
    yield f"\n## What must be named\n\nThe whole list, text by text: {where}."
    for stated in asking:
        yield f"\n### {cell(stated)}\n\n{' '.join(licences[stated].addresses)}\n"
        if texts is not None:
            yield from _named(texts.filter(pc.equal(texts["licence"], stated)))


def _named(texts: pa.Table) -> Iterator[str]:
    """Each text where they are few, else how many of which source and host."""
    if texts.num_rows <= EACH:
        yield "| source | uri |\n|---|---|"
        rows = texts.select(["source", "uri"]).sort_by([("source", "ascending"), ("uri", "ascending")])
        yield from (f"| {cell(row['source'])} | {cell(row['uri'])} |" for row in rows.to_pylist())
        return
    groups = _groups(texts)
    yield f"{texts.num_rows:,}, by source and host:\n\n| source | host | texts |\n|---|---|--:|"
    for row in groups[:GROUPS]:
        yield f"| {cell(row['source'])} | {cell(row['host'])} | {row['host_count']:,} |"
    if left := groups[GROUPS:]:
        yield f"\nAnd {sum(row['host_count'] for row in left):,} texts of {len(left):,} further hosts."


def _groups(texts: pa.Table) -> list[dict[str, Any]]:
    found = pc.struct_field(pc.extract_regex(texts["uri"], HOST), "host")
    hosts = texts.append_column("host", pc.utf8_lower(pc.fill_null(found, "")))
    counted = hosts.group_by(["source", "host"]).aggregate([("host", "count")])
    return list(
        counted.sort_by([("host_count", "descending"), ("source", "ascending"), ("host", "ascending")]).to_pylist()
    )


def _changed(changed: Sequence[str]) -> Iterator[str]:
    yield "\n## What was changed\n"
    yield from (f"- {change}" for change in changed)


def cell(text: str | None) -> str:
    """A text in one cell of a Markdown table."""
    return " ".join(str(text or "").split()).replace("\\", "\\\\").replace("|", "\\|")

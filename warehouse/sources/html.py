"""One document a page: main text, title, what it says of its language, licence and date (``page`` has the rules).

The uri is the page's canonical address where it states one that can stand for it, else the object's. A page without
main text, a list of links for instance, is dropped as ``no_text``. 80 MB of HTML a CPU second.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from warehouse.contracts import RECORDS, Dropped, Readings, Reject
from warehouse.sources import parsing
from warehouse.sources.containers import Member
from warehouse.sources.records import TIMES, Documents
from warehouse.sources.rights import Document
from warehouse.sources.text import load


def read_documents(member: Member, documents: Documents) -> Readings:
    """The member's document."""
    raw = load(member, max_bytes=documents.source.limits.max_record_bytes)
    found = raw if isinstance(raw, Reject) else page_document(raw, uri=member.uri)
    if isinstance(found, (Reject, Dropped)):
        yield found
    else:
        yield from documents.batch([0], columns([found]))


def page_document(
    raw: bytes, *, uri: str, number: int = 0, position: int = 0, charset: str | None = None, address: str = ""
) -> Document | Reject | Dropped:
    """What the page states, under the names of contracts.RECORDS; its ``uri`` is its canonical address or null."""
    try:
        said = parsing.parsed(raw, charset=charset, address=address)
    except (parsing.ParserDied, parsing.ParserFailed) as error:
        return refused(error, raw, uri=uri, record=str(number), position=position)
    if not str(said["text"] or "").strip():
        return Dropped(uri, str(number), "no_text")
    return {
        "text": said["text"],
        "title": said["title"],
        "stated_language": said["language"],
        "licence": said["licence"],
        "published_at": said["published"],
        "uri": said["identity"],
        **{name: said[name] for name in ("canonical", "robots", "tdm_reservation", "tdm_policy")},
    }


def refused(
    error: parsing.ParserDied | parsing.ParserFailed,
    raw: bytes,
    *,
    uri: str,
    record: str,
    position: int,
    reason: str = "not_html",
) -> Reject:
    """The Reject of a page that its parser refused or did not survive."""
    died = isinstance(error, parsing.ParserDied)
    message = f"the parser of this page did not survive it: {error}" if died else str(error)
    name = error.name if isinstance(error, parsing.ParserFailed) else "ParserDied"
    return Reject(uri, record, "parser_died" if died else reason, message, position, name, raw[:200])


def columns(found: Sequence[Document]) -> dict[str, pa.Array]:
    """Documents as columns, times as text; a column that none of them states is left out."""
    names = [name for name in RECORDS.names if any(item.get(name) is not None for item in found)]
    kinds = {name: pa.string() if name in TIMES else RECORDS.field(name).type for name in names}
    return {name: pa.array([item.get(name) for item in found], kinds[name]) for name in names}

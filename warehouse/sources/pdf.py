"""One document a PDF: the text of its pages, its title, when it was made (``pdf_text`` has the rules).

Needs the extra ``pdf``: without it a PDF among other files is a Reject ``missing_extra``, and ``reader: pdf`` is
refused. A PDF whose pages have no text, such as a scan, is dropped as ``no_text``.
"""

from __future__ import annotations

from importlib.util import find_spec

from warehouse.contracts import Dropped, Readings, Reject
from warehouse.errors import MissingExtra
from warehouse.sources import parsing
from warehouse.sources.containers import Member
from warehouse.sources.html import columns, refused
from warehouse.sources.page import moment
from warehouse.sources.records import Documents
from warehouse.sources.rights import Document
from warehouse.sources.text import load

INSTALL = "pip install 'ml-warehouse[pdf]'"


def read_documents(member: Member, documents: Documents) -> Readings:
    """The member's document. Raises MissingExtra where the source states this reader and pypdfium2 is not there."""
    if find_spec("pypdfium2") is None:
        if documents.source.reader == "pdf":
            raise MissingExtra("PDF is read with pypdfium2, which is not installed", do=INSTALL)
        message = f"a PDF, which needs pypdfium2: {INSTALL}, then 'warehouse rejects {documents.source.name} --retry'"
        yield Reject(member.uri, "0", "missing_extra", message)
        return
    raw = load(member, max_bytes=documents.source.limits.max_record_bytes)
    found = raw if isinstance(raw, Reject) else _document(raw, member.uri, documents.source.limits.max_record_bytes)
    if isinstance(found, (Reject, Dropped)):
        yield found
    else:
        yield from documents.batch([0], columns([{"title": member.name, **found}]))


def _document(raw: bytes, uri: str, max_chars: int) -> Document | Reject | Dropped:
    try:
        said = parsing.pdf(raw, max_chars=max_chars)
    except (parsing.ParserDied, parsing.ParserFailed) as error:
        return refused(error, raw, uri=uri, record="0", position=0, reason="not_pdf")
    if not str(said["text"] or "").strip():
        return Dropped(uri, "0", "no_text")
    found: Document = {"text": said["text"], "published_at": moment(str(said["created"] or ""))}
    return {**found, "title": said["title"]} if said["title"] else found

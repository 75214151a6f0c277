"""What of a text may be shown: the beginning of it, or where two differ, personal data masked.

Spans are those that the search of personal data stored; a text that was not searched is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from warehouse.query import Connection, fetch_all

CONTEXT, LINE = 30, 100
"""Characters shown before the first difference of two lines, and of a line in all."""
MOST_LINES = 2_000
"""Lines of each text that are compared: the work grows with their product."""


@dataclass(frozen=True, slots=True)
class Span:
    """A place of personal data in UTF-8 bytes, and what takes its place where a data set masks the kind."""

    kind: str
    start: int
    stop: int
    mask: str


def spans(con: Connection, doc_ids: Sequence[str]) -> dict[str, tuple[Span, ...]]:
    """Personal data by document as the newest search found it, in order; documents not searched are left out."""
    if not fetch_all(con, "SELECT 1 FROM meta.inputs WHERE table_name = 'pii'"):
        return {}
    sql = """
        SELECT doc_id, kind, start, stop, mask FROM repository.pii
        WHERE doc_id IN (SELECT unnest($1)) AND version = (SELECT max(version) FROM repository.pii) ORDER BY start"""
    found = dict[str, tuple[Span, ...]]()
    for doc_id, kind, start, stop, mask in fetch_all(con, sql, [list(doc_ids)]):
        found[doc_id] = (*found.get(doc_id, ()), *([Span(kind, start, stop, mask)] if kind else []))
    return found


def shown_texts(con: Connection, doc_ids: Sequence[str]) -> dict[str, str]:
    """The texts of documents with their personal data masked; "" for a document without text."""
    sql = """
        SELECT doc_id, coalesce(any_value(text), '') FROM repository.documents
        WHERE doc_id IN (SELECT unnest($1)) GROUP BY doc_id"""
    found = spans(con, doc_ids)
    return {doc_id: masked(text, found.get(doc_id, ())) for doc_id, text in fetch_all(con, sql, [list(doc_ids)])}


def masked(text: str, found: Iterable[Span]) -> str:
    """The text with each span replaced by its mask."""
    raw, parts, at = text.encode(), list[bytes](), 0
    for span in found:
        parts += [raw[at : span.start], span.mask.encode()]
        at = span.stop
    return b"".join([*parts, raw[at:]]).decode("utf-8", "replace")


def masked_part(text: str, found: Iterable[Span], start: int, stop: int) -> str:
    """The bytes ``start`` to ``stop`` of a text, the part of each span that lies in them replaced by its mask."""
    inside = [
        Span(span.kind, max(span.start, start) - start, min(span.stop, stop) - start, span.mask)
        for span in found
        if span.start < stop and span.stop > start
    ]
    return masked(text.encode()[start:stop].decode("utf-8", "replace"), inside)


def excerpt(text: str, characters: int = 160) -> str:
    """The beginning of a text on one line."""
    begun = " ".join(text[: 4 * characters].split())
    return begun if len(begun) <= characters else begun[: characters - 1] + "…"


def difference(text: str, other: str, *, most: int = 6) -> tuple[str, ...]:
    """The first changed lines of two texts: ``- `` of the one, ``+ `` of the other, cut around where they differ."""
    found = [line for _, line in zip(range(most), _changed(text, other), strict=False)]
    return tuple(found)


def _changed(text: str, other: str) -> Iterator[str]:
    left, right = ([line.strip() for line in each.splitlines()[:MOST_LINES]] for each in (text, other))
    for tag, i, j, k, m in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag != "equal":
            start = max(_common(left[i:j], right[k:m]) - CONTEXT, 0)
            yield from (_cut("- ", line, start) for line in left[i:j])
            yield from (_cut("+ ", line, start) for line in right[k:m])


def _common(left: list[str], right: list[str]) -> int:
    """Characters that two changed lines begin with alike; 0 for other than one line each."""
    if len(left) != 1 or len(right) != 1:
        return 0
    pairs = enumerate(zip(left[0], right[0], strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(left[0]), len(right[0])))


def _cut(sign: str, line: str, start: int) -> str:
    shown = ("…" if start else "") + line[start : start + LINE]
    return sign + shown + ("…" if len(line) > start + LINE else "")

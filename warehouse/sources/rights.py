"""What the headers of an HTTP response say to robots and of mining, in the columns of a document.

X-Robots-Tag, tdm-reservation and tdm-policy (TDMRep, W3C Community Group 2024) hold for all that a response brought,
so for each record of an object that was fetched from a URL. They are kept as header lines in the object's fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message

import pyarrow as pa

from warehouse.sources.page import SIGNALS, directives, policy, reservation

Document = Mapping[str, str | bool | None]
"""Columns of contracts.RECORDS that a record states; times as ISO text."""
HEADERS = ("x-robots-tag", *SIGNALS[1:])
MOST = 2000
"""Characters of a header that are kept."""
COLUMNS = {"robots": pa.string(), "tdm_reservation": pa.bool_(), "tdm_policy": pa.string()}


def lines_of(headers: Message) -> str | None:
    """The lines of a response that say so, ``x-robots-tag: noai``, several of one name as one; None for none."""
    said = {name: " ".join(", ".join(headers.get_all(name, ()))[:MOST].split()) for name in HEADERS}
    return "\n".join(f"{name}: {value}" for name, value in said.items() if value) or None


def with_headers(document: Document, fields: Mapping[str, str], address: str) -> Document:
    """The document with what the headers of its HTTP response say to robots and of mining, beside what it says itself:
    X-Robots-Tag, tdm-reservation, tdm-policy.
    """
    if not fields.keys() & {*HEADERS}:
        return document
    robots = (document.get("robots"), fields.get("x-robots-tag"))
    said = (reservation(fields.get("tdm-reservation")), document.get("tdm_reservation"))
    own = document.get("tdm_policy")
    return {
        **document,
        "robots": directives(*(str(text) for text in robots if text)),
        "tdm_reservation": next((each for each in (True, False) if each in said), None),
        "tdm_policy": own or policy(address, fields.get("tdm-policy")),
    }


def with_lines(columns: Mapping[str, pa.Array], size: int, lines: str, address: str) -> dict[str, pa.Array]:
    """Columns of ``size`` documents, with what header lines say of each."""
    fields = dict(line.split(": ", 1) for line in lines.split("\n"))
    stated = {name: columns[name].to_pylist() for name in COLUMNS if name in columns}
    if not stated:
        alike = with_headers({}, fields, address)
        return {**columns, **{name: pa.repeat(pa.scalar(alike[name], kind), size) for name, kind in COLUMNS.items()}}
    rows = [with_headers({name: values[at] for name, values in stated.items()}, fields, address) for at in range(size)]
    return {**columns, **{name: pa.array([row[name] for row in rows], kind) for name, kind in COLUMNS.items()}}

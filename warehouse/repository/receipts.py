"""Receipts as text, and what they add up to. The text travels as metadata of the commit it describes (Delta
``commitInfo``): objects are rows of values under one list of names, about 190 bytes an object.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any

import orjson

from warehouse.contracts import ObjectFact, Receipt

_FACT = tuple(field.name for field in fields(ObjectFact))
_values = attrgetter(*_FACT)


def encode(receipt: Receipt) -> str:
    """A receipt as compact JSON, without its version, which only the log knows."""
    value: dict[str, Any] = {
        field.name: getattr(receipt, field.name) for field in fields(Receipt) if field.name != "version"
    }
    value["objects"] = {"columns": _FACT, "rows": [_values(fact) for fact in receipt.objects]}
    return orjson.dumps(value).decode()


def decode(text: str, version: int) -> Receipt:
    """The receipt of the commit that made ``version``."""
    value = orjson.loads(text)
    names = value["objects"]["columns"]
    facts = (dict(zip(names, row, strict=True)) for row in value.pop("objects")["rows"])
    objects = tuple(ObjectFact(**_timed(fact, "known_at", "grown_since")) for fact in facts)
    value["columns"] = tuple(value.get("columns", ()))
    return Receipt(**_timed(value, "committed_at"), objects=objects, version=version)


def current(receipts: Iterable[Receipt], source: str) -> dict[str, ObjectFact]:
    """By uri, the fact of ``source`` known last; of equal ones, the one committed last."""
    found: dict[str, ObjectFact] = {}
    for receipt in receipts:
        if receipt.source == source:
            for fact in receipt.objects:
                put_current(found, fact)
    return found


def put_current(found: dict[str, ObjectFact], fact: ObjectFact) -> None:
    """Fold one more fact, committed after those before it."""
    held = found.get(fact.uri)
    if held is None or fact.known_at >= held.known_at:
        found[fact.uri] = fact


def totals(facts: Iterable[ObjectFact]) -> dict[str, int]:
    """The sums of the row counts over facts, under the names that a Receipt has for them."""
    names = ("rows_in", "rows_out", "unchanged", "rejected", "dropped", "deleted")
    sums = dict.fromkeys(names, 0)
    for fact in facts:
        for name in names:
            sums[name] += getattr(fact, name)
    return sums


def _timed(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return {**value, **{name: datetime.fromisoformat(value[name]) for name in names if value.get(name)}}

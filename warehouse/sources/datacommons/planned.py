"""Observations of a template over many rows at once: what a property has in a row depends on one cell alone.

Each different cell of a property is read and checked once, by what reads and checks a row (``template``, ``checks``),
beside other properties that nothing is wrong with. A row in which a cell is ODD is left to that, and so is a template
of which one observation states a dcid, refers to a node without one, or has a property of several columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from warehouse.sources.datacommons.checks import Checker
from warehouse.sources.datacommons.config import COLUMNS
from warehouse.sources.datacommons.mcf import Finding, Node, Value, bare, spelt
from warehouse.sources.datacommons.template import Made, Row, Template
from warehouse.sources.datacommons.vocabulary import KEY, OBSERVATION

OWN = ("typeOf", "dcid", "keyString", *KEY, "provenance")
REQUIRED = KEY[:3]
HELD = 1 << 16
"""Different cells of a property that are remembered."""
DIGITS = "+-.0123456789"
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")
"""Cells of ``value`` that say what they are: most differ, and are neither looked up nor remembered."""
ODD = object()
"""In place of what a cell says: the row is to be read by itself."""
RIGHT = {
    "typeOf": [Value("reference", OBSERVATION)],
    "variableMeasured": [Value("reference", "variable")],
    "observationAbout": [Value("reference", "place")],
    "observationDate": [Value("text", "2000")],
    "value": [Value("number", "1")],
}
"""An observation that nothing is wrong with."""


class Property(dict[str, Any]):
    """What each cell of its column says of a property of an observation: its first value, or None where it has none;
    of properties beside OWN every value as MCF spells it; of ``value`` the one as MCF spells it.
    """

    def __init__(self, template: Template, owner: str, name: str, column: str | None) -> None:
        super().__init__()
        self._template, self._owner, self.name = template, owner, name
        self.column = None if column is None else template.columns[column]
        self._numbers = name == "value" and column is not None and template.delimiter not in DIGITS

    def __missing__(self, cell: str) -> Any:
        if self._numbers and NUMBER.fullmatch(cell):
            return cell
        if len(self) >= HELD:
            self.clear()
        found = self[cell] = self._said(cell)
        return found

    def _said(self, cell: str) -> Any:
        values, findings = self._values(cell)
        if any(not each.check.startswith("StrSplit_") for each in findings):
            return ODD
        if not values:
            return ODD if self.name in REQUIRED else [] if self.name not in OWN else None
        several = self.name in KEY and len(values) > 1
        if several or any(each.kind in ("complex", "local") or each.text.startswith("l:") for each in values):
            return ODD
        if not Checker(findings.append).check(Node(self._owner, {**RIGHT, self.name: values})):
            return ODD
        if self.name == "value":
            return spelt(values[0]) if values[0].kind in ("reference", "text") else values[0].text
        return list(map(spelt, values)) if self.name not in OWN else bare(values[0].text) or None

    def _values(self, cell: str) -> tuple[list[Value], list[Finding]]:
        findings: list[Finding] = []
        cells = [""] * len(self._template.columns)
        if self.column is not None:
            cells[self.column] = cell
        made = Made(self._template, Row(1, cells), findings.append)
        return made.values(self._owner, self.name), findings


@dataclass(frozen=True, slots=True)
class Observations:
    """The observations of one node of a template."""

    name: str
    properties: Mapping[str, Property]

    def read(self, cells: Sequence[Sequence[str]], size: int) -> dict[str, list[Any]]:
        """Columns of observations (observations.OBSERVATIONS, ``text`` for ``value``), one of each row; ODD in some.

        cells: of each column of the CSV. ``text`` is None where a row has no value.
        """
        said = {
            name: [each[""]] * size if each.column is None else [each[cell] for cell in cells[each.column]]
            for name, each in self.properties.items()
        }
        none = [None] * size
        row = {COLUMNS[name]: said.get(name, none) for name in KEY if name != "value"}
        further = {name: said[name] for name in said if name not in OWN}
        row |= {"text": said["value"], "provenance": said.get("provenance", none)}
        row["properties"] = [_json(further, each) for each in zip(*further.values(), strict=True)] if further else none
        if ODD in (each := said.get("keyString", ())):
            row["properties"] = [ODD if odd is ODD else text for odd, text in zip(each, row["properties"], strict=True)]
        return row


def _json(names: Mapping[str, Any], values: Sequence[Any]) -> Any:
    if ODD in values:
        return ODD
    stated = {name: value for name, value in zip(names, values, strict=True) if value}
    return orjson.dumps(stated).decode() if stated else None


def planned(template: Template) -> list[Observations] | None:
    """The observations of a template, None where rows must be read by themselves."""
    found = []
    for name, node in template.nodes.items():
        if OBSERVATION in node.all("typeOf"):
            columns = {key: _columns(template, node, key) for key in node.values if key != "functionalDeps"}
            plain = {key: each for key, each in columns.items() if each is not None and len(each) <= 1}
            if "dcid" in columns or "value" not in columns or len(plain) < len(columns) or columns["typeOf"]:
                return None
            if set(node.all("typeOf")) != {OBSERVATION} or not set(REQUIRED) <= columns.keys():
                return None
            made = {key: Property(template, name, key, next(iter(each), None)) for key, each in plain.items()}
            made.pop("typeOf")
            found.append(Observations(name, made))
    short = [name.removeprefix("E:").replace("->", "/") for name in template.nodes]
    return found if found and len(set(short)) == len(short) else None


def _columns(template: Template, node: Node, key: str) -> set[str] | None:
    """The columns of the CSV that a property of a node is made of; None where it refers to a node without a dcid."""
    found: set[str] = set()
    for value in node.values[key]:
        if value.kind == "column":
            found.add(value.text.partition("->")[2])
        elif value.kind == "entity":
            other = template.nodes.get(value.text)
            if other is None or "dcid" not in other.values or key == "dcid":
                return None
            found |= _columns(template, other, "dcid") or set()
    return found if found <= template.columns.keys() else None

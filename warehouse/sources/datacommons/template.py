"""A TMCF over the rows of a CSV: for each row, the template's nodes with the row's cells in place of its columns.

A cell may hold several values, with the CSV's own delimiter between them. A node whose dcid the template states is
named by it; any other is TABLE/NODE/ROW, rows counted from 1, and a reference to it is local to the row. A node that
does not pass its checks is left out of its row.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from warehouse.sources.datacommons.checks import Checker
from warehouse.sources.datacommons.mcf import BLANK, Finding, Level, Node, Note, Say, Value, split, term, typed
from warehouse.sources.datacommons.resolve import Graph

NO_NAME = "dcid:"
END = "\x1eend of object\x1e"
"""A last line, which a row whose quote is still open takes into its last cell."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the CSV, its line as the import tool counts it (the header is line 1, blank lines are not counted)."""

    line: int
    cells: Sequence[str]


def csv_rows(lines: Iterable[str], delimiter: str) -> Iterator[Row]:
    """The header and the rows: a backslash takes the meaning from the sign after it, blanks around a cell are none.

    END, where a quote was still open at the end of the lines, stays at the end of its cell.
    """
    found = csv.reader(itertools.chain(lines, [END]), delimiter=delimiter, escapechar="\\", skipinitialspace=True)
    for number, cells in enumerate((cells for cells in found if cells), 1):
        if cells == [END]:
            return
        yield Row(number, [cell if cell.endswith(END) else cell.strip(BLANK) for cell in cells])


@dataclass(slots=True)
class Template:
    """The nodes of a TMCF, and the columns that they may name."""

    nodes: Graph
    columns: Mapping[str, int]
    file: str
    delimiter: str = ","
    checker: Checker = field(default_factory=lambda: Checker(lambda finding: None))

    def graph(self, row: Row, note: Note) -> Graph:
        """The nodes of one row, by name. A row with more or fewer cells than the header has none."""
        if len(row.cells) != len(self.columns):
            message = f"{len(row.cells)} cells, the header has {len(self.columns)}"
            note(Finding("error", "CSV_InconsistentRows", message, self.file, row.line))
            return {}
        return Made(self, row, note).graph()


@dataclass(slots=True)
class Made:
    """What the template makes of one row."""

    template: Template
    row: Row
    note: Note
    dcids: dict[str, Value] = field(default_factory=dict)

    def say(self, level: Level) -> Say:
        where = self.template.file, self.row.line
        return lambda check, message: self.note(Finding(level, check, message, *where))

    def values(self, owner: str, name: str) -> list[Value]:
        """The values of a property of one node."""
        self._name_all()
        return self._values(owner, self.template.nodes[owner], name)

    def graph(self) -> Graph:
        """Every node, by name."""
        self._name_all()
        made: Graph = {}
        for name, node in self.template.nodes.items():
            own = self._node_name(name)
            if own == NO_NAME:
                continue
            fresh = Node(own, places=[(self.template.file, self.row.line)], template=name)
            for key in node.values:
                if key != "functionalDeps" and (values := self._values(name, node, key)):
                    fresh.values[key] = values
            self.template.checker.note = self.note
            if self.template.checker.check(fresh):
                made[own] = fresh
        return made

    def _name_all(self) -> None:
        for name, node in self.template.nodes.items():
            if "dcid" in node.values:
                self._name(name, node)

    def _name(self, name: str, node: Node) -> None:
        """The dcid of a node that states one; empty where its cell has none."""
        self.dcids[name] = Value("text", "")
        values = self._values(name, node, "dcid")
        if values and values[0].kind in ("text", "reference"):
            self.dcids[name] = values[0]
        elif values:
            self.say("warning")("CSV_MalformedDCIDFailures", f"dcid {values[0].text!r} of {name} is no text")

    def _node_name(self, name: str) -> str:
        if name in self.dcids:
            return NO_NAME + self.dcids[name].text
        table, _, entity = name.removeprefix("E:").partition("->")
        return f"{table}/{entity}/{self.row.line - 1}"

    def _values(self, owner: str, node: Node, name: str) -> list[Value]:
        """The values of a property in this row, none twice."""
        found: list[Value] = []
        for value in node.values[name]:
            if value.kind == "column":
                found += self._cell(name, value.text)
            elif value.kind == "entity":
                found += self._reference(owner, name, value.text)
            else:
                found.append(value)
        return list(dict.fromkeys(found))

    def _reference(self, owner: str, name: str, entity: str) -> list[Value]:
        if name == "dcid":
            self.say("error")("TMCF_TmcfEntityAsDcid", f"the dcid of {owner} is a node")
            return []
        if entity not in self.dcids:
            return [Value("local", f"l:{self._node_name(entity)}")]
        value = self.dcids[entity]
        if not value.text:
            self.say("warning")("CSV_EmptyDcidReferences", f"{name} of {owner} is {entity}, whose dcid is empty")
            return []
        return [Value("reference", value.text, value.column)]

    def _cell(self, name: str, column: str) -> list[Value]:
        found = term(column, self.say("error"))
        key = found[1] if found else column
        if key not in self.template.columns:
            self.say("error")("CSV_TmcfMissingColumn", f"no column {key!r}")
            return []
        warn, refuse = self.say("warning"), self.say("error")
        parts = split(
            self.row.cells[self.template.columns[key]],
            self.template.delimiter,
            lambda check, message: warn(f"{check}_{name}", message),
        )
        return [value for part in parts if (value := typed(name, part, refuse, column=key)) is not None]

"""MCF, Data Commons' text form of nodes, and its template form TMCF: lines in, nodes out, and text again.

```
Node: dcid:geoId/06          a node begins; dcid:, dcs: or schema: before its name is its dcid
typeOf: dcs:State            property: value, value; a value in quotes is text, [Years 18 -] a quantity or a range
name: "California"           # and // begin a comment line
value: C:Table->Column       a template's value: a column of the CSV, or E:Table->E1, another of its nodes
```
A line that is none of these costs itself and is a Finding with its number. Nodes are given one by one, so a file of
any size takes the memory of its largest node. Won against reading by blank lines: a node ends where the next begins,
as in the import tool, so that properties after a refused ``Node:`` belong to the node before it. Lost: a node that is
stated twice comes twice.

Rules: those of the import tool of Data Commons (docs/counters.md there names the findings), which its expected files
hold us to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from warehouse.sources.datacommons.vocabulary import REFERENCES

Kind = Literal["text", "number", "reference", "local", "complex", "entity", "column"]
"""reference: a dcid; local: l:NODE of the same files; complex: in brackets; entity and column: of a template."""
Level = Literal["warning", "error", "fatal"]

GLOBAL = ("dcid:", "dcs:", "schema:")
BLANK = "".join(map(chr, range(33)))
NUMBER = re.compile(
    r"[+-]?(NaN|Infinity|(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[fFdD]?|0[xX]([\da-fA-F]+\.?[\da-fA-F]*|\.[\da-fA-F]+)"
    r"[pP][+-]?\d+[fFdD]?)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a property; column: of the CSV that it was read from."""

    kind: Kind
    text: str
    column: str | None = None


@dataclass(slots=True)
class Node:
    """A node: its name in the file, its values by property in their order, and where it stands (file, line).

    template: the node of the template that made it; error: why it has no dcid.
    """

    name: str
    values: dict[str, list[Value]] = field(default_factory=dict)
    places: list[tuple[str, int]] = field(default_factory=list)
    template: str = ""
    error: str = ""

    def first(self, name: str) -> str:
        """The first value of a property without its prefix, empty where it has none."""
        found = self.values.get(name)
        return bare(found[0].text) if found else ""

    def all(self, name: str) -> list[str]:
        """Every value of a property without its prefix."""
        return [bare(value.text) for value in self.values.get(name, ())]

    @property
    def dcid(self) -> str:
        """What Data Commons calls it, empty where nothing states that."""
        return self.first("dcid")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong in a file, or may be. check: the import tool's name for it; line: -1 where none is known."""

    level: Level
    check: str
    message: str
    file: str
    line: int = -1


Note = Callable[[Finding], None]
Say = Callable[[str, str], None]
"""Takes a check and a message; where and how bad it is, is known."""


def bare(text: str) -> str:
    """A value without the prefix that makes it a dcid."""
    return text[text.index(":") + 1 :] if text.startswith(GLOBAL) else text


def is_number(text: str) -> bool:
    """Whether a text is a number as Java reads one, with NaN, Infinity and hexadecimal floats."""
    return NUMBER.fullmatch(text.strip(BLANK)) is not None


def parse(lines: Iterable[str], *, file: str, note: Note, template: bool = False) -> Iterator[Node]:
    """Nodes of the lines of an MCF file, of a TMCF with ``template``; a Finding for each line that is refused."""
    node: Node | None = None
    for number, raw in enumerate(lines, 1):
        line = raw.strip(BLANK)
        if not line or line.startswith(("//", "#")):
            continue
        say = _sayer(note, file, number)
        name, colon, value = _cut(line)
        if not colon:
            say("MCF_MalformedColonLessLine", f"no colon after a property in {line!r}")
        elif name == "Node":
            begun = _begun(value, say, template)
            if begun is not None:
                begun.places.append((file, number))
                if node is not None and node.values:
                    yield node
                node = begun
        elif node is None:
            say("MCF_UnexpectedProperty", f"a property before the first Node: {line!r}")
        elif value:
            _take(node, name, value, say, template)
    if node is not None and node.values:
        yield node
    elif node is not None:
        _sayer(note, *node.places[0])("MCF_MalformedNode", f"node {node.name!r} has no property")


def _sayer(note: Note, file: str, line: int, level: Level = "error") -> Say:
    return lambda check, message: note(Finding(level, check, message, file, line))


def _cut(line: str) -> tuple[str, str, str]:
    """Property, colon and value; no colon where the line has none, or nothing before it."""
    skipped = 6 if line.startswith("https:") else 5 if line.startswith("http:") else 0
    at = line.find(":", skipped)
    return (line[:at].strip(BLANK), ":", line[at + 1 :].strip(BLANK)) if at > skipped else (line, "", "")


def _begun(name: str, say: Say, template: bool) -> Node | None:
    """A node of this name, with its dcid where the name is one; None for a name that is refused."""
    if "," in name:
        say("MCF_MalformedNodeName", f"a comma in the name of node {name!r}")
    elif name.startswith('"'):
        say("MCF_MalformedNodeName", f"quotes around the name of node {name!r}")
    elif template and (term(name, say) is None or not name.startswith("E:")):
        say("TMCF_MalformedEntity", f"node {name!r} of a template is no E:TABLE->NAME")
    else:
        found = Node(name)
        if not template and name.startswith(GLOBAL):
            found.values["dcid"] = [Value("text", bare(name))]
        return found
    return None


def _take(node: Node, name: str, text: str, say: Say, template: bool) -> None:
    """Add what a line states of a property; the dcid that it states itself goes before that of its name."""
    own = name == "dcid" and node.name.startswith(GLOBAL)
    values = [] if own else node.values.get(name, [])
    for each in split(text, ",", lambda check, message: say(f"{check}_{name}", message)):
        value = typed(name, each, say, template=template)
        if value is not None and value not in values:
            values.append(value)
    if values or own:
        node.values[name] = values
    if not node.values.get(name):
        node.values.pop(name, None)


def term(text: str, say: Say) -> tuple[str, str] | None:
    """Table and name of ``E:TABLE->NAME`` or ``C:TABLE->NAME``; None, with a finding, where the arrow is missing.

    Any other text is a constant: ("", text).
    """
    if not text.startswith(("E:", "C:")):
        return "", text
    table, arrow, name = text[2:].partition("->")
    if not arrow:
        say("TMCF_MalformedSchemaTerm", f"no -> in {text!r}")
        return None
    return table, name


def typed(name: str, text: str, say: Say, *, template: bool = False, column: str | None = None) -> Value | None:
    """One value of a property in its kind; None, with a finding, for one that is refused."""
    if template and name == "C":
        say("TMCF_UnsupportedColumnNameInProperty", "a property cannot be a column")
        return None
    if template and text.startswith(("E:", "C:")):
        kind: Kind = "entity" if text.startswith("E:") else "column"
        return None if term(text, say) is None else Value(kind, text)
    if text.startswith('"') and name not in REFERENCES:
        return Value("text", _unquoted(text), column)
    return _plain(name, _unquoted(text), say, column)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _plain(name: str, text: str, say: Say, column: str | None) -> Value | None:
    """A value that is not in quotes, or of a property that refers to nodes."""
    if text.startswith("[") and not text.endswith("]"):
        say("MCF_MalformedComplexValue", f"no closing bracket in {text!r} of {name}")
        return None
    if text.startswith("["):
        return Value("complex", text, column)
    if text.startswith(GLOBAL):
        return Value("reference", bare(text), column)
    if text.startswith("l:"):
        return Value("local", text, column)
    if name in REFERENCES:
        return Value("reference", text, column)
    return Value("number" if is_number(text) or text.lower() in ("true", "false") else "text", text, column)


def split(text: str, delimiter: str, say: Say) -> list[str]:
    """Parts between delimiters outside quotes, trimmed, none empty, ``\\"`` as a quote; none where quotes stay open."""
    if "\n" in text:
        say("StrSplit_MultiToken", "a line break in a value")
        return []
    parts, start, quoted, escaped = [], 0, False, False
    for at, sign in enumerate(text):
        if escaped or sign == "\\":
            escaped = not escaped
        elif sign == delimiter and not quoted:
            parts.append(text[start:at])
            start = at + 1
        elif sign == '"':
            quoted = not quoted
    if quoted:
        say("StrSplit_BadQuotesInToken", f"quotes that stay open in {text!r}")
        return []
    parts.append(text[start:])
    found = [part.strip(BLANK).replace('\\"', '"') for part in parts if part.strip(BLANK)]
    if not found:
        say("StrSplit_EmptyToken", "an empty value")
    return found


def text_of(node: Node) -> str:
    """The node as MCF, with its empty line; where it stands and why it failed, as comments before it."""
    lines = [f"# From {file}:{line}" for file, line in node.places] if node.error else []
    lines += [f"# Error: {node.error}"] if node.error else []
    lines.append(f"Node: {node.name}")
    for name, values in node.values.items():
        shown = ", ".join(each for value in values if (each := spelt(value)))
        lines += [f"{name}: {shown}"] if shown else []
    return "\n".join(lines) + "\n\n"


def spelt(value: Value) -> str:
    """A value as MCF writes it; line breaks in text, which MCF has no form for, as spaces."""
    if value.kind == "text":
        return '"' + re.sub(r"[\r\n]+", " ", value.text).replace('"', '\\"') + '"'
    return f"dcid:{value.text}" if value.kind == "reference" else value.text

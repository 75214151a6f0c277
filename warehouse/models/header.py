"""The header block of a SQL model: YAML in the file's first comment, refused with file and line where it is wrong.

```
/* model
description: AI chips by owner and quarter
kind: table
grain: [owner, manufacturer, quarter_start]
owner: team:data-platform
columns: {units: "chips, median estimate"}
*/
SELECT ...
```
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from warehouse.errors import RecipeError
from warehouse.recipes import plain, root_of

Kind = Literal["table", "view"]

_BLOCK = re.compile(r"\A\s*/\*\s*model[ \t]*\n(?P<yaml>.*?)\*/[ \t]*\n?", re.DOTALL)
_KEYS = ("description", "kind", "grain", "owner", "columns", "rule_set", "ranges", "otherwise")
_OPTIONAL = ("columns", "rule_set", "ranges", "otherwise")
_EXAMPLE = "a file that begins with '/* model', YAML with the keys " + ", ".join(_KEYS) + ", and '*/'"


_RANGE = re.compile(r"(?P<least>-?\d+(\.\d+)?) to (?P<most>-?\d+(\.\d+)?)(, .+)?")


@dataclass(frozen=True, slots=True)
class Range:
    """What a variable may be, both ends included; said: the same in words, with the reason."""

    least: float
    most: float
    said: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a model says of itself; ``sql_line`` is the 1-based line on which the SELECT's text begins.

    rule_set: the name under which decisions are made by the model's column ``rules``; ranges: variable to what it may
    be; otherwise: the SELECT that stands in where there is nothing to read.
    """

    description: str
    kind: Kind
    grain: tuple[str, ...]
    owner: str
    sql: str
    sql_line: int
    columns: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    rule_set: str | None = None
    ranges: Mapping[str, Range] = field(default_factory=dict)
    otherwise: str | None = None


def read_header(path: Path) -> Header:
    """The header and the SELECT of a model's file. Raises RecipeError with file and line."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}:1: not UTF-8 ({error.reason})", allowed=_EXAMPLE) from None
    block = _BLOCK.match(text)
    if block is None:
        raise RecipeError(f"{path}:1: no header block", allowed=_EXAMPLE)
    first = text.count("\n", 0, block.start("yaml")) + 1
    values, lines = _mapping(path, block["yaml"], first)
    _require(path, values, lines, first)
    return Header(
        description=" ".join(values["description"].split()),
        kind=cast(Kind, values["kind"]),
        grain=tuple(values["grain"]),
        owner=values["owner"],
        sql=text[block.end() :].rstrip(),
        sql_line=text.count("\n", 0, block.end()) + 1,
        columns=dict(values.get("columns") or {}),
        lines=lines,
        rule_set=values.get("rule_set"),
        ranges={name: found for name, text in values.get("ranges", {}).items() if (found := _range(text))},
        otherwise=values.get("otherwise"),
    )


def _mapping(path: Path, text: str, first: int) -> tuple[dict[str, Any], dict[str, int]]:
    """The YAML's values, and the line of each key (those of ``columns`` as ``columns.<name>``)."""
    try:
        node = root_of(text)
        values = plain(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = first + (mark.line if mark else 0)
        raise RecipeError(f"{path}:{line}: {getattr(error, 'problem', error)}", allowed=_EXAMPLE) from None
    if not isinstance(node, yaml.MappingNode):
        raise RecipeError(f"{path}:{first}: the header is not a mapping", allowed=_EXAMPLE)
    return values, dict(_key_lines(node, first))


def _key_lines(node: yaml.MappingNode, first: int, prefix: str = "") -> list[tuple[str, int]]:
    found = []
    for key, value in node.value:
        name = prefix + str(key.value)
        found.append((name, first + key.start_mark.line))
        if isinstance(value, yaml.MappingNode):
            found += _key_lines(value, first, name + ".")
    return found


def _require(path: Path, values: dict[str, Any], lines: dict[str, int], first: int) -> None:
    for key in values:
        if key not in _KEYS:
            raise RecipeError(f"{path}:{lines.get(str(key), first)}: unknown key {key!r}", allowed=", ".join(_KEYS))
    for key, (right, allowed) in _RULES.items():
        if key not in values and key not in _OPTIONAL:
            raise RecipeError(f"{path}:{first}: no {key!r} in the header", allowed=allowed)
        if key in values and not right(values[key]):
            raise RecipeError(f"{path}:{lines[key]}: {key} is {values[key]!r}", allowed=allowed)


def _range(text: str) -> Range | None:
    found = _RANGE.fullmatch(text)
    return Range(float(found["least"]), float(found["most"]), text) if found else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_]*", value) is not None


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value)) and len(set(value)) == len(value)


def _is_descriptions(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(map(_is_text, (*value, *value.values()))))


def _is_ranges(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_word(name) and _range(str(text)) for name, text in value.items())


_RULES = {
    "description": (_is_text, "one sentence"),
    "kind": (lambda value: value in ("table", "view"), "table, view"),
    "grain": (_is_names, "a list of different columns that together name one row, such as [owner, quarter_start]"),
    "owner": (_is_text, "who answers for it, such as team:data-platform"),
    "rule_set": (_is_word, "a word in snake_case, such as house"),
    "ranges": (_is_ranges, "a mapping of variable to '0.5 to 1' or '0.5 to 1, for the reason'"),
    "otherwise": (_is_text, "a SELECT with the columns of the model's own"),
    "columns": (_is_descriptions, "a mapping of column name to description"),
}

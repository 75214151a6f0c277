"""A source as its YAML states it: recipes/sources/<name>.yaml in, a frozen ``Source`` out, and back.

Everything is checked when the file is loaded, against YAML's own nodes, so that a refusal names file and line and the
nearest allowed word. ``${NAME}`` in a uri is kept as it is written; only ``locate`` expands it, and nothing prints it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from warehouse.errors import RecipeError

READER_NAMES = ("jsonl", "csv", "parquet", "arrow", "text", "html", "warc", "mail", "python_env")
TYPES = ("string", "int64", "double", "bool", "date", "timestamp", "decimal")
DOCUMENT_FIELDS = ("text", "title", "uri", "licence", "published_at", "known_at")
SNAKE = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Column:
    """The declared type of a typed table's column; ``format`` is Python's strptime, for date and timestamp."""

    type: str = "string"
    format: str | None = None
    rename: str | None = None


@dataclass(frozen=True, slots=True)
class KnownAt:
    """Where knowledge time comes from: a column of the record, or ``(?P<date>...)`` in the object's uri."""

    column: str | None = None
    path: str | None = None
    format: str = "%Y-%m-%d"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds against bombs and endless records.

    max_object_bytes: of one unpacked object; max_ratio: unpacked over packed bytes, once 16 MiB are out;
    max_record_bytes: of one line, row or text file.
    """

    max_object_bytes: int = 64 << 30
    max_ratio: int = 400
    max_record_bytes: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV is written, where the rule of the reader (see delimited) would guess wrong."""

    delimiter: str | None = None
    quote: str = '"'
    encoding: str | None = None
    header: bool = True


@dataclass(frozen=True, slots=True)
class Environment:
    """The share of the Python environment that is read."""

    max_bytes: int = 60_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """What comes in: where from, read how, into which table. ``reader`` None means guessed from each object."""

    name: str
    uri: tuple[str, ...]
    description: str = ""
    reader: str | None = None
    table: str = "documents"
    licence: str | None = None
    origin: str | None = None
    fields: Mapping[str, str] = field(default_factory=lambda: {"text": "text"})
    columns: Mapping[str, Column] = field(default_factory=dict)
    known_at: KnownAt = KnownAt()
    max_reject_share: float = 0.05
    limits: Limits = Limits()
    dialect: Dialect = Dialect()
    environment: Environment = Environment()

    @property
    def typed(self) -> bool:
        """Whether rows go to a table of their own columns instead of to ``documents``."""
        return self.table != "documents"


def load_source(path: Path) -> Source:
    """The source that ``path`` states. Raises RecipeError, which begins ``file:line:``, for whatever is wrong in it."""
    try:
        root = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError(f"{path}:{line}: {error.problem}", allowed="YAML", do="correct that line") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}:1: {str(error).splitlines()[0]}", allowed="YAML in UTF-8") from None
    return _Checked(path).source(root)


def dump_source(source: Source) -> str:
    """YAML that ``load_source`` reads back as an equal Source; keys that have their default are left out."""
    plain: dict[str, Any] = {"name": source.name}
    for item in ("description", "reader", "table", "licence", "origin", "max_reject_share"):
        if getattr(source, item) != _default(Source, item):
            plain[item] = getattr(source, item)
    plain["uri"] = source.uri[0] if len(source.uri) == 1 else list(source.uri)
    if dict(source.fields) != {"text": "text"}:
        plain["fields"] = dict(source.fields)
    if source.columns:
        plain["columns"] = {name: _short(column) for name, column in source.columns.items()}
    for part in ("known_at", "limits", "dialect", "environment"):
        if changed := _changed(getattr(source, part)):
            plain[part] = changed
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)


def _default(kind: type, name: str) -> Any:
    return next(item.default for item in fields(kind) if item.name == name)


def _changed(value: Any) -> dict[str, Any]:
    return {item.name: getattr(value, item.name) for item in fields(value) if getattr(value, item.name) != item.default}


def _short(column: Column) -> Any:
    return column.type if column == Column(column.type) else {"type": column.type, **_changed(column)}


class _Checked:
    """Reads YAML nodes of one file into values, refusing with its line whatever is not allowed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def refuse(self, node: yaml.Node | None, came: str, allowed: str) -> RecipeError:
        line = node.start_mark.line + 1 if node else 1
        return RecipeError(f"{self.path}:{line}: {came}", allowed=allowed, do="correct that line")

    def source(self, root: yaml.Node | None) -> Source:
        if root is None:
            raise self.refuse(root, "the file is empty", "a mapping with at least uri")
        keys = self.mapping(root, tuple(item.name for item in fields(Source)))
        values: dict[str, Any] = {"name": self.path.stem}
        values |= {key: getattr(self, f"_{key}")(node) for key, node in keys.items()}
        if values.get("reader") == "python_env":
            values.setdefault("uri", ("python-env:",))
        if not values.get("uri"):
            raise self.refuse(root, "no uri", "uri: a path, a glob, or a list of them")
        if not SNAKE.fullmatch(values["name"]):
            raise self.refuse(keys.get("name"), f"name {values['name']!r}", "lower-case letters, digits and _")
        if values.get("columns") and values.get("table", "documents") == "documents":
            raise self.refuse(
                keys["columns"], "columns for the table documents", "fields for documents, or another table"
            )
        return Source(**values)

    def mapping(self, node: yaml.Node, allowed: tuple[str, ...] | None) -> dict[str, yaml.Node]:
        """The node's entries, every key once and, unless ``allowed`` is None, one of those."""
        if not isinstance(node, yaml.MappingNode):
            raise self.refuse(
                node, "not a mapping", "key: value lines" + (f" with {', '.join(allowed)}" if allowed else "")
            )
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in found:
                raise self.refuse(key, f"{name!r} stands twice", "each key once")
            if allowed is not None and name not in allowed:
                raise self.refuse(key, f"unknown key {name!r}{_hint(name, allowed)}", ", ".join(allowed))
            found[name] = value
        return found

    def text(self, node: yaml.Node, allowed: str = "text") -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag.endswith(":null") or not node.value:
            raise self.refuse(node, "a value is missing or not plain text", allowed)
        return str(node.value)

    def choice(self, node: yaml.Node, allowed: tuple[str, ...], what: str) -> str:
        value = self.text(node, ", ".join(allowed))
        if value not in allowed:
            raise self.refuse(node, f"unknown {what} {value!r}{_hint(value, allowed)}", ", ".join(allowed))
        return value

    def number(self, node: yaml.Node, low: float, high: float, kind: type) -> Any:
        allowed = f"{'a whole number' if kind is int else 'a number'} from {low:g} to {high:g}"
        try:
            value = kind(self.text(node, allowed).replace("_", ""))
        except ValueError:
            raise self.refuse(node, f"{getattr(node, 'value', '')!r} is not a number", allowed) from None
        if not low <= value <= high:
            raise self.refuse(node, f"{value} is out of range", allowed)
        return value

    def _name(self, node: yaml.Node) -> str:
        return self.text(node)

    _description = _licence = _origin = _name

    def _reader(self, node: yaml.Node) -> str:
        return self.choice(node, READER_NAMES, "reader")

    def _table(self, node: yaml.Node) -> str:
        value = self.text(node)
        if not SNAKE.fullmatch(value):
            raise self.refuse(node, f"table {value!r}", "documents, or a name of lower-case letters, digits and _")
        if value in ("rejects", "runs", "signals", "paragraphs"):
            raise self.refuse(node, f"table {value!r} is written by the warehouse itself", "documents, or another name")
        return value

    def _uri(self, node: yaml.Node) -> tuple[str, ...]:
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        return tuple(self.text(item, "a path or a glob") for item in items)

    def _fields(self, node: yaml.Node) -> Mapping[str, str]:
        found = self.mapping(node, DOCUMENT_FIELDS)
        return {"text": "text"} | {key: self.text(value) for key, value in found.items()}

    def _columns(self, node: yaml.Node) -> Mapping[str, Column]:
        return {name: self.column(value) for name, value in self.mapping(node, None).items()}

    def column(self, node: yaml.Node) -> Column:
        if isinstance(node, yaml.ScalarNode):
            return Column(self.choice(node, TYPES, "type"))
        keys = self.mapping(node, ("type", "format", "rename"))
        kind = self.choice(keys["type"], TYPES, "type") if "type" in keys else "string"
        if "format" in keys and kind not in ("date", "timestamp"):
            raise self.refuse(keys["format"], f"a format for type {kind}", "format only for date and timestamp")
        rename = self.text(keys["rename"]) if "rename" in keys else None
        if rename is not None and not SNAKE.fullmatch(rename):
            raise self.refuse(keys["rename"], f"rename {rename!r}", "lower-case letters, digits and _")
        return Column(kind, self.text(keys["format"]) if "format" in keys else None, rename)

    def _known_at(self, node: yaml.Node) -> KnownAt:
        keys = self.mapping(node, ("column", "path", "format"))
        if ("column" in keys) == ("path" in keys):
            raise self.refuse(node, "known_at with neither or both of column and path", "column: NAME, or path: REGEX")
        if "path" in keys:
            self.pattern(keys["path"])
        return KnownAt(**{key: self.text(value) for key, value in keys.items()})

    def pattern(self, node: yaml.Node) -> None:
        try:
            groups = re.compile(self.text(node)).groupindex
        except re.error as error:
            raise self.refuse(node, f"bad regular expression: {error}", "Python's re syntax") from None
        if "date" not in groups:
            raise self.refuse(node, "the pattern has no group 'date'", "(?P<date>...) somewhere in it")

    def _max_reject_share(self, node: yaml.Node) -> float:
        return float(self.number(node, 0, 1, float))

    def _limits(self, node: yaml.Node) -> Limits:
        keys = self.mapping(node, tuple(item.name for item in fields(Limits)))
        return Limits(**{key: self.number(value, 1, 1 << 50, int) for key, value in keys.items()})

    def _environment(self, node: yaml.Node) -> Environment:
        keys = self.mapping(node, ("max_bytes",))
        return Environment(**{key: self.number(value, 1, 1 << 50, int) for key, value in keys.items()})

    def _dialect(self, node: yaml.Node) -> Dialect:
        keys = self.mapping(node, tuple(item.name for item in fields(Dialect)))
        values: dict[str, Any] = {key: self.text(value) for key, value in keys.items()}
        for key in ("delimiter", "quote"):
            if len(values.get(key, ",")) != 1:
                raise self.refuse(keys[key], f"{key} {values[key]!r}", "one character")
        if "header" in keys:
            values["header"] = self.choice(keys["header"], ("true", "false"), "header") == "true"
        if "encoding" in keys:
            self.encoding(keys["encoding"])
        return Dialect(**values)

    def encoding(self, node: yaml.Node) -> None:
        try:
            if isinstance("".encode(self.text(node)), bytes):
                return
        except LookupError:
            pass
        raise self.refuse(
            node, f"unknown encoding {node.value!r}", "a text encoding of Python, such as utf-8 or cp1252"
        )


def _hint(value: str, allowed: tuple[str, ...]) -> str:
    near = get_close_matches(value, allowed, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""

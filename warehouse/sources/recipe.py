"""A source as its YAML states it: recipes/sources/<name>.yaml in, a frozen ``Source`` out, and back.

Everything is checked when the file is loaded, against YAML's own nodes, so that a refusal names file and line and the
nearest allowed word. ``${NAME}`` in a uri is kept as it is written; only ``locate`` expands it, and nothing prints it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import yaml

from warehouse.contracts import EVOLVE, Contract, Freshness, Keyed
from warehouse.errors import RecipeError
from warehouse.recipes import root_of
from warehouse.stores import SCHEMES, is_store

READER_NAMES = (
    "jsonl",
    "csv",
    "parquet",
    "arrow",
    "text",
    "html",
    "xml",
    "pdf",
    "warc",
    "mail",
    "code",
    "datacommons",
    "delta",
    "datapackage",
    "files",
    "python_env",
)
TYPES = ("string", "int64", "double", "bool", "date", "timestamp", "decimal")
DOCUMENT_FIELDS = ("text", "title", "uri", "licence", "published_at", "known_at")
SNAKE = re.compile(r"[a-z][a-z0-9_]*")
MAGIC = re.compile(r"[*?\[]")
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
NETWORK = ("http", "https")
DATABASES = {"postgresql": "postgresql", "postgres": "postgresql", "sqlite": "sqlite"}
"""Scheme of a uri -> the database whose driver reads it."""
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
CREDENTIALS = re.compile(
    r"(api[-_]?|subscription-)?key|((access|auth)_)?token|auth|passw(or)?d|(client_)?secret|sig(nature)?"
    r"|x-(amz|goog)-(signature|credential|security-token)",
    re.IGNORECASE,
)
"""Parameters of a URL whose values are no part of a uri, which tables, logs and messages show."""
DELTA_LOG = "_delta_log"
"""The folder that makes the one around it a Delta table."""
BENCHMARKS = "benchmarks"
"""The table of evaluation sets: its sources' records are items to keep out of training, never documents."""
WRITTEN_HERE = (
    "rejects",
    "runs",
    "signals",
    "paragraphs",
    "pii",
    "minhash",
    "pairs",
    "contamination",
    "runway",
    "schema_changes",
    "resolved_rejects",
)
"""Tables that every project has and no source may write to."""
SCORED_HERE = ("score_models", "scores")
"""Tables of a project with recipes of scores; no source may write to them either."""
LISTED_HERE = ("lists",)
"""Tables of a project with recipes of lists."""
MODES = ("append", "upsert", "snapshot", "scd2")
"""What the rows of a typed table are: events, or (all others) what is known of their keys at a time."""
ANSWERS = ("evolve", "freeze", "discard")
PERIODS = {"daily": "%Y-%m-%d", "monthly": "%Y-%m"}
"""Partitions of time, and how their key is written in a uri unless ``format`` says otherwise."""


@dataclass(frozen=True, slots=True)
class Column:
    """The declared type of a typed table's column; ``format`` is Python's strptime, for date and timestamp."""

    type: str = "string"
    format: str | None = None
    rename: str | None = None


@dataclass(frozen=True, slots=True)
class KnownAt:
    """Where knowledge time comes from: a column of the record, ``(?P<date>...)`` in the object's uri, or a header."""

    column: str | None = None
    path: str | None = None
    format: str = "%Y-%m-%d"
    header: str | None = None


@dataclass(frozen=True, slots=True)
class Partitions:
    """Which partition an object belongs to: ``(?P<key>...)`` in its uri.

    kind: daily or monthly from ``start`` (an ISO date) on, with ``format`` (strptime) of the key; static: one of
    ``keys``; dynamic: whatever keys the objects have.
    """

    path: str
    kind: str
    start: str | None = None
    format: str | None = None
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Http:
    """How a URL is fetched. timeout_s: without a byte; max_fetch_s: of a whole object; headers: name -> value.

    allow_private: whether a public host may redirect to an address that is not public.
    """

    timeout_s: int = 30
    max_fetch_s: int = 3600
    headers: Mapping[str, str] = field(default_factory=dict)
    allow_private: bool = False


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
    """How a CSV is written, where the rules of the reader (see dialects) would guess wrong; encoding: of text
    too; escape: of quotes inside quotes, ``doubled`` or ``backslash``.
    """

    delimiter: str | None = None
    quote: str = '"'
    encoding: str | None = None
    header: bool | None = None
    escape: str | None = None


@dataclass(frozen=True, slots=True)
class DeltaStart:
    """Where the reading of a Delta table begins: a version, or an ISO time whose version it is; None: the last one."""

    start: str | None = None


@dataclass(frozen=True, slots=True)
class Database:
    """What is asked of a database: a query or a table, and the column whose rising values tell what is new."""

    query: str | None = None
    table: str | None = None
    cursor: str | None = None


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
    delta: DeltaStart = DeltaStart()
    database: Database = Database()
    partitions: Partitions | None = None
    fresh_within: Freshness | None = None
    inbox: str | None = None
    http: Http = Http()
    mode: str = "append"
    keys: tuple[str, ...] = ()
    contract: Contract = EVOLVE

    @property
    def keyed(self) -> Keyed | None:
        """What its keys mean; None of mode append."""
        if self.mode == "append":
            return None
        return Keyed(cast("Any", self.mode), self.keys, self.known_at.column is not None)

    @property
    def network(self) -> bool:
        """Whether reading it crosses a network."""
        return any(is_url(uri) or is_store(uri) or is_database(uri) for uri in self.uri)

    @property
    def inbox_folder(self) -> str | None:
        """Where files are dropped for it, relative to the project; None for the Python environment."""
        return None if self.reader == "python_env" else self.inbox or f"inbox/{self.name}"

    @property
    def typed(self) -> bool:
        """Whether rows go to a table of their own columns instead of to ``documents``."""
        return self.table != "documents"

    @property
    def benchmark(self) -> bool:
        """Whether its records are items of an evaluation set."""
        return self.table == BENCHMARKS


def is_url(uri: str) -> bool:
    """Whether a uri is fetched by HTTP."""
    scheme = SCHEME.match(uri)
    return scheme is not None and scheme[1].lower() in NETWORK


def is_database(uri: str) -> bool:
    """Whether a uri is the address of a database."""
    scheme = SCHEME.match(uri)
    return scheme is not None and scheme[1].lower() in DATABASES


def file_name(uri: str) -> str:
    """The last part of a path, or of a URL's path: what tells the format."""
    return Path(urlsplit(uri).path if is_url(uri) else uri).name


def is_bookkeeping(path: str) -> bool:
    """Whether a path, relative to the folder or archive that holds it, is hidden or what a program keeps for itself:
    a part that begins with a dot (but . and ..), ``__MACOSX`` or ``_delta_log``.
    """
    parts = set(path.split("/")) - {".", ".."}
    return any(part.startswith(".") or part in ("__MACOSX", DELTA_LOG) for part in parts)


def load_source(path: Path) -> Source:
    """The source that ``path`` states. Raises RecipeError, which begins ``file:line:``, for whatever is wrong in it."""
    try:
        root = root_of(path.read_text("utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError(f"{path}:{line}: {error.problem}", allowed="YAML", do="correct that line") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}:1: {str(error).splitlines()[0]}", allowed="YAML in UTF-8") from None
    return _Checked(path).source(root)


def dump_source(source: Source) -> str:
    """YAML that ``load_source`` reads back as an equal Source; keys that have their default are left out."""
    plain: dict[str, Any] = {"name": source.name}
    for item in ("description", "reader", "table", "licence", "origin", "max_reject_share", "inbox", "mode"):
        if getattr(source, item) != _default(Source, item):
            plain[item] = getattr(source, item)
    if source.uri:
        plain["uri"] = source.uri[0] if len(source.uri) == 1 else list(source.uri)
    if dict(source.fields) != {"text": "text"}:
        plain["fields"] = dict(source.fields)
    if source.columns:
        plain["columns"] = {name: _short(column) for name, column in source.columns.items()}
    if source.keys:
        plain["keys"] = list(source.keys)
    for part in ("known_at", "limits", "dialect", "environment", "delta", "database", "http", "contract"):
        if changed := _changed(getattr(source, part)):
            plain[part] = changed
    if source.partitions:
        changed = _changed(source.partitions)
        plain["partitions"] = changed | ({"keys": list(changed["keys"])} if "keys" in changed else {})
    if source.fresh_within:
        spans = {"fail": source.fresh_within.fail_s, "warn": source.fresh_within.warn_s}
        plain["fresh_within"] = {name: f"{length}s" for name, length in spans.items() if length}
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)


def _default(kind: type, name: str) -> Any:
    return next(item.default for item in fields(kind) if item.name == name)


def _changed(value: Any) -> dict[str, Any]:
    stated = {item.name: getattr(value, item.name) for item in fields(value)}
    return {
        item.name: stated[item.name]
        for item in fields(value)
        if stated[item.name] != (item.default_factory() if callable(item.default_factory) else item.default)
    }


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
        values.setdefault("uri", ())
        if not values["uri"] and "inbox" not in values:
            raise self.refuse(root, "no uri", "uri: a path, a glob, or a list of them; or inbox: a folder")
        if not SNAKE.fullmatch(values["name"]):
            raise self.refuse(keys.get("name"), f"name {values['name']!r}", "lower-case letters, digits and _")
        if values.get("columns") and values.get("table", "documents") == "documents":
            raise self.refuse(
                keys["columns"], "columns for the table documents", "fields for documents, or another table"
            )
        source = Source(**values)
        if source.benchmark and source.columns:
            raise self.refuse(keys["columns"], "columns for benchmarks, whose rows are passages", "another table")
        if any(map(is_database, source.uri)) != (source.database != Database()):
            allowed = "uri: postgresql://... or sqlite://..., and database: {query: SQL} or {table: NAME}"
            raise self.refuse(
                keys.get("database", keys.get("uri")), "a database without its query, or a query without it", allowed
            )
        self.refuse_modes(root, keys, source)
        if source.known_at.header and not source.network:
            raise self.refuse(keys["known_at"], "known_at of a header without a URL", "header for URLs only")
        return source

    def refuse_modes(self, root: yaml.Node, keys: Mapping[str, yaml.Node], source: Source) -> None:
        """Raise RecipeError for a mode, keys or a contract that the rest of the file gives no meaning."""
        for key in ("mode", "keys", "contract"):
            if key in keys and (not source.typed or source.benchmark):
                raise self.refuse(keys[key], f"{key} for the table {source.table}", "a typed table of its own")
        if source.keyed and not source.keys:
            raise self.refuse(keys["mode"], f"mode {source.mode} without keys", "keys: [column, ...]")
        if source.keys and not source.keyed:
            raise self.refuse(keys["keys"], "keys of mode append", f"mode: {', '.join(MODES[1:])}")
        if source.keyed and (source.reader == "delta" or source.delta != DeltaStart()):
            allowed = "append; what is known of each key then is a model's: the last row of it by _known_at"
            raise self.refuse(keys["mode"], f"mode {source.mode} of a Delta table", allowed)
        if source.keyed and source.keyed.whole and (source.known_at.column or source.known_at.header):
            came = f"mode {source.mode} with known_at of a {'column' if source.known_at.column else 'header'}"
            raise self.refuse(keys["known_at"], came, "known_at of a path, or none: one time for a whole vintage")

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
                raise self.refuse(key, f"unknown key {name!r}{hint(name, allowed)}", ", ".join(allowed))
            found[name] = value
        return found

    def text(self, node: yaml.Node, allowed: str = "text") -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag.endswith(":null") or not node.value:
            raise self.refuse(node, "a value is missing or not plain text", allowed)
        return str(node.value)

    def choice(self, node: yaml.Node, allowed: tuple[str, ...], what: str) -> str:
        value = self.text(node, ", ".join(allowed))
        if value not in allowed:
            raise self.refuse(node, f"unknown {what} {value!r}{hint(value, allowed)}", ", ".join(allowed))
        return value

    def flag(self, node: yaml.Node, what: str) -> bool:
        return self.choice(node, ("true", "false"), what) == "true"

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
        if value in (*WRITTEN_HERE, *SCORED_HERE, *LISTED_HERE):
            raise self.refuse(node, f"table {value!r} is written by the warehouse itself", "documents, or another name")
        return value

    def _uri(self, node: yaml.Node) -> tuple[str, ...]:
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        return tuple(self.uri(item) for item in items)

    def uri(self, node: yaml.Node) -> str:
        value = self.text(node, "a path or a glob, or a URL")
        if is_database(value):
            return self.address(node, value)
        if is_store(value):
            return self.location(node, value)
        if (scheme := SCHEME.match(value)) and not is_url(value):
            allowed = ", ".join(f"{each}://" for each in (*NETWORK, *SCHEMES, *DATABASES))
            raise self.refuse(node, f"{scheme[1]}:// is not read", f"paths, globs, and URLs of {allowed}")
        if is_url(value) and not re.match(r"[^/]+//[^/?#\[\]]+", value):
            raise self.refuse(node, f"{value} names no host", "https://HOST/PATH")
        if is_url(value) and re.match(r"[^/]+//[^/]*@", value):
            raise self.refuse(node, "a user or password in a URL", "http: {headers: {Authorization: '${NAME}'}}")
        if is_url(value) and (name := _credential(value)):
            raise self.refuse(node, f"the value of {name!r} in a URL", f"{name}=${{NAME}}, NAME from the environment")
        return value

    def location(self, node: yaml.Node, value: str) -> str:
        """An object of a store, a folder or a glob there, whose credentials come from the environment."""
        host = re.match(r"[^/]+//(?P<host>[^/]*)", value)
        container = r"[^/@:]+@" if value.lower().startswith("abfs") else ""
        if host is None or not re.fullmatch(rf"({container})?[^/@:?#*\[\]]+", host["host"]):
            allowed = "s3://BUCKET/KEY, gs://BUCKET/KEY, az://CONTAINER/KEY; credentials in the environment alone"
            came = "a user or password in a URL" if host and "@" in host["host"] else f"{value} names no bucket"
            raise self.refuse(node, came, allowed)
        if name := _credential(value):
            raise self.refuse(node, f"the value of {name!r} in a URL", "credentials in the environment alone")
        return value

    def address(self, node: yaml.Node, value: str) -> str:
        """The address of a database, whose password comes from the environment."""
        user = re.match(r"[^/]+//[^/@]*:(?P<word>[^/]*)@", value)
        if (user and not VARIABLE.fullmatch(user["word"])) or _credential(value):
            raise self.refuse(
                node, "a password in the address of a database", "postgresql://USER:${NAME}@HOST/DATABASE"
            )
        return value

    def _mode(self, node: yaml.Node) -> str:
        return self.choice(node, MODES, "mode")

    def _keys(self, node: yaml.Node) -> tuple[str, ...]:
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found = tuple(self.text(item, "a column") for item in items)
        wrong = [name for name in found if not SNAKE.fullmatch(name)]
        if not found or wrong or len(set(found)) != len(found):
            came = f"keys {', '.join(map(repr, wrong or found)) or 'without one'}"
            raise self.refuse(
                node, came, "columns, each once, as the table calls them: lower-case letters, digits and _"
            )
        return found

    def _contract(self, node: yaml.Node) -> Contract:
        keys = self.mapping(node, tuple(item.name for item in fields(Contract)))
        return Contract(**{key: cast("Any", self.choice(value, ANSWERS, "answer")) for key, value in keys.items()})

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
        keys = self.mapping(node, ("column", "path", "format", "header"))
        if len(keys.keys() & {"column", "path", "header"}) != 1:
            allowed = "column: NAME, path: REGEX, or header: Last-Modified"
            raise self.refuse(node, "known_at with none, or more than one, of column and path and header", allowed)
        if "path" in keys:
            self.pattern(keys["path"], "date")
        if "header" in keys:
            self.choice(keys["header"], ("Last-Modified",), "header")
        return KnownAt(**{key: self.text(value) for key, value in keys.items()})

    def _partitions(self, node: yaml.Node) -> Partitions:
        keys = self.mapping(node, tuple(item.name for item in fields(Partitions)))
        for name in ("path", "kind"):
            if name not in keys:
                raise self.refuse(node, f"partitions without {name}", "path: REGEX with (?P<key>...), and kind")
        kind = self.choice(keys["kind"], (*PERIODS, "static", "dynamic"), "kind of partitions")
        self.pattern(keys["path"], "key")
        allowed = {"static": {"keys"}, "dynamic": set()}.get(kind, {"start", "format"})
        for name in keys.keys() - {"path", "kind"} - allowed:
            raise self.refuse(
                keys[name], f"{name} for {kind} partitions", ", ".join(sorted(allowed)) or "path and kind"
            )
        for name in {"keys", "start"} & allowed - keys.keys():
            raise self.refuse(node, f"{kind} partitions without {name}", "start: a date, or keys: a list")
        start = self.date(keys["start"]) if "start" in keys else None
        stated = {key: self.text(keys[key]) for key in ("path", "format") if key in keys}
        return Partitions(kind=kind, start=start, keys=self.keys(keys["keys"]) if "keys" in keys else (), **stated)

    def keys(self, node: yaml.Node) -> tuple[str, ...]:
        items = node.value if isinstance(node, yaml.SequenceNode) else []
        found = tuple(self.text(item, "a key") for item in items)
        wrong = [key for key in found if not is_partition_key(key)]
        if not found or wrong or len(set(found)) != len(found):
            came = f"keys {', '.join(map(repr, wrong or found)) or 'that are no list'}"
            raise self.refuse(node, came, "a list of keys, each once, without '...', commas and control characters")
        return found

    def date(self, node: yaml.Node) -> str:
        try:
            return date.fromisoformat(self.text(node)).isoformat()
        except ValueError:
            raise self.refuse(node, f"{node.value!r} is no date", "a date such as 2026-01-31") from None

    def _fresh_within(self, node: yaml.Node) -> Freshness:
        allowed = "a span of a minute or more, such as 36h, or {warn: 24h, fail: 36h} with the warning first"
        if isinstance(node, yaml.ScalarNode):
            found = Freshness.stated(self.text(node, allowed))
        else:
            spans = {key: self.text(value, allowed) for key, value in self.mapping(node, ("warn", "fail")).items()}
            found = Freshness.stated(spans.get("fail", ""), spans.get("warn"))
        if found is None:
            raise self.refuse(node, "fresh_within is no span", allowed)
        return found

    def _inbox(self, node: yaml.Node) -> str:
        value = self.text(node, "a folder")
        if MAGIC.search(value) or SCHEME.match(value):
            raise self.refuse(node, f"inbox {value!r}", "a folder, relative to the project or absolute")
        return value

    def _http(self, node: yaml.Node) -> Http:
        keys = self.mapping(node, tuple(item.name for item in fields(Http)))
        values: dict[str, Any] = {
            key: self.number(keys[key], 1, 86400, int) for key in ("timeout_s", "max_fetch_s") if key in keys
        }
        if "headers" in keys:
            values["headers"] = {
                name: self.header(name, value) for name, value in self.mapping(keys["headers"], None).items()
            }
        if "allow_private" in keys:
            values["allow_private"] = self.flag(keys["allow_private"], "allow_private")
        return Http(**values)

    def header(self, name: str, node: yaml.Node) -> str:
        value = self.text(node)
        if not re.fullmatch(r"[A-Za-z0-9-]+", name) or not re.fullmatch(r"[\x20-\x7e]+", value):
            raise self.refuse(node, f"header {name!r}", "a name of letters, digits and -, and a value in ASCII")
        return value

    def pattern(self, node: yaml.Node, group: str) -> None:
        try:
            groups = re.compile(self.text(node)).groupindex
        except re.error as error:
            raise self.refuse(node, f"bad regular expression: {error}", "Python's re syntax") from None
        if group not in groups:
            raise self.refuse(node, f"the pattern has no group {group!r}", f"(?P<{group}>...) somewhere in it")

    def _max_reject_share(self, node: yaml.Node) -> float:
        return float(self.number(node, 0, 1, float))

    def _limits(self, node: yaml.Node) -> Limits:
        keys = self.mapping(node, tuple(item.name for item in fields(Limits)))
        return Limits(**{key: self.number(value, 1, 1 << 50, int) for key, value in keys.items()})

    def _environment(self, node: yaml.Node) -> Environment:
        keys = self.mapping(node, ("max_bytes",))
        return Environment(**{key: self.number(value, 1, 1 << 50, int) for key, value in keys.items()})

    def _database(self, node: yaml.Node) -> Database:
        keys = self.mapping(node, tuple(item.name for item in fields(Database)))
        if len(keys.keys() & {"query", "table"}) != 1:
            raise self.refuse(node, "database with none, or both, of query and table", "query: SQL, or table: NAME")
        return Database(**{key: self.text(value) for key, value in keys.items()})

    def _delta(self, node: yaml.Node) -> DeltaStart:
        keys = self.mapping(node, ("start",))
        allowed = "a version such as 12, or a time such as 2026-01-31T00:00:00Z"
        value = self.text(keys["start"], allowed) if "start" in keys else None
        if value is not None and not value.isdecimal() and not _is_time(value):
            raise self.refuse(keys["start"], f"start {value!r}", allowed)
        return DeltaStart(value)

    def _dialect(self, node: yaml.Node) -> Dialect:
        keys = self.mapping(node, tuple(item.name for item in fields(Dialect)))
        values: dict[str, Any] = {key: self.text(value) for key, value in keys.items()}
        for key in ("delimiter", "quote"):
            if len(values.get(key, ",")) != 1:
                raise self.refuse(keys[key], f"{key} {values[key]!r}", "one character")
        if "header" in keys:
            values["header"] = self.flag(keys["header"], "header")
        if "escape" in keys:
            values["escape"] = self.choice(keys["escape"], ("doubled", "backslash"), "escape")
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


def _credential(url: str) -> str | None:
    """The first of CREDENTIALS that a URL states with a value of its own, not with ``${NAME}``; None for none."""
    parts = urlsplit(url)
    pairs = [pair for part in (parts.query, parts.fragment) for pair in parse_qsl(part.replace(";", "&"))]
    return next(
        (name for name, value in pairs if CREDENTIALS.fullmatch(name) and not VARIABLE.fullmatch(value)),
        None,
    )


def _is_time(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def is_partition_key(key: str) -> bool:
    """Whether a key can name a partition: not empty, without what ranges and lists of keys are written with."""
    return bool(key) and "..." not in key and "," not in key and key.isprintable()


def hint(value: str, allowed: tuple[str, ...]) -> str:
    """The nearest allowed word in brackets; empty where none is near."""
    near = get_close_matches(value, allowed, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""

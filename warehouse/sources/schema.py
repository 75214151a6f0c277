"""The JSON schema of a source's YAML, for editors: made of the recipe's own dataclasses and words.

``python -m warehouse.sources.schema`` prints it; ``warehouse init`` puts it down as recipes/source.schema.json. It
refuses nothing that ``load_source`` allows. What it cannot say (a regular expression's groups, a credential in a URL,
an encoding's name, days of the calendar) ``load_source`` alone refuses.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any

import orjson

from warehouse.contracts import SPAN, Contract
from warehouse.sources.recipe import (
    ANSWERS,
    BENCHMARKS,
    DATABASES,
    DOCUMENT_FIELDS,
    LISTED_HERE,
    MODES,
    PERIODS,
    READER_NAMES,
    SCORED_HERE,
    SNAKE,
    TYPES,
    WRITTEN_HERE,
    Database,
    DeltaStart,
    Dialect,
    Environment,
    Http,
    KnownAt,
    Limits,
    Partitions,
    Source,
)
from warehouse.stores import SCHEMES

Schema = dict[str, Any]
TEXT: Schema = {"type": ["string", "number", "boolean"], "minLength": 1}
NAME: Schema = {"type": "string", "pattern": f"^{SNAKE.pattern}$"}
FLAG: Schema = {"enum": [True, False, "true", "false"]}
LARGEST = 1 << 50


def _words(words: tuple[str, ...]) -> Schema:
    return {"enum": list(words)}


def _listed(item: Schema, **more: Any) -> Schema:
    """One, or a list of them."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1, **more}]}


def _whole(low: int, high: int) -> Schema:
    digits = {"type": "string", "pattern": "^[0-9][0-9_]*$"}
    return {"anyOf": [{"type": "integer", "minimum": low, "maximum": high}, digits]}


def _mapping(properties: dict[str, Schema], **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


def _of(kind: type, parts: dict[str, Schema], **more: Any) -> Schema:
    """A mapping with the fields of a dataclass; one that has no schema is an error here."""
    return _mapping({each.name: parts[each.name] for each in fields(kind)}, **more)


def _lacking(*names: str) -> Schema:
    return {"not": {"anyOf": [{"required": [name]} for name in names]}}


def _column() -> Schema:
    formats = {"if": {"required": ["format"]}, "then": {"properties": {"type": _words(("date", "timestamp"))}}}
    parts = {"type": _words(TYPES), "format": TEXT, "rename": NAME}
    return {"anyOf": [_words(TYPES), _mapping(parts, **formats, dependentRequired={"format": ["type"]})]}


def _known_at() -> Schema:
    path = {**TEXT, "pattern": r"\(\?P<date>"}
    parts: dict[str, Schema] = {"column": TEXT, "path": path, "format": TEXT, "header": _words(("Last-Modified",))}
    return _of(KnownAt, parts, oneOf=[{"required": [name]} for name in ("column", "path", "header")])


def _partitions() -> Schema:
    kinds, key = (*PERIODS, "static", "dynamic"), {**TEXT, "not": {"pattern": r"\.\.\.|,"}}
    parts = {
        "path": {**TEXT, "pattern": r"\(\?P<key>"},
        "kind": _words(kinds),
        "start": {"type": "string", "pattern": r"^\d{4}-?\d{2}-?\d{2}$"},
        "format": TEXT,
        "keys": {"type": "array", "items": key, "minItems": 1, "uniqueItems": True},
    }
    timed = {"required": ["start"], **_lacking("keys")}
    static = {"required": ["keys"], **_lacking("start", "format")}
    by_kind = [
        *({"properties": {"kind": {"const": kind}}, **timed} for kind in PERIODS),
        {"properties": {"kind": {"const": "static"}}, **static},
        {"properties": {"kind": {"const": "dynamic"}}, **_lacking("start", "format", "keys")},
    ]
    return _of(Partitions, parts, required=["path", "kind"], oneOf=by_kind)


def _span() -> Schema:
    span = {"type": "string", "pattern": f"^{SPAN.pattern}$"}
    return {"anyOf": [span, _mapping({"warn": span, "fail": span}, required=["fail"])]}


def _table() -> Schema:
    return {**NAME, "not": _words((*WRITTEN_HERE, *SCORED_HERE, *LISTED_HERE))}


def _dialect() -> Schema:
    sign = {"type": "string", "minLength": 1, "maxLength": 1}
    escape = _words(("doubled", "backslash"))
    return _of(Dialect, {"delimiter": sign, "quote": sign, "encoding": TEXT, "header": FLAG, "escape": escape})


def _http() -> Schema:
    names, value = {"pattern": "^[A-Za-z0-9-]+$"}, {**TEXT, "pattern": r"^[\x20-\x7e]+$"}
    headers = {"type": "object", "propertyNames": names, "additionalProperties": value}
    spans = {"timeout_s": _whole(1, 86400), "max_fetch_s": _whole(1, 86400)}
    return _of(Http, {**spans, "headers": headers, "allow_private": FLAG})


def _start() -> Schema:
    moment = r"^\d{4}-?\d{2}-?\d{2}.+(Z|[+-]\d{2}(:?\d{2})*)$"
    return {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": rf"^\d+$|{moment}"}]}


def _database() -> Schema:
    parts = {each.name: TEXT for each in fields(Database)}
    return _of(Database, parts, oneOf=[{"required": [name]} for name in ("query", "table")])


def _uri() -> Schema:
    web = "[Hh][Tt][Tt][Pp][Ss]?"
    databases, stores = (
        "|".join(
            "".join(f"[{sign.upper()}{sign}]" if sign.isalpha() else sign for sign in scheme) for scheme in schemes
        )
        for schemes in (DATABASES, SCHEMES)
    )
    no_password = {"not": {"pattern": f"^{web}://[^/]*@"}}
    paths = {"not": {"pattern": "^[A-Za-z][A-Za-z0-9+.-]*://"}}
    known = {
        "anyOf": [
            {"pattern": f"^{web}://[^/]"},
            {"pattern": f"^({databases})://"},
            {"pattern": f"^({stores})://[^/]"},
            paths,
        ]
    }
    return _listed({**TEXT, "allOf": [no_password, known]})


def source_schema() -> Schema:
    """JSON schema (draft 2020-12) of recipes/sources/*.yaml."""
    keys: dict[str, Schema] = {
        "name": NAME,
        "uri": _uri(),
        "description": TEXT,
        "reader": _words(READER_NAMES),
        "table": _table(),
        "licence": TEXT,
        "origin": TEXT,
        "fields": _mapping(dict.fromkeys(DOCUMENT_FIELDS, TEXT)),
        "columns": {"type": "object", "additionalProperties": _column()},
        "known_at": _known_at(),
        "max_reject_share": {"type": "number", "minimum": 0, "maximum": 1},
        "limits": _of(Limits, {each.name: _whole(1, LARGEST) for each in fields(Limits)}),
        "dialect": _dialect(),
        "environment": _of(Environment, {"max_bytes": _whole(1, LARGEST)}),
        "delta": _of(DeltaStart, {"start": _start()}),
        "database": _database(),
        "partitions": _partitions(),
        "fresh_within": _span(),
        "inbox": {**TEXT, "not": {"pattern": r"[*?\[]|^[A-Za-z][A-Za-z0-9+.-]*://"}},
        "http": _http(),
        "mode": _words(MODES),
        "keys": _listed(NAME, uniqueItems=True),
        "contract": _of(Contract, {each.name: _words(ANSWERS) for each in fields(Contract)}),
    }
    own_table = {"required": ["table"], "properties": {"table": {"not": _words(("documents", BENCHMARKS))}}}
    keyed = {"required": ["mode"], "properties": {"mode": _words(MODES[1:])}}
    whole = {"required": ["mode"], "properties": {"mode": _words(("snapshot", "scd2"))}}
    environment = {"required": ["reader"], "properties": {"reader": {"const": "python_env"}}}
    no_delta = {"properties": {"reader": {"not": {"const": "delta"}}, "delta": _lacking("start")}}
    one_time = {"properties": {"known_at": _lacking("column", "header")}}
    typed_only = [{"if": {"required": [key]}, "then": own_table} for key in ("columns", "mode", "keys", "contract")]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A source of ml-warehouse: recipes/sources/<name>.yaml",
        **_of(Source, keys),
        "anyOf": [{"required": ["uri"]}, {"required": ["inbox"]}, environment],
        "allOf": [
            *typed_only,
            {"if": keyed, "then": {"required": ["keys"], **no_delta}},
            {"if": {"required": ["keys"]}, "then": keyed},
            {"if": whole, "then": one_time},
        ],
    }


def written() -> bytes:
    """The schema as the file that ``warehouse init`` puts down."""
    return orjson.dumps(source_schema(), option=orjson.OPT_INDENT_2) + b"\n"


if __name__ == "__main__":
    sys.stdout.buffer.write(written())

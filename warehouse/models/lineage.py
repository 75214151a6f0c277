"""What a SELECT reads and what it means, from DuckDB's own syntax tree: no regular expression over SQL.

DuckDB's ``get_table_names`` fails on USING joins and counts common table expressions; the walk below does neither.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from warehouse import query
from warehouse.errors import RecipeError

TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree"})
"""Those a model may call: pure functions of their arguments. Any other could read what no version is pinned for."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A SELECT: what it reads, as (``schema.name`` or a bare ``name``, line of the file) without common table
    expressions and with calls of ``repository.<table>_as_of``, under that name; its variables, see ``_variables``; its
    tree as JSON without positions, so without comments, white space and the letter case of keywords.
    """

    tables: tuple[tuple[str, int], ...]
    variables: Mapping[str, str]
    text: str


@lru_cache(maxsize=512)
def parsed(path: Path, sql: str, sql_line: int) -> Parsed:
    """A model's one SELECT, which begins on that line of the file. Raises RecipeError with the line for anything else,
    and for a table function that is not one of TABLE_FUNCTIONS.
    """
    tree = _select_tree(path, sql, sql_line)
    text = json.dumps(without_positions(tree), sort_keys=True)
    return Parsed(tuple(_tables_read(path, tree, sql, sql_line)), _variables(tree), text)


def _select_tree(path: Path, sql: str, sql_line: int) -> dict[str, Any]:
    tree = query.syntax_tree(sql)
    if tree["error"]:
        raise _refused(path, sql, sql_line, tree)
    found = tree["statements"]
    if len(found) != 1:
        line = _second_line(sql, sql_line) if found else sql_line
        raise RecipeError(f"{path}:{line}: {len(found)} statements", allowed="one SELECT in a file")
    for node in _nodes(found[0]):
        if str(node.get("type", "")).endswith("_QUERY_NODE"):
            word = str(node["type"]).removesuffix("_QUERY_NODE")
            raise RecipeError(f"{path}:{sql_line}: {word} inside the query", allowed="one SELECT that only reads")
    only: dict[str, Any] = found[0]
    return only


def _refused(path: Path, sql: str, sql_line: int, tree: Mapping[str, Any]) -> RecipeError:
    if "position" in tree:
        before = sql.encode()[: int(tree["position"])]
        return RecipeError(f"{path}:{sql_line + before.count(10)}: {tree['error_message']}", allowed="one SELECT")
    kinds = ", ".join(found.kind for found in query.statements(sql))
    hint = "give PIVOT its values with IN (...)" if "MULTI" in kinds else ""
    return RecipeError(f"{path}:{sql_line}: {kinds} is not a SELECT", allowed="one SELECT in a file", do=hint)


def _second_line(sql: str, sql_line: int) -> int:
    first, second = query.statements(sql)[:2]
    gap = len(second.sql) - len(second.sql.lstrip())
    return sql_line + first.sql.count("\n") + second.sql[:gap].count("\n")


def _tables_read(path: Path, tree: Any, sql: str, sql_line: int) -> list[tuple[str, int]]:
    found: dict[str, int] = {}
    functions = list(_functions(tree))
    known_then = [(name, position) for name, position in functions if _is_as_of(name)]
    for name, position in (*_tables(tree, frozenset()), *known_then):
        line = sql_line + sql.encode()[:position].count(10) if position < len(sql.encode()) else sql_line
        found[name] = min(line, found.get(name, line))
    for function, position in functions:
        if function not in TABLE_FUNCTIONS and not _is_as_of(function):
            line = sql_line + sql.encode()[:position].count(10) if position < len(sql.encode()) else sql_line
            raise RecipeError(
                f"{path}:{line}: reads {function}(...)",
                allowed="repository.<table>, repository.<table>_as_of(...), <schema>.<model>, "
                + ", ".join(sorted(TABLE_FUNCTIONS)),
                do="bring the file in with 'warehouse ingest', so that its version is pinned",
            )
    return sorted(found.items())


def _is_as_of(function: str) -> bool:
    """Whether it is what was known of a keyed table at a moment (``query.AS_OF``)."""
    return function.startswith("repository.") and function.endswith(query.AS_OF)


def _tables(tree: Any, ctes: frozenset[str]) -> Iterator[tuple[str, int]]:
    """Every BASE_TABLE, with the names of common table expressions in scope removed."""
    if isinstance(tree, list):
        for item in tree:
            yield from _tables(item, ctes)
    elif isinstance(tree, dict):
        ctes |= {entry["key"].lower() for entry in (tree.get("cte_map") or {}).get("map", [])}
        if tree.get("type") == "BASE_TABLE":
            parts = [part for part in tree["qualified_name"]["path"] if part]
            if len(parts) == 2 and parts[0].lower() == "recurring":  # a recursive expression's own rows so far
                parts = parts[1:]
            if len(parts) > 1 or parts[0].lower() not in ctes:
                yield ".".join(parts), tree["query_location"]
        for value in tree.values():
            yield from _tables(value, ctes)


def _functions(tree: Any) -> Iterator[tuple[str, int]]:
    """Every table function that is called, with its schema where it states one."""
    for node in _nodes(tree):
        if node.get("type") == "TABLE_FUNCTION":
            parts = [part for part in node["function"].get("qualified_name", {}).get("path", ["?"]) if part]
            yield ".".join(parts).lower(), node["query_location"]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a tree, in order."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(reversed(item.values()))
        elif isinstance(item, list):
            waiting.extend(reversed(item))


def _variables(tree: Any) -> dict[str, str]:
    """Every variable that a tree reads, in order of name, with its default: ``coalesce(getvariable('name'), default)``.

    The default is "" where it is no constant.
    """
    found = {}
    for node in _nodes(tree):
        if node.get("type") == "OPERATOR_COALESCE" and (name := _variable(node["children"][0])):
            found[name] = str((node["children"][1].get("literal") or {}).get("text", ""))
        elif name := _variable(node):
            found.setdefault(name, "")
    return dict(sorted(found.items()))


def _variable(node: Any) -> str:
    """The name that ``getvariable('name')`` reads; "" for any other node."""
    if node.get("function_name") != "getvariable":
        return ""
    return str((node["arguments"][0]["expression"].get("literal") or {}).get("text", ""))


def fingerprint(select: Parsed, kind: str, upstream: Iterable[str]) -> str:
    """16 hexadecimal digits that change when a result could: by the SELECT, the kind, or a model upstream."""
    text = f"[{select.text}, {json.dumps(kind)}, {json.dumps(sorted(upstream))}]"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def without_positions(tree: Any) -> Any:
    """The tree without the places in the text: equal for equal SQL."""
    if isinstance(tree, dict):
        return {key: without_positions(value) for key, value in tree.items() if not key.startswith("query_location")}
    return [without_positions(item) for item in tree] if isinstance(tree, list) else tree

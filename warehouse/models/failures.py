"""First failures of rule sets without their lists.

``list_filter(rules, lambda rule: rule.failed)[1]`` makes a list of structs for every document and keeps one of them. Of
a view whose SELECT writes the list out, the same is a CASE over its conditions: 200,000 documents by the rules of the
house took 0.76 CPU s and take 0.34. A list that is not written out stays as it is.

Lost: 30 ms to print the SELECT. Tried: what several views read as one common table expression, which takes 60 ms less
to plan, and of a million documents 2 CPU s and 1 GB more; one SELECT for all sets, without joins, which takes as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from warehouse import query
from warehouse.models.lineage import without_positions

Tree = dict[str, Any]


def without_lists(sql: str, views: Mapping[str, str]) -> str:
    """The SELECT ``sql`` with the first failures of views told by CASE: the same rows.

    views: name to SELECT, of those that may be read by their SELECT.
    """
    statement = query.syntax_tree(sql)["statements"][0]
    return query.select_text({**statement, "node": _changed(statement["node"], views)})


def _changed(item: Any, views: Mapping[str, str]) -> Any:
    """A tree with every SELECT told by CASE, inner ones first; what stands among columns stays as it is."""
    if isinstance(item, list):
        return [_changed(each, views) for each in item]
    if not isinstance(item, dict):
        return item
    found = {key: value if key == "select_list" else _changed(value, views) for key, value in item.items()}
    return _told_by_case(found, views) if found.get("type") == "SELECT_NODE" else found


def _told_by_case(node: Tree, views: Mapping[str, str]) -> Tree:
    """``SELECT columns, first failures FROM view`` over the view's own SELECT; any other node as it is."""
    if not _differs_only(node, "select_list", "from_table") or (name := _table(node["from_table"])) not in views:
        return node
    view = _select(views[name])
    lists, items = _written_out(view), [_bare(item) for item in node["select_list"]]
    firsts = {column: f"first of {column}" for column in lists if _first(column) in items}
    if not firsts or any(item not in map(_first, firsts) and len(item.get("column_names", ())) != 1 for item in items):
        return node
    cases = [{**_case(lists[column]), "alias": alias} for column, alias in firsts.items()]
    source = {**view, "select_list": [*view["select_list"], *cases]}
    columns = {column: _select(f"SELECT {query.quoted(alias)}")["select_list"][0] for column, alias in firsts.items()}
    given = [
        next(({**columns[column], "alias": item["alias"]} for column in firsts if bare == _first(column)), item)
        for item, bare in zip(node["select_list"], items, strict=True)
    ]
    around = _select(f"FROM (SELECT 1) AS {query.quoted(node['from_table']['alias'] or name.partition('.')[2])}")
    subquery = {"node": source, "named_param_map": []}
    return {**node, "select_list": given, "from_table": {**around["from_table"], "subquery": subquery}}


def _written_out(view: Tree) -> dict[str, list[Tree]]:
    """The columns that are lists of structs with ``failed``, with the structs; none of a SELECT whose rows depend on
    its columns (DISTINCT, GROUP BY ALL), or whose columns are not all named.
    """
    if not _differs_only(view, "select_list", "from_table", "where_clause", "cte_map"):
        return {}
    items = view["select_list"]
    if any(item["class"] == "STAR" for item in items):
        return {}
    names = [(item["alias"] or item.get("column_names", ("",))[-1]).lower() for item in items]
    found = {name: list(_structs(item)) for name, item in zip(names, items, strict=True) if names.count(name) == 1}
    return {name: structs for name, structs in found.items() if name and structs}


def _structs(item: Tree) -> Iterator[Tree]:
    """The structs of a list that is written out, where all have the same fields; else none."""
    given = _arguments(item, "list_value")
    fields = [[name for name, _ in _arguments(each, "struct_pack")] for _, each in given]
    if fields and "failed" in fields[0] and all(each == fields[0] for each in fields):
        yield from (each for _, each in given)


def _arguments(item: Tree, function: str) -> list[tuple[str, Tree]]:
    """Name and expression of what the function is given; none of anything else."""
    if item.get("function_name") != function:
        return []
    return [(each["name"], each["expression"]) for each in item["arguments"]]


def _case(structs: list[Tree]) -> Tree:
    """The first of the structs that failed, null where none did."""
    case = _select("SELECT CASE WHEN true THEN true END")["select_list"][0]
    failed = [{**dict(_arguments(each, "struct_pack"))["failed"], "alias": ""} for each in structs]
    checks = [{"when_expr": when, "then_expr": then} for when, then in zip(failed, structs, strict=True)]
    return {**case, "case_checks": checks}


def _first(column: str) -> Tree:
    """How a SELECT says: the first of these rules that failed."""
    sql = f"SELECT list_filter({query.quoted(column)}, lambda rule: rule.failed)[1]"
    return _bare(_select(sql)["select_list"][0])


def _table(item: Tree) -> str:
    """``schema.name`` of a table that is read by that alone; "" for anything else."""
    if item.get("type") != "BASE_TABLE" or item["sample"] or item["at_clause"] or item["column_name_alias"]:
        return ""
    return ".".join(part for part in item["qualified_name"]["path"] if part)


def _differs_only(node: Tree, *keys: str) -> bool:
    """Whether a SELECT has nothing that ``SELECT 1`` has not, but for these."""
    plain = _select("SELECT 1")
    return node["type"] == plain["type"] and all(node[key] == plain[key] for key in plain.keys() - {*keys})


def _select(sql: str) -> Tree:
    node: Tree = query.syntax_tree(sql)["statements"][0]["node"]
    return node


def _bare(item: Tree) -> Tree:
    bare: Tree = {**without_positions(item), "alias": ""}
    return bare

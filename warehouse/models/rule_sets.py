"""Rule sets as curation.rules reads them, refused with the file they are in where that could not work.

By types before curation.rules is made, all sets: DuckDB would blame the file that reads them. Then by rows, sets of the
project's own: a document without a row, or a rule that is neither passed nor failed, would be kept in silence. Those
that ship are held by tests. Lost: a list for every document, of 5 rules 0.5 CPU s a million documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa

from warehouse.errors import RecipeError
from warehouse.models.load import Model
from warehouse.project import builtin_folder
from warehouse.query import Connection, Error, arrow, fetch_all, relations

LISTS = {"curation.gopher": ("quality", "repetition"), "curation.c4": ("rules", "open_rules")}
"""The lists of rules that are read, where it is not ``rules`` alone: FineWeb's chain reads them in its own order."""
EXAMPLE = "[{'reason': 'stub', 'value': 12.0, 'threshold': 30.0, 'failed': true}, ...] AS rules"


def check_rule_sets(con: Connection, read: Iterable[Model]) -> None:
    """Raise RecipeError for the first of the models that curation.rules cannot decide by; all are made already."""
    for model in read:
        _check_types(con, model)
        if not model.path.is_relative_to(builtin_folder() / "sql"):
            for column in _columns(model):
                _check_rows(con, model, column)


def _columns(model: Model) -> tuple[str, ...]:
    return LISTS.get(model.name, ("rules",))


def _check_types(con: Connection, model: Model) -> None:
    schema = arrow(con, f"FROM {model.name} LIMIT 0").schema
    found = {field.name.lower(): field.type for field in schema}
    for name in ("doc_id", *_columns(model)):
        if name not in found:
            raise _refused(model, f"no column {name!r} in the SELECT of a rule set", ", ".join(schema.names))
    for name in _columns(model):
        rules = found[name]
        if not pa.types.is_list(rules) or not pa.types.is_struct(rules.value_type):
            raise _refused(model, f"{name} is {rules}, no list of structs")
        fields = {field.name: field.type for field in rules.value_type}
        if fields.keys() != FIELDS.keys():
            raise _refused(model, f"the structs of {name} have the fields {', '.join(fields)}", ", ".join(FIELDS))
        for field, (right, allowed) in FIELDS.items():
            if not right(fields[field]):
                raise _refused(model, f"{field} in {name} is {fields[field]}", allowed)


def _is_number(kind: pa.DataType) -> bool:
    return any(right(kind) for right in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal))


FIELDS: Mapping[str, tuple[Callable[[pa.DataType], bool], str]] = {
    "reason": (pa.types.is_string, "text, a word in snake_case"),
    "value": (_is_number, "a number, what was measured"),
    "threshold": (_is_number, "a number, what the value is compared with"),
    "failed": (pa.types.is_boolean, "true or false"),
}

_MISSING = """
SELECT count(*), min(doc_id) FROM staging.current_documents
SEMI JOIN staging.current_signals USING (doc_id)
ANTI JOIN {name} USING (doc_id)"""
_WRONG = """
WITH judged AS (
    SELECT doc_id, {column} IS NULL AS missing, list_filter({column}, lambda rule:
        rule.failed IS NULL OR rule.reason IS NULL OR NOT regexp_full_match(rule.reason, '[a-z][a-z0-9_]*')
        OR (rule.failed AND (rule.value IS NULL OR rule.threshold IS NULL))) AS wrong
    FROM {name}
)
SELECT count(*), min(doc_id), arg_min(missing, doc_id), arg_min(wrong[1], doc_id)
FROM judged WHERE missing OR len(wrong) > 0"""


def _check_rows(con: Connection, model: Model, column: str) -> None:
    try:
        count, doc_id = 0, ""
        if "staging.current_signals" in relations(con):
            count, doc_id = fetch_all(con, _MISSING.format(name=model.name))[0]
        wrong = fetch_all(con, _WRONG.format(name=model.name, column=column))[0]
    except Error as error:
        raise _refused(model, " ".join(str(error).partition("\n\n")[0].split())) from None
    if count:
        came = f"no row for {_documents(count, doc_id)}, measured like the others"
        do = f"read all of staging.current_signals, and LEFT JOIN what not every document has ({model.name})"
        raise _refused(model, came, "a row for every document of staging.current_signals", do)
    if wrong[0]:
        raise _refused(model, *_said(column, *wrong))


def _said(column: str, count: int, doc_id: str, missing: bool, rule: Mapping[str, object] | None) -> tuple[str, ...]:
    """What came, what is allowed and what to do about a list with a rule that cannot decide."""
    of = f"for {_documents(count, doc_id)}"
    if missing or rule is None:
        return f"{column} is NULL {of}", "a list of structs; [] where no rule applies"
    if rule["reason"] is None:
        return f"a reason in {column} is NULL {of}", "a word in snake_case"
    if rule["failed"] is None:
        do = "say what an unknown value means: coalesce(value < threshold, true) drops the document, false keeps it"
        return f"{rule['reason']}: failed is NULL {of}", "true or false", do
    for field in ("value", "threshold"):
        if rule[field] is None:
            return f"{rule['reason']}: it failed, and its {field} is NULL {of}", "a number", "give it with coalesce"
    return f"the reason {rule['reason']!r} {of}", "a word in snake_case"


def _documents(count: int, doc_id: str) -> str:
    return f"{count:,} documents, such as {doc_id}" if count > 1 else f"document {doc_id}"


def _refused(model: Model, came: str, allowed: str = EXAMPLE, do: str = "") -> RecipeError:
    return RecipeError(f"{model.path}:{model.sql_line}: {came}", allowed=allowed, do=do or f"mend {model.name}")

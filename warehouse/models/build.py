"""Tables and views of a database file, one for each model, with their comments.

A model whose repository table has not been ingested is skipped with the reason, and so is what reads it; nothing
else is. One whose header says ``otherwise`` is built by that.
Whether each grain holds is for the gate to say (gate.grain_suite).
"""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from warehouse import query
from warehouse.errors import RecipeError
from warehouse.models.load import REPOSITORY, Model
from warehouse.models.rule_sets import check_rule_sets


@dataclass(frozen=True, slots=True)
class Built:
    """What became of a model: columns as (name, type, description) and cost; or why it was skipped.

    rows: how many, of a table; a view's are counted by its audit, for every look at a view makes it anew.
    """

    model: Model
    rows: int | None = None
    columns: tuple[tuple[str, str, str], ...] = ()
    cpu_s: float = 0.0
    wall_s: float = 0.0
    skipped: str | None = None


def build(con: query.Connection, models: Iterable[Model]) -> Iterator[Built]:
    """Each model made in the connection's database, in the order given (that of load_models).

    The repository's tables must be attached (query.attach_repository). Raises RecipeError with the file's line where
    DuckDB refuses a model, where a header names a column that its SELECT does not give, or where decisions cannot be
    made by a rule set.
    """
    ingested = _ingested(con)
    absent: dict[str, str] = {}
    for model in models:
        reason = _missing(model, ingested, absent)
        if reason and (instead := model.standing_in()):
            yield _built(con, instead)
        elif reason:
            absent[model.name] = reason
            yield Built(model, skipped=reason)
        else:
            yield _built(con, model)


def _ingested(con: query.Connection) -> list[str]:
    sql = """
        SELECT view_name FROM duckdb_views() WHERE database_name = 'repository'
        UNION ALL
        SELECT function_name FROM duckdb_functions()
        WHERE database_name = 'repository' AND function_type = 'table_macro'"""
    found = query.fetch_all(con, sql)
    return [REPOSITORY + row[0] for row in found]


def _missing(model: Model, ingested: list[str], absent: dict[str, str]) -> str | None:
    for name in model.depends_on:
        if name in absent:
            return absent[name]
    for name in model.reads:
        if name not in ingested:
            close = difflib.get_close_matches(name, ingested, 1, 0.8)
            return f"{name} has not been ingested" + (f" (did you mean {close[0]}?)" if close else "")
    return None


def _built(con: query.Connection, model: Model) -> Built:
    began, cpu = time.perf_counter(), time.process_time()
    try:
        rows = create(con, model)
        columns = _columns(con, model)
    except query.Error as error:
        raise refused(model, error) from None
    _comment(con, model, columns)
    return Built(
        model,
        rows=rows,
        columns=columns,
        cpu_s=time.process_time() - cpu,
        wall_s=time.perf_counter() - began,
    )


def create(con: query.Connection, model: Model) -> int | None:
    """The model made in the connection's database, without its comments: the rows of a table, None of a view.

    Raises query.Error where DuckDB refuses it, RecipeError for a rule set that curation.rules cannot decide by.
    """
    check_rule_sets(con, model.rule_sets)
    schema, _ = model.name.split(".")
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {query.quoted(schema)}")
    made = query.fetch_all(con, f"CREATE {model.kind.upper()} {_identifier(model)} AS\n{model.statement()}")
    return made[0][0] if model.kind == "table" else None


def _columns(con: query.Connection, model: Model) -> tuple[tuple[str, str, str], ...]:
    found = {row[0]: row[1] for row in query.fetch_all(con, f"DESCRIBE {_identifier(model)}")}
    for key, names in (("grain", model.grain), ("columns", tuple(model.columns))):
        for name in names:
            if name not in found:
                line = model.lines.get(f"columns.{name}" if key == "columns" else key, 1)
                raise RecipeError(f"{model.path}:{line}: no column {name!r} in the SELECT", allowed=", ".join(found))
    return tuple((name, kind, model.columns.get(name, "")) for name, kind in found.items())


def _comment(con: query.Connection, model: Model, columns: Iterable[tuple[str, str, str]]) -> None:
    """Descriptions into the catalog, where DESCRIBE, Dagster and any BI tool find them."""
    what = _identifier(model)
    said = [(f"{model.kind.upper()} {what}", model.description)]
    said += [(f"COLUMN {what}.{query.quoted(name)}", text) for name, _, text in columns if text]
    comments = (f"COMMENT ON {on} IS {query.literal(text)}" for on, text in said)
    con.execute(f"BEGIN; {'; '.join(comments)}; COMMIT")


def _identifier(model: Model) -> str:
    return ".".join(map(query.quoted, model.name.split(".")))


def refused(model: Model, error: query.Error, *, otherwise: str = "") -> RecipeError:
    """DuckDB's refusal with the line of the model's file (the statement has one line before the SELECT); otherwise:
    what else may help than another SELECT.
    """
    said = str(error)
    line = re.search(r"^LINE (\d+):", said, re.MULTILINE)
    at = model.sql_line + (int(line[1]) - 2 if line else 0)
    first = " ".join(said.partition("\n\n")[0].split())
    return RecipeError(f"{model.path}:{at}: {first}", do=f"mend the SELECT of {model.name}{otherwise}")

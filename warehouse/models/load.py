"""SQL models in the order in which they must be built, found from the SQL itself."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from warehouse.errors import RecipeError
from warehouse.models.failures import without_lists
from warehouse.models.header import Header, Kind, Range, read_header
from warehouse.models.lineage import Parsed, fingerprint, parsed

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
REPOSITORY = "repository."
RULES = "curation.rules"
BUILT_IN = {
    "gopher": ("curation.gopher",),
    "c4": ("curation.c4",),
    "fineweb": ("curation.gopher", "curation.c4", "curation.fineweb"),
    "house": ("curation.house",),
}
"""Rule sets that curation.rules has by its own SELECT, with the models that they are made of."""


@dataclass(frozen=True, slots=True)
class Model:
    """One SELECT and what it says of itself.

    name: ``schema.name``, from the path; depends_on: the models it reads; reads: the repository tables it reads
    (``repository.<table>``); fingerprint: 16 hexadecimal digits that change when the result could; sql_line: the line
    of the file on which ``sql`` begins; columns: name to description; lines: of the header's keys; variables: name to
    default of those that ``sql`` reads; ranges: what some of them may be; rule_set: what curation.rules calls its
    rules, where it is a rule set; otherwise: the SELECT that stands in where what it reads is not there; views: name to
    SELECT of those that ``statement`` may read by their SELECT; rule_sets: the models whose rules it puts together
    (both of curation.rules).
    """

    name: str
    path: Path
    sql: str
    sql_line: int
    description: str
    kind: Kind
    grain: tuple[str, ...]
    owner: str
    columns: Mapping[str, str] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    fingerprint: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    rule_set: str | None = None
    ranges: Mapping[str, Range] = field(default_factory=dict)
    otherwise: str | None = None
    views: Mapping[str, str] = field(default_factory=dict)
    rule_sets: tuple[Model, ...] = ()

    def statement(self) -> str:
        """The SELECT that is run: ``sql``, or what gives the same rows sooner."""
        return without_lists(self.sql, self.views) if self.views else self.sql

    def standing_in(self) -> Model | None:
        """The model as it is where what it reads is not there; None where it is then left out."""
        return replace(self, sql=self.otherwise, reads=(), depends_on=()) if self.otherwise else None


def load_models(paths: Iterable[Path]) -> list[Model]:
    """The models of ``paths`` in dependency order, ties by name.

    Raises RecipeError with file and line for a wrong header, for anything that is not one SELECT, for a table that
    neither a model nor the repository gives, and for a cycle.
    """
    read = [_read(path) for path in sorted(paths)]
    names = _by_name(_with_rule_sets(read))
    return list(_ordered({name: _linked(model, said, names) for name, (model, said) in names.items()}))


def _read(path: Path) -> tuple[Model, Parsed]:
    name = f"{path.parent.name}.{path.stem}"
    if not (_NAME.match(path.stem) and _NAME.match(path.parent.name)) or name.startswith(REPOSITORY):
        raise RecipeError(f"{path}:1: {name!r} is no model name", allowed="sql/<schema>/<name>.sql in snake_case")
    header = read_header(path)
    return _model(name, path, header), parsed(path, header.sql, header.sql_line)


def _model(name: str, path: Path, header: Header) -> Model:
    return Model(
        name=name,
        path=path,
        sql=header.sql.rstrip().rstrip(";"),
        sql_line=header.sql_line,
        description=header.description,
        kind=header.kind,
        grain=header.grain,
        owner=header.owner,
        columns=header.columns,
        lines=header.lines,
        rule_set=header.rule_set,
        ranges=header.ranges,
        otherwise=header.otherwise,
    )


_RULE_SET = """
UNION ALL BY NAME
SELECT
    current.doc_id, current.source, current.keep_rank, '{rule_set}' AS rule_set, own.rules,
    CASE WHEN own.doc_id IS NULL
        THEN {{'reason': 'unmeasured', 'value': NULL::DOUBLE, 'threshold': NULL::DOUBLE, 'failed': true}}
        ELSE own.failure
    END AS failure
FROM staging.current_documents AS current
LEFT JOIN (SELECT doc_id, rules, list_filter(rules, lambda rule: rule.failed)[1] AS failure FROM {name}) AS own
    ON current.doc_id = own.doc_id"""


def _with_rule_sets(read: list[tuple[Model, Parsed]]) -> list[tuple[Model, Parsed]]:
    """The models, where ``curation.rules`` has the rules of each whose header says ``rule_set``, under that name."""
    models = [model for model, _ in read]
    return [_extended(model, models) if model.name == RULES else (model, said) for model, said in read]


def _extended(rules: Model, models: list[Model]) -> tuple[Model, Parsed]:
    own = [model for model in models if model.rule_set]
    _refuse_twice(own)
    sets = [_RULE_SET.format(rule_set=model.rule_set, name=model.name) for model in own]
    sql = "".join([rules.sql, *sets])
    views = {model.name: model.sql for model in models if model.kind == "view" and model.otherwise is None}
    said = parsed(rules.path, sql, rules.sql_line)
    built_in = {name for names in BUILT_IN.values() for name in names} & {name for name, _ in said.tables}
    rule_sets = tuple(model for model in models if model.rule_set or model.name in built_in)
    return replace(rules, sql=sql, views=views, rule_sets=rule_sets), said


def _refuse_twice(own: Iterable[Model]) -> None:
    """Raise RecipeError where two files would decide under one name."""
    held = {name: f"built in, made of {' and '.join(models)}" for name, models in BUILT_IN.items()}
    for model in own:
        name = str(model.rule_set)
        if name in held:
            at, do = f"{model.path}:{model.lines['rule_set']}", "give it another name"
            if name in BUILT_IN:
                do += ", or replace a model that it is made of by a file of that name without rule_set"
            raise RecipeError(f"{at}: the rule set {name!r} is {held[name]}", allowed="one file a name", do=do)
        held[name] = f"also {model.path}"


def _by_name(read: list[tuple[Model, Parsed]]) -> dict[str, tuple[Model, Parsed]]:
    found: dict[str, tuple[Model, Parsed]] = {}
    for model, said in read:
        if model.name in found:
            raise RecipeError(
                f"{model.path}:1: {model.name} is also {found[model.name][0].path}", allowed="one file a name"
            )
        found[model.name] = (model, said)
    return found


def _linked(model: Model, said: Parsed, names: Mapping[str, Any]) -> tuple[Model, Parsed]:
    """The model with what it reads."""
    depends, reads = [], []
    for table, line in said.tables:
        if table.startswith(REPOSITORY):
            reads.append(table)
        elif table in names:
            depends.append(table)
        else:
            raise _unknown(model, table, line, names)
    return replace(model, depends_on=tuple(depends), reads=tuple(reads), variables=said.variables), said


def _unknown(model: Model, table: str, line: int, names: Mapping[str, Any]) -> RecipeError:
    """The error for a table that nothing gives; a file's name is recognised as the model it holds."""
    last = Path(table.replace("'", "")).stem if table.endswith(".sql") else table.rpartition(".")[2]
    close = [name for name in sorted(names) if name.split(".")[1] == last]
    close = close or difflib.get_close_matches(table, names, 2)
    if table.endswith(".sql"):
        came = f"reads the file {table!r}; a model reads another by its name"
    else:
        came = f"no model or repository table is called {table!r}"
    do = f"write {' or '.join(close)}" if close else f"add sql/<schema>/{last}.sql, or read repository.{last}"
    return RecipeError(f"{model.path}:{line}: {came}", allowed="<schema>.<model>, repository.<table>", do=do)


def _ordered(models: Mapping[str, tuple[Model, Parsed]]) -> Iterator[Model]:
    waiting, prints = dict(sorted(models.items())), dict[str, str]()
    while waiting:
        ready = next((name for name, (model, _) in waiting.items() if prints.keys() >= set(model.depends_on)), None)
        if ready is None:
            raise _cycle({name: model for name, (model, _) in waiting.items()})
        model, said = waiting.pop(ready)
        prints[ready] = fingerprint(said, model.kind, [prints[name] for name in model.depends_on])
        yield replace(model, fingerprint=prints[ready])


def _cycle(waiting: Mapping[str, Model]) -> RecipeError:
    """The error that names a cycle: walk what is waited for until a name returns."""
    walked, name = list[str](), next(iter(waiting))
    while name not in walked:
        walked.append(name)
        name = next(other for other in waiting[name].depends_on if other in waiting)
    ring = [*walked[walked.index(name) :], name]
    return RecipeError(
        f"{waiting[name].path}:{waiting[name].sql_line}: a cycle, {' reads '.join(ring)}",
        allowed="models that read no model that reads them",
    )

"""What other thresholds would change, before anything runs: the decisions of one rule set now and then, by source.

The models of ``sql/`` between the stored measurements and ``curation.decisions`` are made again in memory, from the
project's files and with the variables set, over the published snapshot; tables that stand before the rules (near pairs)
are the snapshot's, unless a variable that is set reaches them. So copies and near duplicates are told apart anew, and
an edit of a file counts like a variable. Nothing is written. Lost: every document is decided, some 7 CPU seconds a
million for one rule set.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from warehouse.errors import NotFound, UsageError
from warehouse.models import BUILT_IN, Model, create, load_models, refused
from warehouse.project import Project
from warehouse.publish import connect_current
from warehouse.query import Connection, Error, fetch_all, literal

DECISIONS, RULES = "curation.decisions", "curation.rules"
OLDER = "; where the snapshot is older than the file, 'warehouse run' makes a new one"


@dataclass(frozen=True, slots=True)
class Change:
    """A variable with the value it would have and its default in the file."""

    name: str
    value: float
    default: str


@dataclass(frozen=True, slots=True)
class SourceChange:
    """Documents of a source and their bytes of text in UTF-8: all, kept now, kept then, and those that change."""

    source: str
    documents: int
    kept_now: int
    kept_then: int
    newly_kept: int
    newly_dropped: int
    bytes: int
    bytes_kept_now: int
    bytes_kept_then: int


@dataclass(frozen=True, slots=True)
class ReasonChange:
    """Documents of a source that would be newly kept or newly dropped; reason: of the side that drops them."""

    source: str
    kept: bool
    reason: str
    documents: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Example:
    """A document that would change. kept: then; reason, value, threshold, twin, its uri: of the side that drops it."""

    doc_id: str
    source: str
    uri: str
    kept: bool
    reason: str
    value: float | None
    threshold: float | None
    twin: str | None
    twin_uri: str | None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What would change. edited: models whose file differs from what the snapshot was built by, so they count too."""

    rule_set: str
    changes: tuple[Change, ...]
    edited: tuple[str, ...]
    sources: tuple[SourceChange, ...]
    reasons: tuple[ReasonChange, ...]
    examples: tuple[Example, ...]


def whatif(project: Project, rules: str, values: Mapping[str, str], *, sample: int = 0, env: str = "prod") -> WhatIf:
    """What the rule set (its name, or a file of its rules) would decide with these values of its variables.

    values: by the variable's name, with or without the set's own before it (house_min_words, min_words). sample: how
    many examples, chosen by a hash of the doc_id, so the same every time. Raises UsageError for a rule set, a variable
    or a value that cannot be, NotFound where nothing is published.
    """
    every = {model.name: model for model in load_models(project.files("sql", "*.sql"))}
    if DECISIONS not in every:
        raise NotFound(f"the project has no model {DECISIONS}", do="see sql/curation")
    with connect_current(project.published, env) as con:
        rule_set = _rule_set(con, rules, every)
        changes = _changes(rule_set, every, values)
        anew = _reached(every, {change.name for change in changes})
        models = [every[name] for name in _above(every, [DECISIONS], through=anew)]
        edited = _edited(con, models)
        for change in changes:
            con.execute(f"SET VARIABLE {change.name} = {change.value!r}")
        _decide(con, models, rule_set, anew)
        return WhatIf(rule_set, changes, edited, _sources(con), _reasons(con), _examples(con, sample))


def _above(every: Mapping[str, Model], names: Iterable[str], *, through: Collection[str]) -> list[str]:
    """The models and all that they are made of, in the order of building; a table stands for its own, but for the named
    and those of ``through``.
    """
    wanted = set(names)
    waiting = [above for name in wanted for above in every[name].depends_on]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += every[name].depends_on if every[name].kind == "view" or name in through else ()
    return [name for name in every if name in wanted]


def _reached(every: Mapping[str, Model], variables: Collection[str]) -> set[str]:
    """The models that these variables can change; ``every`` is in the order of building."""
    found = set[str]()
    for name, model in every.items():
        if not model.variables.keys().isdisjoint(variables) or not found.isdisjoint(model.depends_on):
            found.add(name)
    return found


def _rule_set(con: Connection, rules: str, every: Mapping[str, Model]) -> str:
    """The rule set that a name or a file means."""
    try:
        known = [str(row[0]) for row in fetch_all(con, f"SELECT DISTINCT rule_set FROM {DECISIONS} ORDER BY rule_set")]
    except Error:
        known = []
    name = _set_of_file(rules, every) if rules.endswith(".sql") else rules
    if name not in known:
        allowed = ", ".join(known) or "none: this snapshot decides nothing"
        raise UsageError(f"no rule set {name!r}", allowed=allowed, do="name one, or its file sql/curation/<name>.sql")
    return name


def _set_of_file(rules: str, every: Mapping[str, Model]) -> str:
    """The first rule set that a model's file is of: its path, or that below the project or the built-in models."""
    files = {f"sql/{name.replace('.', '/')}.sql": model for name, model in every.items()}
    sets = {name: made for name, made in BUILT_IN.items() if all(each in every for each in made)}
    sets |= {model.rule_set: (name,) for name, model in every.items() if model.rule_set}
    of = {each: name for name, made in reversed(sets.items()) for each in made}
    for file, model in files.items():
        if model.name in of and (rules == file or Path(rules).resolve() == model.path.resolve()):
            return of[model.name]
    stem = Path(rules).stem
    own = [file for file, model in files.items() if model.name in sets.get(stem, ())]
    if own:
        raise UsageError(f"no file {rules!r}", allowed=f"{stem}, which is made of {' and '.join(own)}")
    allowed = ", ".join(file for file, model in files.items() if model.name in of)
    raise UsageError(f"{rules!r} is no file of a rule set", allowed=allowed)


def _variables(every: Mapping[str, Model], rule_set: str) -> dict[str, str]:
    """The variables that the set's decisions read, with their defaults."""
    own = [name for name, model in every.items() if model.rule_set == rule_set]
    made = [name for name in BUILT_IN.get(rule_set, own) if name in every]
    names = {*_above(every, made, through=every), DECISIONS}
    return {name: default for each in sorted(names) for name, default in every[each].variables.items()}


def _changes(rule_set: str, every: Mapping[str, Model], values: Mapping[str, str]) -> tuple[Change, ...]:
    found, known = dict[str, Change](), _variables(every, rule_set)
    ranges = {name: allowed for model in every.values() for name, allowed in model.ranges.items()}
    for given, value in values.items():
        name = given if given in known else f"{rule_set}_{given}"
        if name not in known:
            short = ", ".join(sorted(each.removeprefix(f"{rule_set}_") for each in known))
            read = [each for each, model in every.items() if given in model.variables]
            came = f"{rule_set} has no variable {given!r}" + (f", which {' and '.join(read)} reads" if read else "")
            raise UsageError(came, allowed=short or "none")
        if name in found:
            raise UsageError(f"{name} is set twice", allowed="one value a variable")
        number, allowed = _number(given, value), ranges.get(name)
        if allowed and not allowed.least <= number <= allowed.most:
            raise UsageError(f"{given} came as {value}", allowed=allowed.said)
        found[name] = Change(name, number, known[name])
    return tuple(found.values())


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{name} came as {value!r}", allowed="a number such as 30 or 0.25")
    return number


def _edited(con: Connection, models: Sequence[Model]) -> tuple[str, ...]:
    """Models whose file is not what the snapshot was built by."""
    built = dict(fetch_all(con, "SELECT name, fingerprint FROM meta.models"))
    return tuple(model.name for model in models if built.get(model.name) != model.fingerprint)


def _decide(con: Connection, models: Sequence[Model], rule_set: str, anew: Collection[str]) -> None:
    """``curation.decisions`` of this rule set in memory; the snapshot's own stays ``wh.curation.decisions``."""
    con.execute("USE memory")
    for model in models:
        try:
            create(con, _standing(model, rule_set, anew))
        except Error as error:
            raise refused(model, error, otherwise=OLDER) from None
    con.execute(_COMPARED, [rule_set])


def _standing(model: Model, rule_set: str, anew: Collection[str]) -> Model:
    """The model as it is built here: rules of the one set, and a table before them as the snapshot holds it."""
    if model.name == RULES:
        return replace(model, sql=f"FROM ({model.sql}\n) WHERE rule_set = {literal(rule_set)}")
    if model.kind == "table" and model.name not in anew and model.name != DECISIONS:
        return replace(model, kind="view", sql=f"FROM wh.{model.name}")
    return model


_COMPARED = """
CREATE TEMP TABLE compared AS
SELECT
    after.doc_id,
    after.source,
    coalesce(signals.bytes, 0) AS bytes,
    before.kept AS kept_now,
    after.kept AS kept_then,
    CASE WHEN after.kept THEN before ELSE after END AS drop
FROM curation.decisions AS after
JOIN wh.curation.decisions AS before ON before.doc_id = after.doc_id AND before.rule_set = $1
LEFT JOIN staging.current_signals AS signals ON signals.doc_id = after.doc_id"""


def _sources(con: Connection) -> tuple[SourceChange, ...]:
    sql = """
        SELECT source, count(*), count(*) FILTER (WHERE kept_now), count(*) FILTER (WHERE kept_then),
               count(*) FILTER (WHERE kept_then AND NOT kept_now), count(*) FILTER (WHERE kept_now AND NOT kept_then),
               sum(bytes)::BIGINT, coalesce(sum(bytes) FILTER (WHERE kept_now), 0)::BIGINT,
               coalesce(sum(bytes) FILTER (WHERE kept_then), 0)::BIGINT
        FROM compared GROUP BY source ORDER BY source"""
    return tuple(SourceChange(*row) for row in fetch_all(con, sql))


def _reasons(con: Connection) -> tuple[ReasonChange, ...]:
    sql = """
        SELECT source, kept_then, drop.reason, count(*) AS documents, sum(bytes)::BIGINT
        FROM compared WHERE kept_now <> kept_then
        GROUP BY ALL ORDER BY source, kept_then, documents DESC, drop.reason"""
    return tuple(ReasonChange(*row) for row in fetch_all(con, sql))


def _examples(con: Connection, sample: int) -> tuple[Example, ...]:
    sql = """
        SELECT doc_id, compared.source, current.uri, kept_then, drop.reason, drop.value, drop.threshold, drop.twin,
               twins.uri
        FROM compared
        JOIN staging.current_documents AS current USING (doc_id)
        LEFT JOIN staging.current_documents AS twins ON drop.twin = twins.doc_id
        WHERE kept_now <> kept_then ORDER BY md5(doc_id), doc_id LIMIT $1"""
    return tuple(Example(*row) for row in fetch_all(con, sql, [sample]))

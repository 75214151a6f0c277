"""A feature set as its YAML states it: recipes/features/<name>.yaml as a value, refused with its file and line.

A spine says for which entities and moments there are rows; each view says what is taken from one relation: aggregates
over windows before the moment, and the latest value. Both clocks are stated: when a thing happened (event_time) and
when it was known (known_at).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from warehouse.errors import RecipeError
from warehouse.recipes import Check, Keys, Stated, checked, choice, description, mapping, string, strings

AtMoment = Literal["counted", "excluded"]
Function = Literal["count", "sum", "mean", "min", "max", "rate"]
FUNCTIONS = ("count", "sum", "mean", "min", "max", "rate")
NAME = re.compile(r"[a-z][a-z0-9_]*")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time as it is written (``5m``), in microseconds."""

    text: str
    us: int


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A function over the rows of a window; column None: over the rows themselves (count, rate)."""

    name: str
    function: Function
    column: str | None


@dataclass(frozen=True, slots=True)
class View:
    """What is taken from one relation.

    keys: its columns that equal the spine's keys, in their order; version_of: columns that name one event, of whose
    rows the one known last counts (empty: every row is an event of its own); at_moment: whether an event at the very
    moment of the spine counts; latest: feature -> column; ttl: how old the latest event may be, the end included.
    """

    name: str
    relation: str
    keys: tuple[str, ...]
    event_time: str
    known_at: str
    at_moment: AtMoment
    version_of: tuple[str, ...] = ()
    windows: tuple[Span, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    latest: tuple[tuple[str, str], ...] = ()
    ttl: Span | None = None
    at: str = field(default="recipe", compare=False)


@dataclass(frozen=True, slots=True)
class Spine:
    """The rows to make: one SELECT with an entity's keys, a time, and labels that go along unchanged."""

    select: str
    keys: tuple[str, ...]
    time: str
    at: str = field(default="recipe", compare=False)


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """A definition of features; its rows are the table ``features_<name>`` of the repository."""

    name: str
    spine: Spine
    views: tuple[View, ...]
    description: str = ""
    path: Path = field(default=Path("recipe"), compare=False)

    @property
    def table(self) -> str:
        """Its table in the repository."""
        return f"features_{self.name}"

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features, in order."""
        return tuple(
            name
            for view in self.views
            for name in (
                *(f"{each.name}_{window.text}" for window in view.windows for each in view.aggregates),
                *(name for name, _ in view.latest),
            )
        )


def load_features(path: Path) -> FeatureSet:
    """The feature set in ``path``. Raises RecipeError, ``file:line: ...``, for anything that is not as it should be."""
    stated = Stated.read(path, allowed=", ".join(_KEYS))
    name = path.stem.removeprefix("features.")  # as its copy in a release is called
    if not NAME.fullmatch(name):
        stated.refuse((), f"name {name!r}", "a file name of small letters, digits and _, a letter first")
    values = checked(stated, (), _KEYS, required=("spine", "views"))
    made = FeatureSet(name=name, path=path, **values)
    _refuse_clashes(stated, made)
    return made


def _refuse_clashes(stated: Stated, made: FeatureSet) -> None:
    """Names once each, and as many keys in each view as the spine has."""
    taken = set((*made.spine.keys, made.spine.time))
    for name in made.features:
        if name in taken:
            stated.refuse(("views",), f"{name!r} stands twice", "each feature once, none named as a key or the time")
        taken.add(name)
    for view in made.views:
        if len(view.keys) != len(made.spine.keys):
            came = f"{len(view.keys)} keys where the spine has {len(made.spine.keys)}"
            stated.refuse(
                ("views", view.name, "keys"), came, f"columns that equal {', '.join(made.spine.keys)}, in order"
            )


def _spine(stated: Stated, key: Keys) -> Spine:
    mapping(stated, key, "select, keys and time")
    values = checked(stated, key, _SPINE, required=("select", "keys", "time"))
    return Spine(**values, at=stated.place((*key, "select")))


def _views(stated: Stated, key: Keys) -> tuple[View, ...]:
    return tuple(_view(stated, (*key, str(name))) for name in mapping(stated, key, "views, by name"))


def _view(stated: Stated, key: Keys) -> View:
    if not NAME.fullmatch(key[-1]):
        stated.refuse(key, f"view {key[-1]!r}", "small letters, digits and _, a letter first")
    mapping(stated, key, "relation, keys, event_time, known_at, at_moment, and windows with aggregates, or latest")
    required = ("relation", "keys", "event_time", "known_at", "at_moment")
    values = checked(stated, key, _VIEW, required=required)
    if ("windows" in values) != ("aggregates" in values) or not {"windows", "latest"} & set(values):
        stated.refuse(key, "windows without aggregates, or neither", "windows with aggregates, latest, or both")
    if ("ttl" in values) and "latest" not in values:
        stated.refuse((*key, "ttl"), "ttl without latest", "ttl: how old a latest value may be")
    return View(name=key[-1], **values, at=stated.place((*key, "relation")))


def _relation(stated: Stated, key: Keys) -> str:
    value = string(stated, key)
    if not re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", value):
        stated.refuse(key, f"relation {value!r}", "a SQL model, schema.name, or repository.table")
    return value


def _span(stated: Stated, key: Keys) -> Span:
    return span(stated, key, stated.get(key))


def span(stated: Stated, key: Keys, value: object) -> Span:
    """A length of time: a whole number and a unit."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", str(value))
    if not found:
        stated.refuse(key, f"{key[-1]} is {value!r}", "a whole number and s, m, h or d, such as 5m")
    return Span(str(value), int(found[1]) * _UNITS[found[2]] * 1_000_000)


def _windows(stated: Stated, key: Keys) -> tuple[Span, ...]:
    return tuple(span(stated, key, each) for each in strings(stated, key))


def _aggregates(stated: Stated, key: Keys) -> tuple[Aggregate, ...]:
    named = mapping(stated, key, "names with count, rate or {sum: COLUMN}")
    return tuple(_aggregate(stated, (*key, str(name))) for name in named)


def _aggregate(stated: Stated, key: Keys) -> Aggregate:
    value = stated.get(key)
    allowed = f"count, rate, or one of {{{', '.join(FUNCTIONS)}}} with a column, such as {{sum: tokens}}"
    if not NAME.fullmatch(key[-1]):
        stated.refuse(key, f"feature {key[-1]!r}", "small letters, digits and _, a letter first")
    if value in ("count", "rate"):
        return Aggregate(key[-1], value, None)
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in FUNCTIONS:
        stated.refuse(key, f"{key[-1]} is {value!r}", allowed)
    return Aggregate(key[-1], next(iter(value)), string(stated, (*key, next(iter(value)))))


def _latest(stated: Stated, key: Keys) -> tuple[tuple[str, str], ...]:
    named = mapping(stated, key, "names of features with columns, such as {last_price: price}")
    for name in named:
        if not NAME.fullmatch(str(name)):
            stated.refuse((*key, str(name)), f"feature {name!r}", "small letters, digits and _, a letter first")
    return tuple((name, string(stated, (*key, name))) for name in named)


_SPINE: Mapping[str, Check] = {"select": string, "keys": strings, "time": string}
_VIEW: Mapping[str, Check] = {
    "relation": _relation,
    "keys": strings,
    "event_time": string,
    "known_at": string,
    "at_moment": choice("counted", "excluded"),
    "version_of": strings,
    "windows": _windows,
    "aggregates": _aggregates,
    "latest": _latest,
    "ttl": _span,
}
_KEYS: Mapping[str, Check] = {"description": description, "spine": _spine, "views": _views}


def refused(at: str, came: str, *, allowed: str = "", do: str = "") -> RecipeError:
    """The error for what is only seen when the relation is there."""
    return RecipeError(f"{at}: {came}", allowed=allowed, do=do)

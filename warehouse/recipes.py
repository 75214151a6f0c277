"""A recipe as its YAML file states it: plain values with the line of each key, and the checks that recipes share.

Every refusal is a RecipeError that begins ``file:line:`` and says what is allowed. A key given twice is refused, for
YAML would let the last one win.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml.constructor import SafeConstructor

from warehouse.errors import RecipeError

Keys = tuple[str, ...]


def root_of(text: str) -> yaml.Node | None:
    """The root of a YAML text, with the line of each part. Raises yaml.YAMLError.

    By libyaml, a tenth of the time; what it refuses PyYAML reads again, which names the line more exactly.
    """
    try:
        return yaml.compose(text, yaml.CSafeLoader)
    except yaml.YAMLError:
        return yaml.compose(text, yaml.SafeLoader)


def plain(root: yaml.Node | None) -> Any:
    """The values below the root. Raises yaml.YAMLError, ValueError for a date that no calendar has."""
    return None if root is None else SafeConstructor().construct_document(root)


@dataclass(frozen=True, slots=True)
class Stated:
    """A YAML file read: its plain values, and the line of each key."""

    path: Path
    values: Mapping[str, Any]
    lines: Mapping[Keys, int]

    @classmethod
    def read(cls, path: Path, *, allowed: str) -> Stated:
        """The mapping in ``path``; ``allowed`` names its keys, for the refusal of anything else."""
        try:
            text = path.read_text("utf-8")
            node = root_of(text)
            values = plain(node)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or str(error)
            raise RecipeError(f"{path}:{mark.line + 1 if mark else 1}: {problem}", allowed="a YAML mapping") from None
        except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a date that no calendar has
            raise RecipeError(f"{path}:1: cannot be read: {error}", allowed="a YAML file in UTF-8") from None
        if not isinstance(node, yaml.MappingNode):
            raise RecipeError(f"{path}:1: not a mapping", allowed=allowed, do="write keys, each with a value")
        lines: dict[Keys, int] = {}
        _note_lines(path, node, (), lines)
        return cls(path, values, lines)

    def place(self, key: Keys) -> str:
        """``file:line`` of a key."""
        return f"{self.path}:{self.lines.get(key, 1)}"

    def get(self, key: Keys) -> Any:
        """The value under a key."""
        value: Any = self.values
        for part in key:
            value = value[part]
        return value

    def refuse(self, key: Keys, came: str, allowed: str, do: str = "") -> NoReturn:
        """Raise RecipeError at the line of a key."""
        raise RecipeError(f"{self.place(key)}: {came}", allowed=allowed, do=do)


Check = Callable[[Stated, Keys], Any]


def _note_lines(path: Path, node: yaml.MappingNode, above: Keys, lines: dict[Keys, int]) -> None:
    """Fill ``lines`` with the line of each key."""
    for key, value in node.value:
        name = (*above, str(key.value))
        if name in lines:
            raise RecipeError(f"{path}:{key.start_mark.line + 1}: key {key.value!r} again", allowed="each key once")
        lines[name] = key.start_mark.line + 1
        if isinstance(value, yaml.MappingNode):
            _note_lines(path, value, name, lines)


def refuse_unknown(stated: Stated, above: Keys, known: Mapping[str, object]) -> None:
    """Raise RecipeError for the first key below ``above`` that is not known, naming the nearest one that is."""
    for key in stated.get(above):
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "remove it"
            stated.refuse((*above, str(key)), f"unknown key {key!r}", ", ".join(known), hint)


def checked(stated: Stated, above: Keys, checks: Mapping[str, Check], *, required: Keys = ()) -> dict[str, Any]:
    """The values below ``above``, each through its check; unknown and missing keys are refused."""
    refuse_unknown(stated, above, checks)
    for key in required:
        if key not in stated.get(above):
            stated.refuse(above, f"no {key}", f"{', '.join(required)} at least", f"add {key}")
    return {key: check(stated, (*above, key)) for key, check in checks.items() if key in stated.get(above)}


def mapping(stated: Stated, key: Keys, allowed: str) -> Mapping[Any, Any]:
    """A mapping that is not empty."""
    value = stated.get(key)
    if not isinstance(value, dict) or not value:
        stated.refuse(key, f"{key[-1]} is {value!r}", allowed)
    return value


def string(stated: Stated, key: Keys) -> str:
    """A text that is not empty, trimmed."""
    value = stated.get(key)
    if not isinstance(value, str) or not value.strip():
        stated.refuse(key, f"{key[-1]} is {value!r}", "a text that is not empty")
    return value.strip()


def strings(stated: Stated, key: Keys) -> tuple[str, ...]:
    """A list of texts, each once."""
    value = stated.get(key)
    good = isinstance(value, list) and value and all(isinstance(each, str) and each.strip() for each in value)
    if not good or len(set(value)) != len(value):
        stated.refuse(key, f"{key[-1]} is {value!r}", "a list of names, each once, such as [a, b]")
    return tuple(each.strip() for each in value)


def choice(*allowed: str) -> Callable[[Stated, Keys], Any]:
    """A check for one of some words."""

    def check(stated: Stated, key: Keys) -> str:
        value = stated.get(key)
        if value not in allowed:
            stated.refuse(key, f"{key[-1]} is {value!r}", ", ".join(allowed))
        return str(value)

    return check


def choices(*allowed: str) -> Callable[[Stated, Keys], Any]:
    """A check for a list of some words, each once."""

    def check(stated: Stated, key: Keys) -> tuple[str, ...]:
        value = stated.get(key)
        if not isinstance(value, list) or any(each not in allowed for each in value) or len(set(value)) < len(value):
            stated.refuse(key, f"{key[-1]} is {value!r}", f"a list of {', '.join(allowed)}, each once")
        return tuple(value)

    return check


def description(stated: Stated, key: Keys) -> str:
    """A text, empty or not."""
    return "" if stated.get(key) == "" else string(stated, key)


def whole(least: int, most: int) -> Callable[[Stated, Keys], int]:
    """A check for an integer of least..most."""

    def check(stated: Stated, key: Keys) -> int:
        value = stated.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            stated.refuse(key, f"{key[-1]} is {value!r}", f"a whole number from {least:,} to {most:,}")
        return value

    return check


def number(kind: type[int] | type[float], low: float, high: float) -> Callable[[Stated, Keys], Any]:
    """A check for a number of this type, low..high."""

    def check(stated: Stated, key: Keys) -> int | float:
        value = stated.get(key)
        wanted = int if kind is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted) or not low <= value <= high:
            stated.refuse(key, f"{key[-1]} is {value!r}", f"a {'whole ' * (kind is int)}number, {low:,} to {high:,}")
        return kind(value)

    return check


def share(stated: Stated, key: Keys, most: float = 1) -> float:
    """A number from 0 to ``most``."""
    value = stated.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        stated.refuse(key, f"{key[-1]} is {value!r}", f"a share from 0 to {most:g}")
    return float(value)


def shares(stated: Stated, key: Keys) -> tuple[tuple[str, float], ...]:
    """Names of splits with shares that add up to 1."""
    names = mapping(stated, key, "names with shares, such as {train: 0.95, validation: 0.05}")
    return parts_of_one(stated, key, [_split(stated, key, name) for name in names])


def parts_of_one(stated: Stated, key: Keys, names: Iterable[str]) -> tuple[tuple[str, float], ...]:
    """Shares below ``key`` that add up to 1."""
    found = tuple((name, share(stated, (*key, name))) for name in names)
    if sum(Fraction(str(part)) for _, part in found) != 1:
        stated.refuse(key, f"shares that add up to {sum(part for _, part in found):.6g}", "shares of 1 in all")
    return found


def _split(stated: Stated, key: Keys, name: object) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        stated.refuse((*key, str(name)), f"split {name!r}", "small letters, digits and _, a letter first")
    return name


def ends(stated: Stated, key: Keys) -> tuple[tuple[str, datetime], ...]:
    """Names of splits with the moment before which each ends, later from one to the next; without a zone: UTC."""
    names = mapping(stated, key, "names with dates, such as {train: 2026-01-01, validation: 2026-02-01}")
    found = [(_split(stated, key, name), _moment(stated, (*key, name))) for name in names]
    for (_, before), (name, end) in pairwise(found):
        if end <= before:
            stated.refuse((*key, name), f"{name} ends {end.isoformat()}", f"a moment after {before.isoformat()}")
    return tuple(found)


def _moment(stated: Stated, key: Keys) -> datetime:
    value = stated.get(key)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    if not isinstance(value, datetime):
        stated.refuse(key, f"{key[-1]} is {value!r}", "a date such as 2026-01-01, or with a time, 2026-01-01 12:00:00")
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)

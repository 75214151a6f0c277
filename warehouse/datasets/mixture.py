"""``mixture`` of a recipe: how many tokens of which groups its first split holds, refused with its file and line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Any

from warehouse.datasets.shares import cumulated
from warehouse.errors import RecipeError
from warehouse.recipes import Check, Keys, Stated, checked, mapping, number, parts_of_one, string, whole

GROUPS = ("source", "licence")
"""What the repository has of each document to group it by; anything else is a column of the select."""
NO_GROUP = "unknown"
"""The group of documents that state none."""
MOST_TOKENS, MOST_EPOCHS = 1 << 53, 1000


@dataclass(frozen=True, slots=True)
class Mixture:
    """The tokens of the first split, by group.

    tokens: in all; by: what makes a group, source, licence, or a column of the select (language). Shares: ``weights``,
    1 in all; or, with a temperature T, in proportion to what there is, tokens ** (1 / T). epochs: how often a document
    goes out at most, for all groups or by name (a group without name: once). at: places in the file, by name of a
    group, and of the key under "".
    """

    tokens: int
    by: str = "source"
    weights: tuple[tuple[str, float], ...] = ()
    temperature: float | None = None
    epochs: int | tuple[tuple[str, int], ...] = 1
    at: Mapping[str, str] = field(default_factory=dict, compare=False)

    def most(self, group: str) -> int:
        """How often a document of the group goes out at most."""
        return self.epochs if isinstance(self.epochs, int) else dict(self.epochs).get(group, 1)

    def asked(self, there: Mapping[str, int]) -> dict[str, int]:
        """The tokens asked of each group, ``tokens`` in all; there: the tokens that each has."""
        shares = self.weights or _tempered(there, Decimal(str(self.temperature)))
        ends = [0, *cumulated(shares, self.tokens), self.tokens]
        return {name: end - start for (name, _), (start, end) in zip(shares, pairwise(ends), strict=True)}


def _tempered(there: Mapping[str, int], temperature: Decimal) -> tuple[tuple[str, Decimal], ...]:
    """Shares in proportion to tokens ** (1 / temperature), in decimals, which are the same on every machine."""
    with localcontext(prec=40):
        parts = {name: Decimal(tokens) ** (1 / temperature) for name, tokens in sorted(there.items())}
        whole = sum(parts.values())
        return tuple((name, part / whole) for name, part in parts.items())


def refuse_groups(mixture: Mixture, groups: Collection[str], split: str) -> None:
    """Raise RecipeError for a name that no document of the split has, and for a group that has no weight."""
    named = [*(name for name, _ in mixture.weights), *([] if isinstance(mixture.epochs, int) else dict(mixture.epochs))]
    for name in named:
        if name not in groups:
            raise RecipeError(
                f"{mixture.at.get(name, 'recipe')}: no document of {split} has the {mixture.by} {name!r}",
                allowed=", ".join(sorted(groups)),
            )
    without = sorted(set(groups) - {name for name, _ in mixture.weights}) if mixture.weights else []
    if without:
        raise RecipeError(
            f"{mixture.at.get('', 'recipe')}: {mixture.by} {without[0]!r} has no weight",
            allowed=f"one for each: {', '.join(sorted(groups))}",
            do="weigh it, with 0 to keep it out, or leave its documents out in the select",
        )


def mixture(stated: Stated, key: Keys) -> Mixture:
    """The mixture below ``key``."""
    mapping(stated, key, "{tokens: 50000000, weights: {web: 0.5, books: 0.5}}")
    values = checked(stated, key, CHECKS, required=("tokens",))
    if ("weights" in values) == ("temperature" in values):
        came = "weights and temperature" if "weights" in values else "neither weights nor temperature"
        stated.refuse(key, f"mixture with {came}", "one of them")
    named = ((part, name) for part in ("epochs", "weights") for name in _names(stated.get(key).get(part)))
    at = {name: stated.place((*key, part, name)) for part, name in named}
    return Mixture(**values, at={**at, "": stated.place(key)})


def _names(value: Any) -> list[str]:
    return list(value) if isinstance(value, dict) else []


def stated_mixture(mixture: Mixture) -> dict[str, Any]:
    """The mixture as a recipe states it, with every default."""
    values = {
        "tokens": mixture.tokens,
        "by": mixture.by,
        "weights": {name: float(share) for name, share in mixture.weights} or None,
        "temperature": None if mixture.temperature is None else float(mixture.temperature),
        "epochs": mixture.epochs if isinstance(mixture.epochs, int) else dict(mixture.epochs),
    }
    return {key: value for key, value in values.items() if value is not None}


def _weights(stated: Stated, key: Keys) -> tuple[tuple[str, float], ...]:
    return parts_of_one(stated, key, _groups(stated, key, "{web: 0.5, books: 0.5}"))


def _epochs(stated: Stated, key: Keys) -> int | tuple[tuple[str, int], ...]:
    check = whole(1, MOST_EPOCHS)
    if not isinstance(stated.get(key), dict):
        return check(stated, key)
    return tuple((name, check(stated, (*key, name))) for name in _groups(stated, key, "{web: 1, books: 4}"))


def _groups(stated: Stated, key: Keys, example: str) -> list[str]:
    """The names of groups below ``key``."""
    names = list(mapping(stated, key, f"names of groups, such as {example}"))
    for name in names:
        if not isinstance(name, str) or not name:
            stated.refuse(key, f"group {name!r}", "names that are texts", "put it in quotes")
    return names


CHECKS: Mapping[str, Check] = {
    "tokens": whole(1, MOST_TOKENS),
    "by": string,
    "weights": _weights,
    "temperature": number(float, 1, 1000),
    "epochs": _epochs,
}

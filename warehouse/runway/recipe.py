"""What a project's runway is asked for: ``recipes/runway.yaml``, every key of it optional."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from warehouse.contracts import MAX_SYNTHETIC_SHARE
from warehouse.errors import UsageError
from warehouse.recipes import Check, Keys, Stated, checked, number, string
from warehouse.runway.published import DATASET_GROWTH

TOKENS_PER_PARAMETER: Final = 20
"""Hoffmann et al. 2022: best for a given compute."""
LIMITS: Final = {
    "parameters": (1, 1e15),
    "target_tokens": (1, 1e18),
    "bytes_per_token": (1, 100),
    "epochs": (1, 1000),
    "synthetic_share": (0, MAX_SYNTHETIC_SHARE),
    "horizon_years": (1, 50),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the own corpus is held against.

    parameters: N of the model to train, 124 million as the smallest GPT-2; target_tokens: D, None for 20 N;
    growth: of D, its 95 % interval in orders of magnitude a year; epochs: passes over the text, at most;
    synthetic_share: of an export, at most; bytes_per_token: the world's median; rule_set: what counts as kept.
    """

    parameters: int = 124_000_000
    target_tokens: int | None = None
    growth: tuple[float, float] = (DATASET_GROWTH.low, DATASET_GROWTH.high)
    bytes_per_token: float = 4.0
    epochs: float = 4.0
    synthetic_share: float = MAX_SYNTHETIC_SHARE
    horizon_years: int = 15
    rule_set: str = "house"

    @property
    def target(self) -> float:
        """D, in tokens."""
        return float(self.target_tokens or TOKENS_PER_PARAMETER * self.parameters)


def load_settings(paths: list[Path]) -> Settings:
    """The settings of the first of these files, the defaults where there is none.

    Raises RecipeError, ``file:line: ...``.
    """
    if not paths:
        return Settings()
    stated = Stated.read(paths[0], allowed=", ".join(_KEYS))
    return Settings(**checked(stated, (), _KEYS))


def changed(settings: Settings, **values: Any) -> Settings:
    """The settings with these values, None leaving one as it is; parameters alone take the place of a stated D.

    Raises UsageError for a value beyond its limits.
    """
    stated = {name: value for name, value in values.items() if value is not None}
    for name in stated.keys() & LIMITS.keys():
        low, high = LIMITS[name]
        if not low <= stated[name] <= high:
            raise UsageError(f"{name} came as {stated[name]:,}", allowed=f"{low:,} to {high:,}")
    if "parameters" in stated and "target_tokens" not in stated:
        stated["target_tokens"] = None
    return replace(settings, **stated)


def _growth(stated: Stated, key: Keys) -> tuple[float, float]:
    value = stated.get(key)
    good = isinstance(value, list) and len(value) == 2 and all(type(each) in (int, float) for each in value)
    if not good or not -2 <= value[0] <= value[1] <= 2:
        stated.refuse(key, f"{key[-1]} is {value!r}", "[low, high] from -2 to 2, in orders of magnitude a year")
    return float(value[0]), float(value[1])


_TYPES: Final = {field.name: float if field.type == "float" else int for field in fields(Settings)}
_KEYS: dict[str, Check] = {name: number(_TYPES[name], *limits) for name, limits in LIMITS.items()} | {
    "growth": _growth,
    "rule_set": string,
}

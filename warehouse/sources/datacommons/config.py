"""config.json of a custom Data Commons: which of its files are read how.

Both forms of ``inputFiles`` are taken, a list with ``pattern`` or ``filename`` and a mapping from pattern to the rest;
``importType`` observations, ``format`` variablePerRow and variablePerColumn. Source: the public documentation of custom
Data Commons, and simple/ of datacommonsorg/import.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from warehouse.sources.datacommons.mcf import bare

CONFIG = "config.json"
COLUMNS = {
    "observationAbout": "entity",
    "variableMeasured": "variable",
    "observationDate": "date",
    "value": "value",
    "unit": "unit",
    "measurementMethod": "measurement_method",
    "observationPeriod": "observation_period",
    "scalingFactor": "scaling_factor",
}
"""Property of an observation -> its column in the table of observations."""
REQUIRED = ("entity", "variable", "date", "value")


class WrongConfig(ValueError):
    """A config.json that says nothing usable; the message says what."""


@dataclass(frozen=True, slots=True)
class Input:
    """How the files of one pattern are read.

    columns: column of observations -> column of the CSV; further: other properties; constants: column -> value where
    the CSV has none.
    """

    pattern: str
    provenance: str | None = None
    per_column: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    further: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    def matches(self, name: str) -> bool:
        """Whether a file of this name is read so."""
        last = self.pattern.rpartition("/")[2]
        return fnmatch.fnmatchcase(name, last)


def read_config(data: bytes | None) -> list[Input]:
    """The inputs of a config.json. Raises WrongConfig."""
    try:
        stated = orjson.loads(data or b"")
    except orjson.JSONDecodeError as error:
        raise WrongConfig(f"{CONFIG} is no JSON: {error}") from None
    files = stated.get("inputFiles") if isinstance(stated, dict) else None
    if isinstance(files, dict):
        files = [{"pattern": name, **_mapping(entry, "an input file")} for name, entry in files.items()]
    if not isinstance(files, list) or not files:
        raise WrongConfig(f"{CONFIG} has no inputFiles: a list of objects with pattern, or a mapping of patterns")
    return [_input(_mapping(entry, "an input file")) for entry in files]


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WrongConfig(f"{what} of {CONFIG} is {value!r}, no object")
    return value


def _input(entry: dict[str, Any]) -> Input:
    pattern = entry.get("pattern") or entry.get("filename")
    if not isinstance(pattern, str):
        raise WrongConfig(f"an input file of {CONFIG} without pattern or filename")
    kind, form = entry.get("importType", "observations"), entry.get("format", "variablePerRow")
    if kind != "observations" or form not in ("variablePerRow", "variablePerColumn"):
        raise WrongConfig(
            f"{pattern}: importType {kind}, format {form}; observations, variablePerRow and variablePerColumn are read"
        )
    stated = {bare(key): str(name) for key, name in _mapping(entry.get("columnMappings", {}), pattern).items()}
    columns = {COLUMNS.get(key, key): name for key, name in stated.items()}
    held = set(COLUMNS.values()) | {"provenance"}
    constants = _mapping(entry.get("observationProperties", {}), pattern)
    given = entry.get("provenance")
    return Input(
        pattern,
        provenance=bare(given) if isinstance(given, str) else None,
        per_column=form == "variablePerColumn",
        columns={name: column for name, column in columns.items() if name in held},
        further={name: column for name, column in columns.items() if name not in held},
        constants={COLUMNS.get(bare(key), bare(key)): bare(str(text)) for key, text in constants.items()},
        ignored=frozenset(map(str, entry.get("ignoreColumns", []))),
    )

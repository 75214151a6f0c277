"""What Data Commons calls a node that states no dcid: keys of observations, populations and variables, hashed.

An observation is dc/o/ and the hash of its KEY properties, one after the other; a population dc/p/; a definition and a
name in words are made for a statistical variable that states none. The expected files of the import tool hold every
one of these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from warehouse.sources.datacommons.fingerprint import short_name
from warehouse.sources.datacommons.mcf import Node
from warehouse.sources.datacommons.quantities import quantity
from warehouse.sources.datacommons.vocabulary import KEY, LEGACY_KEY, NO_CONSTRAINTS, OF_VARIABLE

TIMES = ("daily", "weekly", "monthly", "quarterly", "annual")
CASES = (
    re.compile(r"([a-z0-9])([A-Z])"),
    re.compile(r"([A-Z])([A-Z][a-z])"),
    re.compile(r"([a-zA-Z])([0-9])"),
    re.compile(r"([0-9])([a-zA-Z])"),
)


@dataclass(frozen=True, slots=True)
class Name:
    """A dcid, and the key that it is the hash of; both empty for a node that lacks what its key needs."""

    dcid: str = ""
    key: str = ""


def observation_name(node: Node) -> Name:
    """Of a StatVarObservation: each of KEY once, place and variable no longer local."""
    return _keyed(node, KEY, required=4, resolved=("observationAbout", "variableMeasured"))


def old_observation_name(node: Node) -> Name:
    """Of an Observation of the old kind."""
    return _keyed(node, LEGACY_KEY, required=3, resolved=("location",))


def _keyed(node: Node, names: tuple[str, ...], *, required: int, resolved: tuple[str, ...]) -> Name:
    parts = []
    for at, name in enumerate(names):
        values = node.values.get(name, [])
        if not values and at >= required:
            continue
        if len(values) != 1 or (name in resolved and values[0].text.startswith("l:")):
            return Name()
        parts.append(f"{name}={values[0].text}")
    key = "".join(parts)
    return Name(f"dc/o/{short_name(key)}", key)


def population_name(node: Node) -> Name:
    """Of a StatisticalPopulation: type, place, group and constraints, in order of name."""
    stated = {}
    for name, values in node.values.items():
        text = _plain(node, name) if values else None
        if text is None or (name == "location" and text.startswith("l:")):
            return Name()
        stated[name] = text
    kind, place = node.first("populationType"), node.first("location")
    if not kind or not place:
        return Name()
    chosen = set(node.all("constraintProperties"))
    names = sorted(name for name in stated if name not in NO_CONSTRAINTS and (not chosen or name in chosen))
    key = "".join([kind, place, node.first("memberOf"), *(f"{name}{stated[name]}" for name in names)])
    return Name(f"dc/p/{short_name(key)}", key)


def variable_name(node: Node) -> Name:
    """Of a statistical variable: what tells it from any other, whatever its dcid."""
    if not node.first("typeOf"):
        return Name()
    parts = []
    for name in sorted(name for name in node.values if name in OF_VARIABLE or name not in NO_CONSTRAINTS):
        if len(node.values[name]) != 1:
            continue
        text = _plain(node, name)
        if text is None:
            return Name()
        parts.append(f"{name}={text}")
    key = "".join(parts)
    return Name(f"dc/{short_name(key)}", key)


def _plain(node: Node, name: str) -> str | None:
    """The first value of a property, of one in brackets its dcid; None where that is refused."""
    value = node.values[name][0]
    if value.kind != "complex":
        return value.text
    made = quantity(value.text, name, _ignored)
    return made.dcid if made else None


def _ignored(check: str, message: str) -> None:
    """A finding that a check of the node has noted already."""


def constraints(node: Node) -> list[str]:
    """Properties that narrow the population of a statistical variable, in order of name."""
    return sorted(name for name in node.values if name not in NO_CONSTRAINTS)


def definition(node: Node) -> str:
    """A statistical variable in one line: md, mq, st, mp, pt and its constraints."""
    shorts = {"md": "measurementDenominator", "mq": "measurementQualifier", "st": "statType"}
    shorts |= {"mp": "measuredProperty", "pt": "populationType"}
    found = [(short, node.first(name)) for short, name in shorts.items() if node.values.get(name)]
    parts = [f"{short}={text}" for short, text in found if (short, text) != ("st", "measuredValue")]
    return ",".join([*parts, *(f"{name}={node.first(name)}" for name in constraints(node) if node.values[name])])


def words(token: str) -> str:
    """A name of the schema as words with capitals: ``wagesAnnual`` is Wages Annual."""
    text = token.replace("_", " ")
    for pattern in CASES:
        text = pattern.sub(r"\1 \2", text)
    return " ".join(word[0].upper() + word[1:] for word in text.split())


def title(node: Node) -> str:
    """A statistical variable in words: [statistic] [measure of population] [(qualifiers)]: constraints (denominator)"""
    statistic = node.first("statType")
    before: list[str] = []
    after: list[str] = []
    if statistic and statistic.lower() != "measuredvalue":
        before.append(words(re.sub(r"(?<=.)[Vv]alue$", "", statistic)))
    for part in (part for each in node.all("measurementQualifier") for part in re.split(r"[,\s&]+", each) if part):
        (before if part.lower() in TIMES else after).append(words(part))
    measure = _measured(words(node.first("measuredProperty")), node.first("populationType"))
    parts = [" ".join(before), measure, f"({' & '.join(after)})" if after else ""]
    base = " ".join(part for part in parts if part)
    narrowed = ", ".join(_narrowed(name, text) for name in constraints(node) for text in node.all(name) if text)
    base = f"{base}: {narrowed}" if base and narrowed else base or narrowed
    return f"{base} {_denominator(node.first('measurementDenominator'))}".strip()


def _measured(measure: str, population: str) -> str:
    """Measure and population, without saying one of them twice."""
    kind = words(population)
    if kind and kind.lower() != "thing":
        if not measure or (measure.lower() in kind.lower() and measure.lower() != kind.lower()):
            measure = kind
        elif kind.lower() not in measure.lower():
            measure = f"{measure} of {kind}"
    return "Population" if measure == "Count of Person" else measure


def _narrowed(name: str, text: str) -> str:
    if text.lower() == "true":
        return words(name)
    return f"{words(name)} (False)" if text.lower() == "false" else words(text)


def _denominator(name: str) -> str:
    if not name:
        return ""
    if name.lower() in ("count_person", "person"):
        return "(Per capita)"
    return f"(As fraction of {' '.join(words(part.strip()) for part in name.split('_') if part.strip())})"

"""Series of observations looked at as a whole: values that differ, leaps, outliers, dates that do not fit.

Of each kind of place a sample is looked at, the first PLACES_BY_LENGTH of each length for namespaces whose length tells
the kind, else the first PLACES_OF_NAMESPACE, so memory is bounded by variables, not by places. Two values of one
observation are looked for in all of them, in 100 bytes an observation.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from warehouse.sources.datacommons.checks import moment
from warehouse.sources.datacommons.fingerprint import fingerprint64
from warehouse.sources.datacommons.mcf import Finding, Level, Node, Note, Value
from warehouse.sources.datacommons.vocabulary import OBSERVATION

PLACES_BY_LENGTH, PLACES_OF_NAMESPACE = 5, 25
TOLD_BY_LENGTH = ("geoId", "nuts")
SERIES_KEY = (
    "observationAbout", "variableMeasured", "measurementMethod", "observationPeriod", "scalingFactor", "unit",
)  # fmt: skip
SMALL = 1e-6

Point = tuple[Value, tuple[str, int]]


@dataclass(slots=True)
class Series:
    """Takes observations up one by one; ``findings`` says what is wrong with their series."""

    note: Note
    values: dict[int, float] = field(default_factory=dict)
    places: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    points: dict[tuple[str, ...], dict[str, list[Point]]] = field(default_factory=dict)

    def add(self, nodes: Iterable[Node]) -> None:
        """Take up the observations among the nodes. Notes one whose value differs from that of an earlier one."""
        for node in nodes:
            place, stated = node.first("observationAbout"), node.values.get("value")
            if place and stated and self._sampled(place):
                key = tuple(node.first(name) for name in SERIES_KEY)
                dates = self.points.setdefault(key, {})
                dates.setdefault(node.first("observationDate"), []).append((stated[0], node.places[0]))
            if stated and stated[0].kind == "number" and OBSERVATION in node.all("typeOf"):
                self._compare(node, stated[0].text)

    def _compare(self, node: Node, text: str) -> None:
        key = "\0".join([*(node.first(name) for name in SERIES_KEY), node.first("observationDate")])
        value = _number(text)
        if value is None:
            return
        first = self.values.setdefault(fingerprint64(key.encode("utf-8", "surrogatepass")), value)
        if first != value:
            message = f"node {node.name!r} is {value:g}, the same observation was {first:g} before"
            self.note(Finding("error", "Sanity_InconsistentSvObsValues", message, *node.places[0]))

    def _sampled(self, place: str) -> bool:
        space = place.partition("/")[0] if "/" in place else ""
        by_length = space in TOLD_BY_LENGTH
        sample = self.places[f"{space}{len(place)}" if by_length else space]
        if len(sample) < (PLACES_BY_LENGTH if by_length else PLACES_OF_NAMESPACE):
            sample.add(place)
        return place in sample

    def findings(self) -> None:
        """Note what is wrong with each series."""
        for key, dates in self.points.items():
            ordered = sorted(dates.items())
            said = _Said(self.note, f"{key[1]} of {key[0]}")
            _kinds(ordered, said)
            _differing(ordered, said)
            _dates(ordered, said)
            if ordered[0][1][0][0].kind == "number":
                _outliers(ordered, said)
                _leaps(ordered, said)


Dates = list[tuple[str, list[Point]]]


@dataclass(frozen=True, slots=True)
class _Said:
    note: Note
    series: str

    def __call__(self, check: str, message: str, point: Point, level: Level = "warning") -> None:
        self.note(Finding(level, f"StatsCheck_{check}", f"{self.series}: {message}", *point[1]))


def _number(text: str) -> float | None:
    try:
        return float(text.rstrip("fFdD"))
    except ValueError:
        return None


def _numbers(dates: Dates) -> list[tuple[str, Point, float]]:
    """The first value of each date, where it is a number."""
    return [
        (date, points[0], value)
        for date, points in dates
        if points[0][0].kind == "number" and (value := _number(points[0][0].text)) is not None
    ]


def _kinds(dates: Dates, say: _Said) -> None:
    first = dates[0][1][0][0].kind
    for date, points in dates:
        for point in points:
            if point[0].kind != first:
                say("MultipleValueTypesInASeries", f"{date} is a {point[0].kind}, the first a {first}", point)


def _differing(dates: Dates, say: _Said) -> None:
    for date, points in dates:
        other = next((point for point in points if point[0].text != points[0][0].text), None)
        if other is not None:
            say("Inconsistent_Values", f"{date} is {points[0][0].text} and {other[0].text}", other)


def _outliers(dates: Dates, say: _Said) -> None:
    found = _numbers(dates)
    if len(dates) < 2 or not found:
        return
    mean = sum(value for *_, value in found) / len(found)
    deviation = math.sqrt(sum((value - mean) ** 2 for *_, value in found) / len(found))
    for date, point, value in found if deviation else ():
        if abs(value - mean) > 3 * deviation:
            say("3_Sigma", f"{date} is {value:g}, more than 3 standard deviations from {mean:g}", point)


def _leaps(dates: Dates, say: _Said) -> None:
    if any(len(points) > 1 for _, points in dates):
        return
    found = _numbers(dates)
    leaps = [
        ((now - before) / abs(before) if before else now / SMALL, at)
        for at, ((*_, before), (*_, now)) in enumerate(itertools.pairwise(found), 1)
    ]
    if not leaps:
        return
    most, at = max(leaps, key=lambda leap: abs(leap[0]))
    limit = next((each for each in (500, 100) if abs(most) * 100 > each), None)
    if limit:
        message = f"{most:+.2%} from {found[at - 1][0]} to {found[at][0]}"
        say(f"MaxPercentFluctuationGreaterThan{limit}", message, found[at][1])


def _dates(dates: Dates, say: _Said) -> None:
    moments: list[datetime] = []
    lengths: dict[int, list[Point]] = defaultdict(list)
    for date, points in dates:
        found = moment(date)
        if found is None:
            say("Invalid_Date", f"{date!r} is no date", points[0])
        else:
            moments.append(found)
            lengths[len(date)].append(points[0])
    if len(lengths) > 1:
        rare = min(lengths.values(), key=len)
        say("Inconsistent_Date_Granularity", "years, months and days in one series", rare[0])
    elif len(moments) == len(dates):
        steps = {_months(one, other) for one, other in itertools.pairwise(sorted(set(moments)))}
        if len(steps) > 1:
            listed = ", ".join(date for date, _ in dates[:12])
            say("Data_Holes", f"dates are not equally far apart: {listed}", dates[0][1][0])


def _months(one: datetime, other: datetime) -> int:
    """Whole months between two times."""
    whole = (other.year - one.year) * 12 + other.month - one.month
    return whole - ((other.day, other.time()) < (one.day, one.time()))

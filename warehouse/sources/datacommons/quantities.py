"""Values in brackets: quantities, ranges and coordinates, each a node of its own with a name made of its parts.

``[Years 18 -]`` is Years18Onwards, ``[10 Years]`` Years10, ``[LatLong 37.4 -122.1]`` latLong/3740000_-12210000. Unit
first or last. Source: docs/complex_values.md of datacommonsorg/import.
"""

from __future__ import annotations

import math

from warehouse.sources.datacommons.mcf import Node, Say, Value, is_number, split

DIRECTIONS = {"N": "", "S": "-", "E": "", "W": "-"}


def quantity(text: str, name: str, say: Say) -> Node | None:
    """The node that a value in brackets stands for; None, with a finding, for what is none. name: of the property."""
    parts = split(text[1:-1], " ", lambda check, message: say(f"{check}_{name}", message))
    if len(parts) not in (2, 3):
        say("MCF_MalformedComplexValueParts", f"{text!r} of {name} has {len(parts)} parts; 2 or 3 are allowed")
        return None
    if parts[0][0] == "-" or parts[0][0].isdigit():
        *numbers, unit = parts
    else:
        unit, *numbers = parts
    unit = unit.partition(":")[2] or unit
    if len(numbers) == 1:
        return _single(unit, numbers[0], text, say)
    if unit.lower() == "latlong":
        return _coordinates(numbers[0], numbers[1], text, say)
    return _range(unit, numbers[0], numbers[1], text, say)


def _made(dcid: str, name: str, kind: str, **values: Value) -> Node:
    stated = {"dcid": Value("text", dcid), "name": Value("text", name), "typeOf": Value("reference", kind), **values}
    return Node(dcid, {key: [value] for key, value in stated.items()})


def _single(unit: str, number: str, text: str, say: Say) -> Node | None:
    if not is_number(number):
        say("MCF_QuantityMalformedValue", f"{number!r} in {text!r} is no number")
        return None
    value = Value("number", number)
    return _made(f"{unit}{number}", f"{unit} {number}", "Quantity", value=value, unit=Value("reference", unit))


def _range(unit: str, low: str, high: str, text: str, say: Say) -> Node | None:
    for number in (low, high):
        if number != "-" and not is_number(number):
            say("MCF_QuantityRangeMalformedValues", f"{number!r} in {text!r} is neither a number nor -")
            return None
    if low == high == "-":
        say("MCF_QuantityRangeMalformedValues", f"{text!r} has no number")
        return None
    if low == "-":
        dcid, name = f"{unit}Upto{high}", f"{unit} UpTo {high}"
    elif high == "-":
        dcid, name = f"{unit}{low}Onwards", f"{unit} {low} Onwards"
    else:
        dcid, name = f"{unit}{low}To{high}", f"{unit} {low} To {high}"
    ends = [Value("text" if number == "-" else "number", number) for number in (low, high)]
    return _made(dcid, name, "QuantityRange", startValue=ends[0], endValue=ends[1], unit=Value("reference", unit))


def _coordinates(latitude: str, longitude: str, text: str, say: Say) -> Node | None:
    places = []
    for what, stated, signs, most in (("Latitude", latitude, "NS", 90), ("Longitude", longitude, "EW", 180)):
        degrees = _degrees(stated, signs)
        if degrees is None or not -most <= degrees <= most:
            say(f"MCF_Invalid{what}", f"{stated!r} in {text!r} is no {what.lower()} in degrees")
            return None
        places.append(math.floor(degrees * 1e5 + 0.5))
    name = ",".join(f"{place / 1e5:.5f}" for place in places)
    stated_as = {"latitude": Value("text", latitude), "longitude": Value("text", longitude)}
    return _made(f"latLong/{places[0]}_{places[1]}", name, "GeoCoordinates", **stated_as)


def _degrees(text: str, signs: str) -> float | None:
    """Degrees with N, S, E or W after them, or a sign before them."""
    last = text[-1:].upper()
    number = DIRECTIONS[last] + text[:-1] if last and last in signs else text
    try:
        return float(number.rstrip("fFdD")) if is_number(number) else None
    except ValueError:
        return None

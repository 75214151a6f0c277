"""What is wrong with a node, by the rules of Data Commons' schema: a Finding each, with the import tool's own name.

Left out: whether a dcid exists in Data Commons (``Existence_*``), which its service must be asked. Every other check
of the tool's lint is here or in the modules that parse, resolve and compare series.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from warehouse.sources.datacommons.mcf import Finding, Level, Node, Note, Value, is_number
from warehouse.sources.datacommons.naming import variable_name
from warehouse.sources.datacommons.vocabulary import (
    OBSERVATION,
    REFERENCES,
    STATISTICAL_VARIABLE,
    is_old_observation,
    is_population,
    is_statistic,
)

DCID_SIGNS = re.compile(r"[\w&/%)(+\-.:]", re.ASCII)
BIO_DCID_SIGNS = re.compile(r"[\w&/%)(+\-.'*><\]\[|:; ]", re.ASCII)
LONGEST_DCID = 256
DATES = (
    re.compile(r"(?P<y>\d{4})"),
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})(-(?P<d>\d{1,2}))?"),
    re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})?"),
    re.compile(
        r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})T(?P<H>\d{2}):(?P<M>\d{2})(:(?P<S>\d{2})(\.\d{3}([+-]\d{2}:\d{2}|Z)?)?)?"
    ),
)
"""ISO 8601 as observations use it: a year, a month, a day, with or without time."""
UNNAMED_DATE = re.compile(r"\d{5}|\d{7}", re.ASCII)
"""Further digits that Data Commons takes for a date, though they name none."""
CLASS_NAMES = {"Class": ("name", "label", "dcid", "subClassOf"), "Property": ("domainIncludes", "rangeIncludes")}
PROPERTY_NAMES = ("name", "label", "dcid", "subPropertyOf")
FOREIGN = {"Class": ("domainIncludes", "rangeIncludes", "subPropertyOf"), "Property": ("subClassOf",)}


def moment(text: str) -> datetime | None:
    """The beginning of an observation's date, without zone; None for what is none."""
    found = next((each for pattern in DATES if (each := pattern.fullmatch(text))), None)
    if found is None:
        return None
    parts = {name: int(value) for name, value in found.groupdict().items() if value}
    month, day = parts.get("m", 1), parts.get("d", 1)
    last = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1] if 1 <= month <= 12 else 0
    if not 1 <= day <= 31 or not last or not parts["y"]:
        return None
    times = parts.get("H", 0), parts.get("M", 0), parts.get("S", 0)
    try:
        return datetime(parts["y"], month, min(day, last), *times)
    except ValueError:
        return datetime(parts["y"], month, 28, *times) if month == 2 and max(times) < 24 else None


def is_date(text: str) -> bool:
    """Whether a text may be an observation's date."""
    return moment(text) is not None or UNNAMED_DATE.fullmatch(text) is not None


@dataclass(slots=True)
class Variables:
    """Statistical variables met: one dcid for each, and each for one dcid."""

    made: dict[str, str] = field(default_factory=dict)
    stated: dict[str, str] = field(default_factory=dict)

    def clash(self, node: Node) -> tuple[str, str] | None:
        """A check and a message where a variable's dcid is another's, or it has two."""
        dcid, made = node.dcid, variable_name(node).dcid
        if not dcid or not made:
            return None
        if self.made.setdefault(dcid, made) != made:
            return "Sanity_SameDcidForDifferentStatVars", f"{dcid} names two variables"
        if (other := self.stated.setdefault(made, dcid)) != dcid:
            return "Sanity_DifferentDcidsForSameStatVar", f"{other} and {dcid} are the same variable"
        return None


@dataclass(slots=True)
class Checker:
    """Checks nodes one by one. template: they are a template's; columns: of the CSV, None where there is none.

    text_values: whether an observation's value may be other than a number.
    """

    note: Note
    template: bool = False
    columns: Collection[str] | None = None
    text_values: bool = True
    variables: Variables | None = None
    node: Node = field(default_factory=lambda: Node(""))
    failed: bool = False

    def check(self, node: Node, names: Collection[str] = ()) -> bool:
        """Whether nothing is wrong with the node, warnings included. names: of the nodes of its template."""
        self.node, self.failed = node, False
        types = dict.fromkeys(node.all("typeOf"))
        self._required("typeOf", "Thing")
        if "Thing" in types:
            self.say("Sanity_TypeThing", "its type is Thing")
        for name, values in node.values.items():
            self._property(name, values)
        for kind in types:
            self._typed(kind)
        for name, values in node.values.items() if self.template else ():
            self._template(name, values, names)
        return not self.failed

    def say(self, check: str, message: str, level: Level = "error") -> None:
        """Note a finding of the node."""
        self.failed = True
        name = self.node.template or self.node.name
        self.note(Finding(level, check, f"node {name!r}: {message}", *(self.node.places or [("", -1)])[0]))

    def _typed(self, kind: str) -> None:
        if kind == OBSERVATION:
            self._observation()
        elif kind in ("Class", "Property"):
            self._schema(kind)
        elif kind == STATISTICAL_VARIABLE:
            self._variable()
        elif is_old_observation(kind):
            self._old_observation()
        elif is_population(kind):
            self._capital("populationType", self._single("populationType", "StatisticalPopulation"))
            self._single("location", "StatisticalPopulation")

    def _property(self, name: str, values: list[Value]) -> None:
        if not name[0].islower():
            self.say("Sanity_NotInitLowerPropName", f"property {name!r} does not begin with a small letter")
        elif name != "dcid" or self._own_dcid(values):
            for value in values:
                self._value(name, value)

    def _own_dcid(self, values: list[Value]) -> bool:
        if len(values) != 1:
            self.say("Sanity_MultipleDcidValues", f"{len(values)} dcids")
        elif values[0].kind == "entity":
            self.say("Sanity_DcidTableEntity", f"its dcid is {values[0].text}, a node; a column or a text is allowed")
        elif len(values[0].text) > LONGEST_DCID:
            self.say("Sanity_VeryLongDcid", f"a dcid of more than {LONGEST_DCID} characters")
        else:
            return values[0].kind not in ("text", "reference") or self._dcid("dcid", values[0].text)
        return False

    def _value(self, name: str, value: Value) -> None:
        if value.kind != "text" and not value.text.isascii():
            self.say("Sanity_NonAsciiValueInNonText", f"{name} is {value.text!r}, which is not ASCII and no text")
        if name in REFERENCES and value.kind in ("text", "number"):
            self.say("Sanity_RefPropHasNonRefValue", f"{name} is {value.text!r}, which is no node")
        if value.kind == "reference":
            self._dcid(name, value.text)

    def _dcid(self, name: str, text: str) -> bool:
        signs = BIO_DCID_SIGNS if text.startswith("bio/") else DCID_SIGNS
        wrong = "".join(dict.fromkeys(sign for sign in text if not signs.fullmatch(sign)))
        if wrong or not text:
            self.say(f"Sanity_InvalidChars_{name}", f"{name} is {text!r}; a dcid has no {wrong!r}")
        return not wrong and bool(text)

    def _required(self, name: str, kind: str, level: Level = "error") -> list[Value]:
        values = self.node.values.get(name, [])
        if not values:
            self.say(f"Sanity_MissingOrEmpty_{name}", f"no {name}, which a {kind} needs", level)
        return values

    def _single(self, name: str, kind: str, level: Level = "error") -> str:
        """The one value of a property, empty where it has none or several."""
        values = self._required(name, kind, level)
        if len(values) > 1:
            self.say(f"Sanity_MultipleVals_{name}", f"{len(values)} values of {name}; one is allowed", level)
        return self.node.first(name) if len(values) == 1 else ""

    def _date(self, kind: str) -> None:
        text = self._single("observationDate", kind)
        if text and not self.template and not is_date(text):
            self.say("Sanity_InvalidObsDate", f"observationDate is {text!r}, no date of ISO 8601")

    def _observation(self) -> None:
        self._single("variableMeasured", OBSERVATION)
        self._single("observationAbout", OBSERVATION)
        self._date(OBSERVATION)
        value = self._single("value", OBSERVATION, "warning")
        if value and not self.text_values and self.node.values["value"][0].kind != "number":
            self.say("Sanity_SVObs_Value_NotANumber", f"value is {value!r}, no number")

    def _old_observation(self) -> None:
        self._small("measuredProperty", self._single("measuredProperty", "Observation"))
        self._single("observedNode", "Observation")
        self._date("Observation")
        stated = [name for name in self.node.values if is_statistic(name)]
        for name in stated:
            text = self._single(name, "Observation")
            if text and not self.template and not is_number(text):
                self.say("Sanity_NonDoubleObsValue", f"{name} is {text!r}, no number")
        if not stated and not self.node.values.get("measurementResult"):
            self.say("Sanity_ObsMissingValueProp", "an observation without a value", "warning")
        elif not stated:
            self._single("measurementResult", "Observation")

    def _variable(self) -> None:
        self._capital("populationType", self._single("populationType", STATISTICAL_VARIABLE, "warning"))
        measured = self._single("measuredProperty", STATISTICAL_VARIABLE)
        if measured != self.node.dcid:
            self._small("measuredProperty", measured)
        kind = self._single("statType", STATISTICAL_VARIABLE)
        if kind and not is_statistic(kind) and kind != "measurementResult":
            self.say("Sanity_UnknownStatType", f"statType is {kind!r}")
        self._single("dcid", STATISTICAL_VARIABLE)
        clash = self.variables.clash(self.node) if self.variables and not self.failed else None
        if clash:
            self.say(*clash)

    def _schema(self, kind: str) -> None:
        for name in FOREIGN[kind]:
            if self.node.first(name):
                self.say(f"Sanity_UnexpectedPropIn{kind}", f"{name} in a {kind}")
        for name, values in self.node.values.items():
            for value in values:
                self._word(kind, name, value.text)
        dcid, name = self.node.dcid, self.node.first("name") or self.node.first("label")
        if dcid and name and dcid != name:
            self.say("Sanity_DcidNameMismatchInSchema", f"its name is {name!r}, its dcid {dcid!r}")
        if kind == "Class" and dcid != "Thing":
            self._required("subClassOf", "Class")

    def _word(self, kind: str, name: str, text: str) -> None:
        if not text:
            self.say("Sanity_EmptySchemaValue", f"{name} is empty")
        elif not text.isascii():
            self.say("Sanity_NonAsciiValueInSchema", f"{name} is {text!r}, which is not ASCII")
        else:
            if name in CLASS_NAMES[kind]:
                self._capital(name, text, kind)
            if kind == "Property" and name in PROPERTY_NAMES:
                self._small(name, text, kind)

    def _capital(self, name: str, text: str, kind: str = "") -> None:
        if text and not text[0].isupper():
            self.say(
                f"Sanity_NotInitUpper_{name}{f'In{kind}' if kind else ''}", f"{name} is {text!r}, no capital first"
            )

    def _small(self, name: str, text: str, kind: str = "") -> None:
        if text and not text[0].islower():
            self.say(f"Sanity_NotInitLower_{name}{f'In{kind}' if kind else ''}", f"{name} is {text!r}, a capital first")

    def _template(self, name: str, values: list[Value], names: Collection[str]) -> None:
        for value in values:
            if value.kind == "entity" and value.text not in names:
                self.say("Sanity_TmcfMissingEntityDef", f"{name} is {value.text}, which the template does not define")
            column = value.text.partition("->")[2]
            if value.kind == "column" and self.columns is not None and column not in self.columns:
                self.say("Sanity_TmcfMissingColumn", f"{name} is column {column!r}, which the CSV does not have")

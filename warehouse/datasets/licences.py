"""What the licences that documents state ask of whoever passes the texts on.

``licences.csv`` has a line a licence: its identifier on the SPDX License List, what its own text asks (a reminder of
what to look up, no advice), and the word of the Hugging Face Hub for it (hub-docs, Licenses). A document's licence is
known by that identifier, in an expression (SPDX 3.0.1, annex B: all its licences count, whichever one may choose) or by
the address of the text. What is none of these stays as it was stated, and nothing is guessed of it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

UNKNOWN = "unknown"
"""Of documents whose source states none, as in the manifest's composition."""

ASKS: Mapping[str, str] = {
    "credit": "name creator and source, link the licence, say what was changed",
    "notice": "keep copyright notice and licence text with copies",
    "share alike": "adapted material under the same terms alone",
    "no derivatives": "no adapted material",
    "non-commercial": "no commercial use",
}
"""Creative Commons 4.0, 2(a)(1), 3(a) and 3(b); ODbL 1.0, 4.2 to 4.4; of software licences redistribution."""


@dataclass(frozen=True, slots=True)
class Terms:
    """A line of licences.csv. asks: of ASKS, in their order; hub: empty where the Hub has no word for it."""

    spdx: str
    asks: tuple[str, ...]
    hub: str

    @property
    def address(self) -> str:
        """Where its text is: that of Creative Commons at its own place, others at the SPDX License List."""
        if "credit" not in self.asks or not self.spdx.startswith("CC-"):
            return f"https://spdx.org/licenses/{self.spdx}.html"
        kind, _, version = self.spdx.removeprefix("CC-").rpartition("-")
        return f"https://creativecommons.org/licenses/{kind.lower()}/{version}/"


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence as it was stated. terms: of the licences that it names, empty where any part of it is not known."""

    stated: str
    terms: tuple[Terms, ...]

    @property
    def asks(self) -> tuple[str, ...]:
        """What any of its licences asks, in the order of ASKS."""
        return tuple(ask for ask in ASKS if any(ask in each.asks for each in self.terms))

    @property
    def attributed(self) -> bool:
        """Whether copies must say whose the text is."""
        return bool({"credit", "notice"} & set(self.asks))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the texts of its licences are to be read."""
        return tuple(each.address for each in self.terms)

    @property
    def hub(self) -> str:
        """The Hugging Face Hub's word for it; empty where it has none."""
        return UNKNOWN if self.stated == UNKNOWN else self.terms[0].hub if len(self.terms) == 1 else ""


def _read() -> Iterator[Terms]:
    with Path(__file__).with_name("licences.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            yield Terms(row["spdx"], tuple(row["asks"].split(" + ")) if row["asks"] else (), row["hub"])


KNOWN: Mapping[str, Terms] = {each.spdx.lower(): each for each in _read()}
"""By identifier in small letters: SPDX compares them so."""

_ADDRESS = re.compile(
    r"https?://(?:www\.)?(?:creativecommons\.org/(?:licenses/(?P<cc>[a-z-]+/\d\.\d)|publicdomain/(?P<zero>zero/1\.0))"
    r"|(?:spdx|opensource)\.org/licenses?/(?P<spdx>[\w.-]+?)(?:\.html)?|apache\.org/licenses/(?P<apache>LICENSE-2\.0)"
    r"(?:\.txt|\.html)?)(?:/|/deed\.[\w-]+|/legalcode(?:\.[\w-]+)?)?",
    re.IGNORECASE,
)


def licence_of(stated: str) -> Licence:
    """What a document's column ``licence`` names."""
    parts = [KNOWN.get(_identifier(part).lower()) for part in _parts(stated)]
    known = tuple(dict.fromkeys(part for part in parts if part))
    return Licence(stated, known if all(parts) else ())


def _parts(stated: str) -> Iterator[str]:
    """The licences of an SPDX expression, without exceptions (which give more leave, and ask for nothing)."""
    for part in re.split(r"\s+(?:AND|OR)\s+", stated.replace("(", " ").replace(")", " ").strip()):
        yield part.partition(" WITH ")[0].strip()


def _identifier(part: str) -> str:
    """The SPDX identifier of the text at an address; what is no such address stays as it is."""
    found = _ADDRESS.fullmatch(part)
    if found is None:
        return part
    named = {"cc": f"CC-{(found['cc'] or '').replace('/', '-')}", "zero": "CC0-1.0", "apache": "Apache-2.0"}
    return named.get(str(found.lastgroup), str(found["spdx"]))

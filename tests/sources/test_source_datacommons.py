"""Nodes and findings of Data Commons files, beside the expected files of its import tool.

Places that the tool found by asking Data Commons come from an MCF file here (KNOWN), and its checks of whether a dcid
exists there (Existence_, API_) are left out; all else is compared.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.sources.datacommons import Finding, Node, Value, generate, parse, text_of
from warehouse.sources.datacommons.checks import is_date
from warehouse.sources.datacommons.fingerprint import fingerprint64, short_name
from warehouse.sources.datacommons.mcf import spelt, split, typed
from warehouse.sources.datacommons.quantities import quantity

GENMCF = (
    "fataltmcf",
    "latlngresolution",
    "localidresolution",
    "manyinconsistent",
    "measurementresult",
    "resolution",
    "statchecks",
    "successtmcf",
)
LINT = ("allfiletypes", "mcfonly", "nocsv", "statchecks")
KNOWN = {
    "resolution": [
        ("geoId/0649670", "City", 'wikidataId: "Q486860"'),
        ("wikidataId/Q1186", "AdministrativeArea1", 'isoCode: "IN-KL"'),
        ("wikidataId/Q1353", "AdministrativeArea1", 'isoCode: "IN-DL"'),
        ("wikidataId/Q677037", "AdministrativeArea1", 'isoCode: "IN-TG"'),
        ("wikidataId/Q1437", "AdministrativeArea1", 'isoCode: "IN-RJ"'),
    ],
    "latlngresolution": [
        ("wikidataId/Q1053752", "Place", "latitude: 53\nlongitude: -127"),
        ("geoId/16073", "Place", "latitude: 43\nlongitude: -116"),
        ("geoId/06075", "Place", "latitude: 37.7395\nlongitude: -122.4014"),
        ("geoId/06107", "Place", "latitude: 36\nlongitude: -119.4"),
    ],
}
"""What Data Commons answered the import tool when its expected files were made."""

Nodes = Counter[tuple[str, tuple[str, ...]]]


def nodes_of(text: str) -> Nodes:
    """Each node of an MCF text with its lines in order of name, comments aside."""
    blocks = [
        [line for line in block.splitlines() if line and not line.startswith("#")] for block in text.split("\n\n")
    ]
    return Counter((block[0], tuple(sorted(block[1:]))) for block in blocks if block)


def made(case: Path, folder: Path) -> tuple[dict[str, Nodes], list[Finding]]:
    """What is generated of a case, under the names of the tool's files, and the findings."""
    given_in = case / "input"
    arguments = (given_in / "args.txt").read_text() if (given_in / "args.txt").exists() else ""
    known = folder / "known.mcf"
    known.write_text("\n".join(f"Node: dcid:{d}\ntypeOf: dcs:{t}\n{i}\n" for d, t, i in KNOWN.get(case.name, [])))
    done = generate(
        sorted(given_in.glob("*.mcf")),
        next(given_in.glob("*.tmcf"), None),
        sorted(given_in.glob("*.csv")),
        text_values="--allow-non-numeric-obs-values=true" in arguments,
        known=[known],
    )
    files = {}
    for name, part in done.resolved.items():
        stem = f"table_mcf_nodes_{name.removesuffix('.csv')}" if name else "instance_mcf_nodes"
        for prefix, found in (("", part.nodes), ("failed_", part.failed)):
            if found:
                files[f"{prefix}{stem}.mcf"] = nodes_of("".join(map(text_of, found.values())))
    return files, done.findings


def reported(report: str) -> Counter[tuple[str, ...]]:
    """Findings of a report.json, which is not always JSON: (level, check, file, line), of series (level, check)."""
    entry = re.compile(
        r'"level": "LEVEL_(\w+)",\s*"location": \{\s*"file": "(.*)"(?:,\s*"lineNumber": "(-?\d+)")?\s*\},'
        r'\s*"userMessage": ".*",\s*"counterKey": "(.*)"'
    )
    found = Counter(
        (level.lower(), check, file, line or "0")
        for level, file, line, check in entry.findall(report)
        if not check.startswith(("Existence_", "API_"))
    )
    for check, count in re.findall(r'"(StatsCheck_\w+)": "(\d+)"', report.partition('"entries"')[0]):
        found["warning", check] += int(count)
    return found


def counted(findings: list[Finding]) -> Counter[tuple[str, ...]]:
    """The same of our findings."""
    return Counter(
        (each.level, each.check)
        if each.check.startswith("StatsCheck_")
        else (each.level, each.check, each.file, str(each.line))
        for each in findings
    )


@pytest.mark.parametrize("name", GENMCF)
def test_every_node_is_that_of_the_import_tool(shared_data: Path, tmp_path: Path, name: str) -> None:
    case = shared_data / "datacommons" / "import_tool" / "genmcf" / name
    files, findings = made(case, tmp_path)
    assert files == {path.name: nodes_of(path.read_text()) for path in (case / "output").glob("*.mcf")}
    assert counted(findings) == reported((case / "output" / "report.json").read_text())


@pytest.mark.parametrize("name", LINT)
def test_every_finding_is_that_of_the_import_tool(shared_data: Path, tmp_path: Path, name: str) -> None:
    case = shared_data / "datacommons" / "import_tool" / "lint" / name
    _, findings = made(case, tmp_path)
    ours, theirs = counted(findings), reported((case / "output" / "report.json").read_text())
    if name == "nocsv":  # the tool looks at each node alone, and misses E3, which the template defines further down
        theirs["error", "Sanity_TmcfMissingEntityDef", "NoCsv.tmcf", "3"] -= 1
    if name == "statchecks":  # of two values the tool names the one that its hash table gives last, ours the later one
        where = "error", "Sanity_InconsistentSvObsValues", "covid.mcf"
        theirs[*where, "25"], theirs[*where, "17"] = theirs[*where, "17"], 0
    assert ours == +theirs


@pytest.mark.parametrize(
    ("size", "hashed"),
    [
        (0, 0x9AE16A3B2F90404F),
        (1, 0xBE6056EDF5E94B54),
        (3, 0x94A13D22E9EBA49A),
        (4, 0x82BFFD898958E540),
        (7, 0xA2E0BFF20DB0A6A1),
        (8, 0xAD5A13E1E8E93B98),
        (16, 0x0EFD25A0A34156D4),
        (17, 0xBBB6A6F8F20D1F1C),
        (32, 0x1A9D8199972CDF49),
        (33, 0xE8756EC1CB75524E),
        (64, 0xF58504BB53DECC4B),
        (65, 0xC6A3282C3E793DBE),
        (128, 0x1C484C95F0EA5DD3),
        (129, 0xCE8BA3741121083E),
    ],
)
def test_the_fingerprint_is_that_of_farmhash(size: int, hashed: int) -> None:
    """Values of pyfarmhash 0.4.0, whose results were the same for 400 texts of 0 to 399 characters."""
    assert fingerprint64(bytes(range(size))) == hashed


def test_a_short_name_has_five_bits_a_digit_the_lowest_first() -> None:
    hashed = fingerprint64(b"observation")
    assert [("0123456789bcdfghjklmnpqrstvwxyze").index(sign) for sign in short_name("observation")] == [
        hashed >> step & 31 for step in range(0, hashed.bit_length(), 5)
    ]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n', exclude_categories=("Cc", "Cs")), max_size=20)
NAMES = st.from_regex(r"[a-z][A-Za-z]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("dcid", "unit", "location")
)
VALUES = st.one_of(
    st.builds(Value, st.just("text"), TEXT),
    st.builds(Value, st.just("reference"), st.from_regex(r"[A-Za-z0-9/_]{1,12}", fullmatch=True)),
    st.builds(Value, st.just("number"), st.integers().map(str) | st.floats(allow_nan=False).map(repr)),
)


@given(st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=3, unique=True), min_size=1, max_size=4))
def test_a_node_written_as_mcf_is_read_back(values: dict[str, list[Value]]) -> None:
    values = {name: [each for each in found if spelt(each)] for name, found in values.items()}
    values = {
        name: [
            Value("number", each.text.replace("inf", "Infinity")) if each.kind == "number" else each for each in found
        ]
        for name, found in values.items()
    }
    findings: list[Finding] = []
    (node,) = parse(text_of(Node("l1", values)).splitlines(), file="f.mcf", note=findings.append)
    assert node.values == values
    assert not findings


@given(st.text(max_size=60))
def test_no_line_raises_and_each_refused_line_is_a_finding_with_its_number(text: str) -> None:
    findings: list[Finding] = []
    lines = text.splitlines()
    nodes = list(parse(lines, file="f.mcf", note=findings.append))
    assert all(1 <= each.line <= len(lines) for each in findings)
    assert all(node.values for node in nodes)


@given(
    st.lists(st.from_regex(r"[A-Za-z0-9 ]{1,8}", fullmatch=True).map(str.strip).filter(bool), min_size=1, max_size=5)
)
def test_delimiters_inside_quotes_cut_nothing(parts: list[str]) -> None:
    text = ", ".join(f'"{part},{part}"' for part in parts)
    assert split(text, ",", lambda check, message: None) == [f'"{part},{part}"' for part in parts]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[Years 18 -]", "Years18Onwards"),
        ("[- 5 Years]", "YearsUpto5"),
        ("[5 10 dcs:Years]", "Years5To10"),
        ("[10 Years]", "Years10"),
        ("[LatLong 37.5N 122.25W]", "latLong/3750000_-12225000"),
    ],
)
def test_a_value_in_brackets_has_the_name_of_its_parts(text: str, name: str) -> None:
    found = quantity(text, "age", lambda check, message: None)
    assert found is not None
    assert found.dcid == name


@pytest.mark.parametrize("text", ["2019", "2019-3", "2019-03-31", "201903", "20190331", "2019-03-31T23:59", "20191"])
def test_a_date_may_be_less_than_a_day(text: str) -> None:
    assert is_date(text)


@pytest.mark.parametrize("text", ["19", "2019-13", "2019-00-01", "2019-03-32", "March 2019", "2019-03-31T24:00", ""])
def test_anything_else_is_no_date(text: str) -> None:
    assert not is_date(text)


def test_a_property_that_refers_needs_no_prefix_and_no_quotes() -> None:
    assert typed("unit", '"USDollar"', lambda check, message: None) == Value("reference", "USDollar")
    assert typed("name", '"USDollar"', lambda check, message: None) == Value("text", "USDollar")

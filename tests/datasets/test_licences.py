"""Licences are known by what SPDX calls them, and what they ask is said of the texts that go out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.licenses._spdx import LICENSES

from warehouse.datasets import attribution as attributions
from warehouse.datasets.attribution import attribution
from warehouse.datasets.licences import ASKS, KNOWN, licence_of

NAMES = sorted(each.spdx for each in KNOWN.values())
TEXTS = pa.schema([("licence", pa.string()), ("source", pa.string()), ("uri", pa.string())])


def test_every_licence_of_the_table_is_on_the_spdx_list_and_asks_what_is_explained() -> None:
    assert {key: each.spdx for key, each in KNOWN.items()} == {key: LICENSES[key]["id"] for key in KNOWN}
    assert {ask for each in KNOWN.values() for ask in each.asks} == set(ASKS)


def test_what_a_creative_commons_licence_asks_is_what_its_name_says() -> None:
    """An identifier of Creative Commons names its conditions: BY, NC, ND, SA (SPDX License List)."""
    words = {"BY": "credit", "NC": "non-commercial", "ND": "no derivatives", "SA": "share alike"}
    for each in KNOWN.values():
        if each.spdx.startswith("CC-BY"):
            assert set(each.asks) == {words[part] for part in each.spdx.split("-")[1:-1]}, each


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4), st.sampled_from([" AND ", " OR "]), st.booleans())
def test_an_expression_names_each_licence_of_it_as_packaging_reads_it(names: list[str], word: str, small: bool) -> None:
    stated = f"({word.join(names)})"
    found = licence_of(f"({word.join(name.lower() for name in names)})" if small else stated)
    assert {each.spdx for each in found.terms} == set(names)
    assert re.findall(r"[\w.-]+", canonicalize_license_expression(stated).replace(word.strip(), "")) == names


@given(st.text(max_size=30))
def test_nothing_is_known_of_a_text_that_is_no_expression(stated: str) -> None:
    found = licence_of(stated)
    if found.terms and "://" not in stated:
        try:
            canonicalize_license_expression(stated)
        except InvalidLicenseExpression:
            pytest.fail(f"{stated!r} is taken for {found.terms}")
    assert licence_of(f"{stated} of ours").terms == ()


@pytest.mark.parametrize("name", NAMES)
def test_the_address_of_a_licence_names_it(name: str) -> None:
    address = KNOWN[name.lower()].address
    assert [each.spdx for each in licence_of(address).terms] == [name]
    if "creativecommons" in address:
        assert licence_of(address.replace("https://", "http://") + "deed.de").terms == licence_of(address).terms


@pytest.mark.parametrize("stated", ["BSD", "unknown", "", "https://creativecommons.org/licenses/by/3.0/us/", "free"])
def test_what_could_mean_several_things_is_not_known(stated: str) -> None:
    assert licence_of(stated).terms == ()


def texts_of(rows: list[tuple[str, str, str]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(TEXTS.names, row, strict=True)) for row in rows], schema=TEXTS)


def written(rows: list[tuple[str, str, str]]) -> str:
    counts = {licence: {"documents": count} for licence, count in Counter(row[0] for row in rows).items()}
    return attribution("made", counts, texts_of(rows), changed=["Cut."], where="there")


def test_each_text_that_must_be_named_is_named_and_no_other() -> None:
    rows = [
        (licence, "web", f"https://a.org/{licence}/{n}|x")
        for licence in ("CC-BY-4.0", "CC0-1.0", "unknown", "BSD")
        for n in range(3)
    ]
    found = written(rows)
    for licence, _, uri in rows:
        assert (uri.replace("|", "\\|") in found) == (licence == "CC-BY-4.0"), uri
    assert "by none of the SPDX identifiers that are known here" in found and "`BSD`" in found
    assert "| unknown | 3 | 25.00% | not known |  |" in found and "stated no licence" in found


def test_many_texts_are_named_by_source_and_host_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributions, "EACH", 10)
    monkeypatch.setattr(attributions, "GROUPS", 4)
    rows = [("MIT", "web", f"https://user@H{n % 6}.org:8/p/{n}?q@x") for n in range(50)] + [
        ("MIT", "disk", "data/a.txt")
    ] * 9
    found = written(rows)
    groups = dict(re.findall(r"^\| ((?:web|disk) \| \S*) \| (\d+) \|$", found, re.MULTILINE))
    assert groups == {"web | h0.org": "9", "web | h1.org": "9", "disk | ": "9", "web | h2.org": "8"}
    assert "And 24 texts of 3 further hosts." in found


def test_the_licences_of_a_release_are_those_of_its_documents(
    tmp_path: Path, recipe: Any, make_world: Callable[..., Any], make_row: Callable[..., Any]
) -> None:
    stated = ["MIT", "CC-BY-4.0", None]
    rows = [make_row(n, f"words of page {n} " * 9, licence=stated[n % 3], uri=f"https://a.org/{n}") for n in range(60)]
    release = make_world(tmp_path, rows).export(replace(recipe, targets=("parquet",)))
    found = (release.path / "ATTRIBUTION.md").read_text("utf-8")
    frozen = pq.read_table(release.path / "documents.parquet").to_pylist()
    for row in frozen:
        assert (f"| made | {row['uri']} |" in found) == (row["licence"] is not None)
    share = sum(row["bytes"] for row in frozen if row["licence"] is None) / sum(row["bytes"] for row in frozen)
    assert re.search(rf"^\| unknown \| 20 \|.*\| {share:.2%} \| not known", found, re.MULTILINE)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (["CC-BY-4.0"], {"license": "cc-by-4.0"}),
        ([None], {"license": "unknown"}),
        (["House rules"], {"license": "other", "license_name": "House rules", "license_link": "ATTRIBUTION.md"}),
        (["MIT", "ISC"], {"license": "other", "license_name": "several", "license_link": "ATTRIBUTION.md"}),
    ],
)
def test_the_front_matter_has_the_hubs_word_for_the_licence(
    tmp_path: Path, make_world: Callable[..., Any], make_row: Callable[..., Any], stated: list[Any], expected: Any
) -> None:
    rows = [make_row(n, f"words of page {n} " * 9, licence=stated[n % len(stated)]) for n in range(30)]
    readme = (make_world(tmp_path, rows).export().path / "README.md").read_text("utf-8")
    values = yaml.safe_load(readme.split("---\n")[1])
    assert {key: value for key, value in values.items() if key.startswith("license")} == expected

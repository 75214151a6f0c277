"""XML: the text of elements as ElementTree has it, nothing expanded, nothing fetched; hostile files end as Rejects."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections import Counter
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import outcome

from warehouse.sources import Limits
from warehouse.sources.containers import Member
from warehouse.sources.recipe import Source
from warehouse.sources.records import Documents
from warehouse.sources.xml import read_documents

TEXTS = st.text("ab é\n", max_size=12)
ELEMENTS = st.recursive(
    st.builds(lambda text: ("e", text, []), TEXTS),
    lambda inner: st.builds(
        lambda text, parts: ("e", text, parts), TEXTS, st.lists(st.tuples(inner, TEXTS), max_size=3)
    ),
    max_leaves=8,
)


def element(made) -> ElementTree.Element:
    name, text, parts = made
    found = ElementTree.Element(name)
    found.text = text
    for inner, tail in parts:
        child = element(inner)
        child.tail = tail
        found.append(child)
    return found


@given(ELEMENTS, st.sampled_from(["utf-8", "utf-16", "iso-8859-1"]))
def test_every_character_of_text_is_there_in_order(made, encoding):
    root = element(made)
    raw = ElementTree.tostring(root, encoding)
    items = list(read_documents(Member("u", "a.xml", lambda: io.BytesIO(raw)), Documents(Source("s", ("u",)), "u")))
    said = "".join("".join(root.itertext()).split())
    found = [row["text"] for item in items if hasattr(item, "to_pylist") for row in item.to_pylist()]
    assert "".join("".join(found).split()) == said
    assert bool(found) == bool(said)


BOOK = b"""<?xml version="1.0" encoding="utf-8"?>
<!-- none of this -->
<book xml:lang="en-GB" xmlns="http://example.org/">
  <info><title>Dense <b>racks</b></title><title>Second</title></info>
  <para>A rack draws <emph>ten</emph> times what
  a rack drew.</para><para/>
  <para>Air &amp; water.</para>
</book>"""


def test_a_line_is_an_element_and_what_stands_within_a_line_stays_in_it(reading):
    (row,) = reading(BOOK, "book.xml").rows
    assert row["text"] == "Dense racks\nSecond\nA rack draws ten times what a rack drew.\nAir & water."
    assert (row["title"], row["stated_language"], row["uri"]) == ("Dense racks", "en-GB", "book.xml")


HOSTILE = {
    "laughs": (b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><x>&b;</x>', "xml_entities"),
    "outside": (b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>', "xml_entities"),
    "parameter": (b'<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:1/">%a;]><x>t</x>', "xml_entities"),
    "unknown": (b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><x>&own;</x>', "xml_entities"),
    "undeclared": (b"<x>&own;</x>", "invalid_xml"),
    "cut": (b"<x>some text", "invalid_xml"),
    "unclosed": (b"<x><y></x>", "invalid_xml"),
    "nothing": (b"", "invalid_xml"),
    "deep": (b"<a>" * 20_000 + b"</a>" * 20_000, "too_deep"),
    "long": (b"<x>" + b"word " * 10_000 + b"</x>", "record_too_large"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_reject(name, reading):
    content, reason = HOSTILE[name]
    result = reading(
        b'<?xml version="1.0"?>' * bool(content) + content, "a.xml", limits=Limits(max_record_bytes=20_000)
    )
    assert (result.reasons, result.rows) == ({reason: 1}, [])


def test_what_html_calls_its_characters_is_known_where_a_doctype_elsewhere_may_declare_it(reading):
    content = b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><x>a&nbsp;b&eacute;</x>'
    assert reading(content, "a.xml").column("text") == ["a bé"]


@pytest.mark.parametrize(
    "start", [b"<x a='", b"<x><!--", b"<x><![CDATA[", b"<x><?", b"<x><", b"<!DOCTYPE x '", b"<x>&"]
)
def test_an_endless_token_costs_no_quadratic_time_and_is_one_reject(reading, start):
    began = time.process_time()
    result = reading(start + b"v" * (40 << 20), "a.xml")
    assert time.process_time() - began < 2
    assert sum(result.reasons.values()) == 1 and set(result.reasons) <= {"record_too_large", "invalid_xml"}


@pytest.mark.parametrize("size", [1, 1 << 16, 3 << 20])
def test_a_long_tag_or_comment_is_read_where_it_ends_within_the_limit(reading, size):
    raw = b"<x a='" + b"v" * size + b"'>one<!--" + b"c" * size + b"--><y/>two</x>"
    assert reading(raw, "a.xml").column("text") == ["onetwo"]
    small = reading(raw, "a.xml", limits=Limits(max_record_bytes=1 << 20))
    assert small.reasons == ({"record_too_large": 1} if size > 1 << 20 else {})


def test_every_translation_of_the_declaration_is_read_with_its_language(shared_data: Path, tmp_path: Path):
    found: Counter[str] = Counter()
    with zipfile.ZipFile(shared_data / "udhr_xml.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".xml")]
        for name in names[::7]:
            (tmp_path / "x").write_bytes(archive.read(name))
            result = outcome(tmp_path / "x", name)
            bare = unescape(re.sub(r"<!--.*?-->|<[^>]*>", "", archive.read(name).decode(), flags=re.DOTALL))
            assert "".join("".join(result.column("text")).split()) == "".join(bare.split())
            found.update(
                rows=len(result.rows), languages=sum(row["stated_language"] is not None for row in result.rows)
            )
    assert found["rows"] == found["languages"] > 70

"""HTML pages: main text against gold texts, charsets, what a page says of itself, pages that end a parser."""

from __future__ import annotations

import gzip
import json
import os
import re
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from warehouse.sources import Limits, parsing
from warehouse.sources.page import licence, moment, page, tag

SAID = "Power usage effectiveness divides the power of a hall by that of its computers."
BODY = f"<p>{SAID}</p>"


def html(head: str = "", body: str = BODY, root: str = "<html>") -> bytes:
    return f"<!doctype html>{root}<head>{head}</head><body>{body}</body></html>".encode()


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """4-grams of words, as scrapinghub's article-extraction-benchmark counts them (evaluate.py)."""
    words = re.findall(r"\w+", text)
    return Counter(tuple(words[at : at + 4]) for at in range(max(1, len(words) - 3)))


def test_main_text_of_the_gold_pages_has_an_f1_of_at_least_95_percent(shared_data: Path):
    gold = json.loads((shared_data / "html_gold_scrapinghub" / "ground-truth.json").read_text())
    precision = recall = 0.0
    for name, truth in gold.items():
        raw = gzip.decompress((shared_data / "html_gold_scrapinghub" / "html" / f"{name}.html.gz").read_bytes())
        wanted, found = shingles(truth["articleBody"]), shingles(page(raw, None)["text"] or "")
        shared = (wanted & found).total()
        precision += shared / found.total() / len(gold)
        recall += shared / wanted.total() / len(gold)
    assert 2 * precision * recall / (precision + recall) >= 0.95


def test_strings_of_pages_in_many_languages_are_in_the_main_text_or_not(shared_data: Path):
    folder = shared_data / "html_gold_trafilatura"
    wanted, unwanted = [], []
    for said in json.loads((folder / "evaldata.json").read_text()).values():
        text = page(gzip.decompress((folder / "html" / f"{said['file']}.gz").read_bytes()), None)["text"]
        wanted += [part in text for part in said["with"]]
        unwanted += [part in text for part in said["without"]]
    assert (len(wanted), len(unwanted)) == (709, 713)
    assert sum(wanted) >= 665
    assert sum(unwanted) <= 115


POST = "The hall was finished in the spring of the year, and its pumps have not stood still since."
ASIDES = [
    '<div class="image-caption">{}</div>',
    '<p class="PhotoCaption">{}</p>',
    '<section class="c-author-box">{}</section>',
    '<ul class="ArticleNewsletter"><li>{}</ul>',
    '<div class="js-cookie-note"><p>{}</p></div>',
    '<div class="articleFooter">{}</div>',
    '<div class="comments"><p>{}</p></div>',
    '<div class="entry-meta">{}</div>',
    '<div class="end-cta">{}</div>',
    "<form><p>{}</p></form>",
]


@pytest.mark.parametrize("aside", ASIDES)
def test_an_element_beside_the_main_text_goes_and_one_that_holds_it_stays(aside):
    def said(text: str) -> str:
        return page(html(body=f"<div><div><div>{text}</div></div></div>"), None)["text"] or ""

    assert said(BODY * 3 + aside.format(POST)) == "\n\n".join([SAID] * 3)
    assert said(aside.format(f"<h1>Racks</h1>{BODY * 3}")).count(SAID) == 3
    assert said(aside.format(BODY * 3)).count(SAID) == 3
    if "comments" not in aside:
        assert said(BODY + aside.format(BODY * 3)).count(SAID) == 4


def test_embedded_posts_and_words_within_a_line_stay():
    quote = f'<blockquote class="twitter-tweet"><p>{POST}</p></blockquote>'
    for body in (quote, f'<div class="social-embed">{quote}</div>'):
        assert POST in page(html(body=f"<div>{BODY * 3}{body}{BODY}</div>"), None)["text"]
    inline = '<pre><code>x = 1 <span class="hljs-comment"># the first rack of them</span></code></pre>'
    assert "# the first rack of them" in page(html(body=f"<div>{BODY * 3}{inline}</div>"), None)["text"]


SENTENCES = {
    "windows-1251": "Холодная вода течёт между стойками, и никто не слышит насосов.",
    "shift_jis": "冷たい水が棚の間を流れ、誰もポンプの音を聞かない。そして夜になる。",
    "gb18030": "冷水在机架之间流动。没有人听到水泵的声音。夜晚就这样来临了。",
    "windows-1252": "L\u2019eau froide coule entre les baies, et personne n\u2019entend les pompes là-bas.",
    "euc-kr": "차가운 물이 선반 사이를 흐르고 아무도 펌프 소리를 듣지 못한다.",
    "iso-2022-jp": "冷たい水が棚の間を流れ、誰もポンプの音を聞かない。そして夜になる。",
}


@pytest.mark.parametrize("charset", SENTENCES)
def test_a_page_reads_the_same_in_every_charset_stated_by_the_page_or_its_transport(charset, reading):
    text = SENTENCES[charset]
    stated = f'<html><head><meta charset="{charset}"></head><body><p>{text}</p></body></html>'
    bare = f"<html><body><p>{text}</p></body></html>"
    assert reading(stated.encode(charset), "a.html").column("text") == [text]
    assert page(bare.encode(charset), charset)["text"] == text
    assert page(bare.encode(), charset)["text"] == text  # UTF-8 under a wrong label is UTF-8
    assert page(b"\xff\xfe" + bare.encode("utf-16-le"), charset)["text"] == text


def test_a_page_states_title_language_licence_address_and_date(reading):
    head = """<title> Dense
      racks</title><link rel="canonical" href="https://example.org/racks#top">
      <link rel=license href="https://creativecommons.org/licenses/by-sa/4.0/deed.de">
      <meta property="article:published_time" content="2026-03-05T08:30:00+01:00">"""
    row = reading(html(head, root='<html lang="de-AT">'), "in/a.html").rows[0]
    assert (row["uri"], row["record"], row["title"]) == ("https://example.org/racks", "0", "Dense racks")
    assert (row["stated_language"], row["licence"]) == ("de-AT", "CC-BY-SA-4.0")
    assert row["published_at"] == datetime(2026, 3, 5, 7, 30, tzinfo=UTC)
    bare = reading(html(), "in/a.html", licence="CC0-1.0").rows[0]
    assert (bare["uri"], bare["title"], bare["licence"], bare["stated_language"]) == (
        "in/a.html",
        None,
        "CC0-1.0",
        None,
    )


SIGNALS = {
    '<meta name=robots content="NoIndex,  noai , noindex"><meta name="ROBOTS" content="noimageai">': (
        ("noindex, noai, noimageai", None, None)
    ),
    '<meta name="tdm-reservation" content=" 1 "><meta name="tdm-policy" content="/policy.json">': (
        (None, True, "https://example.org/policy.json")
    ),
    '<meta name="tdm-reservation" content="0">': (None, False, None),
    '<meta name="tdm-reservation" content="0"><meta name=tdm-reservation content=1>': (None, True, None),
    '<meta name="tdm-reservation" content="yes"><meta name=tdm-policy content="javascript:x">': (None, None, None),
    '<meta name=robots content=" , "><meta name=googlebot content=noai>': (None, None, None),
    "": (None, None, None),
}


@pytest.mark.parametrize("head", SIGNALS)
def test_what_a_page_tells_robots_and_miners_is_a_column(head, reading):
    said = page(html(head), None, address="https://example.org/a")
    assert (said["robots"], said["tdm_reservation"], said["tdm_policy"]) == SIGNALS[head]
    (row,) = reading(html(head), "a.html").rows
    assert (row["robots"], row["tdm_reservation"]) == SIGNALS[head][:2]


def test_the_address_that_a_page_states_is_a_column_though_it_cannot_be_its_uri(reading):
    (row,) = reading(html('<link rel=canonical href="https://example.org/">'), "in/a.html").rows
    assert (row["uri"], row["canonical"]) == ("in/a.html", "https://example.org/")
    two = '<link rel=canonical href="https://example.org/a"><link rel=canonical href="https://example.org/b">'
    assert reading(html(two), "in/a.html").column("canonical") == [None]


@pytest.mark.parametrize(
    "links",
    [
        '<link rel=canonical href="/only/a/path">',
        '<link rel=canonical href="https://example.org/">',
        '<link rel=canonical href="http://localhost/a">',
        '<link rel=canonical href="javascript:void(0)">',
        '<link rel=canonical href="http://[bad/">',
        '<link rel=canonical href="https://example.org/a"><link rel=canonical href="https://example.org/b">',
    ],
)
def test_a_canonical_address_that_cannot_stand_for_the_page_is_not_its_uri(links, reading):
    assert reading(html(links), "in/a.html").column("uri") == ["in/a.html"]


def test_two_licences_are_none_and_addresses_become_spdx_identifiers():
    two = '<a rel="license" href="https://creativecommons.org/licenses/by/4.0/">a</a><a rel=license href="https://a.b/x">b</a>'
    assert page(html(body=BODY + two), None)["licence"] is None
    assert licence("http://creativecommons.org/publicdomain/zero/1.0/") == "CC0-1.0"
    assert licence("https://creativecommons.org/licenses/by-nc/2.0/uk/") == "CC-BY-NC-2.0-UK"
    assert licence("https://www.gnu.org/licenses/gpl-3.0.html") == "https://www.gnu.org/licenses/gpl-3.0.html"
    assert licence("javascript:x") is None


def test_dates_and_tags_that_are_none_are_null():
    assert [moment(text) for text in ("yesterday", "", "0001-01-01", "2026-99-01", "Mon, 99 Foo")] == [None] * 5
    assert moment("Tue, 5 Mar 2024 08:00:00 +0100") == "2024-03-05T07:00:00+00:00"
    assert [tag(text) for text in ("en", "zh-Hans-CN", "en, fr", "{{lang}}", "", None, "x" * 50)] == [
        "en", "zh-Hans-CN", "en", None, None, None, None,
    ]  # fmt: skip


def test_a_page_without_main_text_is_dropped_and_one_that_is_too_large_rejected(reading):
    empty = reading(html(body="<nav><a href=/>Home</a></nav>"), "a.html")
    assert (empty.dropped, empty.rows) == ({"no_text": 1}, [])
    large = reading(html(body=BODY * 100), "a.html", limits=Limits(max_record_bytes=1000))
    assert large.reasons == {"record_too_large": 1}


def test_a_page_that_its_parser_does_not_survive_is_a_reject_and_the_next_is_read(reading, monkeypatch):
    monkeypatch.setattr(parsing, "PAGE_CPU_S", 1)
    with parsing.closing_parser():
        pass
    before = set(os.listdir("/proc/self/fd"))
    result = reading(b"<html>" + b"<div>" * 1_500_000, "a.html")
    assert result.reasons == {"parser_died": 1}
    assert "SIGXCPU" in result.rejects[0].message
    assert len(reading(html(), "a.html").rows) == 1
    with parsing.closing_parser():
        pass
    assert set(os.listdir("/proc/self/fd")) <= before, "a descriptor of a process that is no more"


def test_a_page_says_the_same_in_the_parsers_process_whatever_came_before_it():
    long = html(body=BODY * 13_000)  # 1.1 MB
    middle = html("<title>Halls</title>", BODY * 1_000, '<html lang="en">')
    with parsing.closing_parser():
        for raw in (html(), middle, html("<title>ß</title>"), long, b"", middle, html()):
            assert parsing.parsed(raw) == page(raw)


def test_words_of_a_translated_manual_survive_and_its_languages_are_stated(shared_data: Path):
    with zipfile.ZipFile(shared_data / "multilingual_html.zip") as archive:
        for language in ("de", "fr", "it", "ja", "ru"):
            name = next(name for name in archive.namelist() if f"/{language}/" in name and "pkgs" in name)
            said = page(archive.read(name), None)
            assert (said["language"] or "").startswith(language)
            assert len(said["text"] or "") > 5000

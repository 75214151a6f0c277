"""Lists that the user gives: their recipes, their files, and what they find in texts and URLs."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import corpus
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decisions import PROSE

from warehouse import query
from warehouse.curation.list_recipe import PARTS, SPACELESS, load_list
from warehouse.curation.lists import LISTS, Held, hold, search_urls, search_words
from warehouse.errors import RecipeError
from warehouse.kernels.entries import entries, hashes
from warehouse.kernels.texts import texts


def listed(folder: Path, stated: str, **files: str | bytes) -> Held:
    for name, content in files.items():
        (folder / f"{name}.txt").write_bytes(content.encode() if isinstance(content, str) else content)
    (folder / "given.yaml").write_text(stated)
    return hold(load_list(folder / "given.yaml", folder), 1, "c")


def found(batch: pa.RecordBatch, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in batch.to_pylist()]


def in_texts(held: Held, *documents: tuple[str, str | None]) -> list[tuple[Any, ...]]:
    rows = [{"doc_id": str(at), "text": text, "language": name} for at, (text, name) in enumerate(documents)]
    return found(search_words(pa.RecordBatch.from_pylist(rows), [held]), "language", "matches", "entries")


def in_urls(held: Held, *uris: str) -> list[tuple[Any, ...]]:
    batch = pa.RecordBatch.from_pylist([{"doc_id": str(at), "uri": uri} for at, uri in enumerate(uris)])
    return found(search_urls(batch, [held]), "part", "matches", "entries", "soft_words")


def test_a_document_is_searched_by_the_list_of_its_language_or_by_the_stated_one(tmp_path: Path) -> None:
    files: Any = {"en": "Blurp\r\n\n   \nfizz (buzz)\nblurp\n", "zh": "坏\n", "de": ""}
    documents = [
        ("BLURP fizz (buzz), blurps", "en"),
        ("blurp 好坏人", "zh"),
        ("blurp", "de"),
        ("blurp", "fr"),
        ("", None),
    ]
    by_name = listed(tmp_path, "kind: words\nfiles: {en: en.txt, zh: zh.txt, de: [de.txt]}\n", **files)
    wanted = [("en", 2, 2), ("zh", 1, 1), ("de", 0, 0), (None, None, None), (None, None, None)]
    assert in_texts(by_name, *documents) == wanted
    assert in_texts(listed(tmp_path, 'kind: words\nfiles: "??.txt"\n'), *documents) == wanted
    stated = in_texts(listed(tmp_path, "kind: words\nfiles: {en: en.txt}\nlanguage: en\n"), *documents)
    assert stated == [("en", 2, 2), ("en", 1, 1), ("en", 1, 1), ("en", 1, 1), ("en", 0, 0)]


URLS = "kind: urls\n" + "".join(f"{part}: {part}.txt\n" for part in PARTS)
FILES: Any = {
    "domains": "# a comment\nBad.example\n*.worse.example.\nbücher.example\n",
    "urls": "https://good.example/bad/page/\nother.example\n",
    "words": "blurp\nX-Y\n",
    "subwords": "fizzbuzz\n",
    "soft_words": "plonk\nquux\n",
}


@pytest.mark.parametrize(
    ("uri", "row"),
    [
        ("https://bad.example/", ("domains", 1, 1, 0)),
        ("http://user:pw@A.Bad.Example.:8080/x?plonk=plonk", ("domains", 1, 1, 1)),
        ("ftp://notbad.example/plonk-quux.QUUX", (None, 0, 0, 2)),
        ("https://xn--bcher-kva.example", ("domains", 1, 1, 0)),
        ("https://BÜCHER.example/xy", ("domains", 2, 2, 0)),
        ("http://good.example:80/bad/page#part", ("urls", 1, 1, 0)),
        ("https://good.example/bad/pages", (None, 0, 0, 0)),
        ("https://good.example/?a=BLURP&b=blurp&c=blurps", ("words", 2, 1, 0)),
        ("https://good.example/a-fizz-Buzz-b", ("subwords", 1, 1, 0)),
        ("https://worse.example/blurp/fizzbuzz", ("domains", 3, 3, 0)),
        ("data/bad.example/blurp.txt", (None, None, None, None)),
        ("https:///path", (None, None, None, None)),
        ("http://[::1]:80/blurp", (None, None, None, None)),
    ],
)
def test_a_url_is_blocked_by_domain_address_word_or_part_of_one(uri: str, row: tuple[Any, ...], tmp_path: Path) -> None:
    assert in_urls(listed(tmp_path, URLS, **FILES), uri, "https://fine.example/") == [row, (None, 0, 0, 0)]


LABEL = st.sampled_from(["a", "b", "bad", "co", "x-y"])
HOST = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


@settings(deadline=None)
@given(st.lists(HOST, min_size=1, max_size=5), st.lists(HOST, max_size=5), st.lists(LABEL, max_size=3))
def test_a_domain_blocks_itself_and_all_below_it_and_a_word_is_a_whole_one(
    hosts: list[str], domains: list[str], words: list[str]
) -> None:
    held = Held("l", 1, "c", "urls", "", hold_parts(domains, words))
    wanted = []
    for host in hosts:
        above = {each for each in domains if host == each or host.endswith(f".{each}")}
        said = [word for word in re.split("[^a-z0-9]+", f"http://{host}/") if word in words]
        part = "domains" if above else "words" if said else None
        wanted.append((part, len(above) + len(said), len(above) + len(set(said)), 0))
    assert in_urls(held, *(f"http://{host}/" for host in hosts)) == wanted


def hold_parts(domains: list[str], words: list[str]) -> Any:
    return {
        "domains": hashes(texts(pa.array(domains, pa.string()))),
        "words": entries(texts(pa.array(words, pa.string()))),
    }


@pytest.mark.parametrize("language", ["ar", "de", "en", "es", "ja", "ko", "ru", "tr", "zh"])
def test_real_lists_meet_a_text_where_the_expression_of_c4_does(
    shared_data: Path, tmp_path: Path, language: str
) -> None:
    path = shared_data / "bad_words_ldnoobw" / language
    held = listed(tmp_path, f"kind: words\nfiles: {{{language}: {path}}}\n")
    words = {line.strip().lower() for line in path.read_text("utf-8").splitlines()}
    some = [
        form.replace("{}", word)
        for word in sorted(words)
        for form in ("{}", "x {},y", "x{} z", "({})s", "{}{}", "-{}\n")
    ]
    shown = [text.upper() if at % 3 else text for at, text in enumerate(some)]
    shown = [text for text in shown if not any(unicodedata.category(char) == "Mn" for char in text.lower())]
    either = "|".join(map(re.escape, words))
    c4 = re.compile(either if language in SPACELESS else rf"(?:\W|^)({either})(?:\W|$)")
    meets = [c4.search(text.lower()) is not None for text in shown]
    assert [row[1] > 0 for row in in_texts(held, *((text, language) for text in shown))] == meets
    assert any(meets)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("files: en.txt", "given.yaml:1: no kind"),
        ("kind: word", "given.yaml:1: kind is 'word'. Allowed: words, urls"),
        ("kind: words", "given.yaml:1: no files"),
        ("kind: words\nfiles: {en: fr.txt}", "given.yaml:2: no file 'fr.txt'"),
        ("kind: words\nfiles: '*.csv'", "given.yaml:2: no file '*.csv'"),
        ("kind: words\nfiles: '*.txt'", "given.yaml:2: the file domains.txt"),
        ("kind: words\nfiles: {English: en.txt}", "given.yaml:2: language 'English'"),
        ("kind: words\nfiles: {en: en.txt}\nlanguage: English", "given.yaml:3: language is 'English', not detected"),
        ("kind: words\nfiles: {en: en.txt}\ndomains: en.txt", "given.yaml:3: unknown key 'domains'"),
        ("kind: urls", "given.yaml:1: no entries. Allowed: one of domains, urls"),
        ("kind: urls\ndomain: en.txt", "given.yaml:2: unknown key 'domain'"),
        ("kind: words\nfiles: {en: latin.txt}", "latin.txt:2: not UTF-8"),
        ("kind: urls\ndomains: latin.txt", "latin.txt:2: not UTF-8"),
        ("kind: urls\ndomains: en.txt", "en.txt:3: 'two words' is no domain, such as example.org"),
        ("kind: urls\nwords: en.txt", "en.txt:4: '!!' has no letter a-z and no digit"),
        ("kind: urls\nurls: en.txt", "en.txt:3: 'two words' is no URL"),
    ],
)
def test_a_recipe_and_a_file_that_are_wrong_are_refused_with_their_line(stated: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        listed(tmp_path, stated, en="\nplonk\ntwo words\n!!\n", latin=b"a\n\xe9t\xe9\n", domains="")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("thresholds", "fallen"),
    [
        ({}, {"url": ("blocked_url", 1, 0), "soft": ("soft_url_words", 2, 1), "words": ("bad_words", 3, 0)}),
        ({"house_max_bad_words": 3, "house_max_soft_url_words": 2}, {"url": ("blocked_url", 1, 0)}),
        (
            {"house_max_blocked_url": 1, "house_max_bad_words": 2},
            {"soft": ("soft_url_words", 2, 1), "words": ("bad_words", 3, 2)},
        ),
    ],
)
def test_the_house_drops_what_lists_find_and_variables_move_the_thresholds(
    checkout: Path, thresholds: dict[str, float], fallen: dict[str, tuple[str, float, float]]
) -> None:
    documents = {name: corpus.row(name, f"{name}: {PROSE}") for name in ("url", "soft", "one", "words", "none")}
    con = corpus.empty(**thresholds, near_duplicate_jaccard=2)
    corpus.arrive(con, list(documents.values()))
    rows = [
        {"doc_id": documents[name]["doc_id"], "list": listed, "version": version, "kind": kind}
        | {"matches": matches, "entries": matches, "soft_words": soft}
        for name, listed, version, kind, matches, soft in (
            ("url", "sites", 2, "urls", 1, 0),
            ("soft", "sites", 2, "urls", 0, 2),
            ("one", "sites", 2, "urls", 0, 1),
            ("none", "sites", 1, "urls", 1, 2),
            ("words", "rude", 1, "words", 2, None),
            ("words", "ruder", 1, "words", 1, None),
            ("none", "rude", 1, "words", None, None),
        )
    ]
    corpus.append(con, "lists", pa.Table.from_pylist(rows, LISTS))
    corpus.build(con, checkout)
    sql = """SELECT uri, reason, value, threshold FROM curation.decisions
             JOIN staging.current_documents USING (doc_id) WHERE rule_set = 'house' AND NOT kept"""
    assert {uri: tuple(rest) for uri, *rest in query.fetch_all(con, sql)} == fallen

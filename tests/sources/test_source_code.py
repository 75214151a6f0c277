"""Source code: every file a document, its language by name, suffix or first line."""

from __future__ import annotations

import pytest

from warehouse.sources import locate, read, reader_id
from warehouse.sources.code import SUFFIXES, language_of
from warehouse.sources.recipe import Source

FILES = {
    "a.py": (b"print(1)\n", "Python"),
    "src/lib.RS": (b"#![allow(x)]\nfn main() {}\n", "Rust"),
    "Makefile": (b"all:\n\techo\n", "Makefile"),
    "run": (b"#!/usr/bin/env -S python3.11 -I\n1\n", "Python"),
    "tool": (b"#! /bin/sh\ntrue\n", "Shell"),
    "other": (b"#!/opt/own\n", None),
    "q.sql": ("SELECT 'é'".encode("latin-1"), "SQL"),
    "a.h": (b"int a;", "C"),
}


def test_every_file_of_a_tree_is_a_document_with_its_language(tmp_path):
    for name, (content, _) in FILES.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    source = Source("s", ("in",))
    found = {}
    for item in locate(source, tmp_path):
        (batch,) = read(source, item, item.path)
        (row,) = batch.to_pylist()
        assert reader_id(source, item, item.path).startswith("code/") and row["title"] == item.path.name
        found[item.uri.removeprefix("in/")] = row["programming_language"]
    assert found == {name: language for name, (_, language) in FILES.items()}


def test_binary_and_blank_files_are_no_documents(reading):
    assert reading(b"\0\1\2", "a.c").reasons == {"binary_content": 1}
    for name in ("a.c", "a.txt", "a.eml", "a.warc", "a.arc.gz"):
        assert reading(b" \n" if name == "a.c" else b"", name).dropped == {"empty_object": 1}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_suffix_names_one_language_in_any_case(suffix):
    assert language_of(f"x{suffix}") == language_of(f"x.tar{suffix.upper()}") == SUFFIXES[suffix]

"""Objects of a store, on a real S3 server: what a uri names, beside what the same uri names among files."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.errors import InputError
from warehouse.sources import Source, locate

NAMES = st.sampled_from(
    [
        "a",
        "b.txt",
        "c.csv",
        "k=v",
        "k=%2F",
        "x y",
        "é",
        "[br]",
        "st*r",
        "q?",
        "#h",
        "%41",
        "a+b",
        ".hid",
        "__MACOSX",
        "~",
    ]
)
KEYS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map("/".join), min_size=1, max_size=7, unique=True)
WILD = st.sampled_from(["*", "**", "*.txt", "?", "[a-k]*", "k=*", "*.*", "[!a]*"])


@st.composite
def keys_and_patterns(draw: st.DrawFn) -> tuple[list[str], str]:
    """Keys that can be files together, and a glob, mostly made of one of them."""
    keys = draw(KEYS)
    parts = draw(st.sampled_from(keys)).split("/")[: draw(st.integers(0, 3))]
    pattern = [draw(st.just(part) | WILD | NAMES) for part in parts]
    while pattern[-1:] == ["**"]:  # folders alone before Python 3.13
        pattern.pop()
    return [key for key in keys if not any(other.startswith(f"{key}/") for other in keys)], "/".join(pattern)


def uris(folder: Path, *patterns: str) -> list[str]:
    return [item.uri for item in locate(Source("s", patterns), folder)]


def outcome(folder: Path, pattern: str) -> list[str] | str:
    try:
        return uris(folder, pattern)
    except InputError as error:
        return re.sub(r".*(matches no|leads into).*", r"\1", error.came, flags=re.DOTALL)


@given(keys_and_patterns())
@settings(max_examples=40)
def test_a_uri_names_the_same_objects_of_a_store_as_files_of_a_folder(buckets, made):
    keys, pattern = made
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name, value in buckets.environ.items():
            patch.setenv(name, value)
        bucket = buckets.made(dict.fromkeys(keys, b"x"))
        for key in keys:
            path = Path(folder, "lies", key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        stored = outcome(Path(folder), f"s3://{bucket}/{pattern}")
        local = outcome(Path(folder), f"lies/{pattern}")
    if isinstance(local, list):
        assert stored == [uri.replace("lies", f"s3://{bucket}", 1) for uri in local]
    else:
        assert stored == local

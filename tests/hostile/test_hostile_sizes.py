"""Lines without an end and bombs: memory stays bounded whatever the file says it is, and a recipe states the bounds."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import zstandard
from commanding import warehouse

LINE_MB = 200
REASONS = {"record_too_large", "invalid_xml", "invalid_warc", "invalid_mcf", "not_documents", "no_rows"}


def test_a_line_of_200_mb_is_refused_in_every_format_and_takes_no_memory_that_grows_with_it(tmp_path: Path):
    script = Path(__file__).with_name("long_lines.py")
    argv = [sys.executable, str(script), str(tmp_path), str(LINE_MB)]
    made = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300)
    found = [json.loads(line) for line in made.stdout.splitlines()]
    assert made.stderr == ""
    assert len({(each["name"], each["head"]) for each in found}) > 20
    assert all(each["rows"] == 0 and each["reasons"].keys() <= REASONS for each in found)
    assert all(sum(each["reasons"].values()) in (1, 2) for each in found)
    assert sum(each["grew_mb"] for each in found) < LINE_MB * 0.75


def zipped(data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", data)
    return packed.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "zip": zipped,
    "jsonl.gz": gzip.compress,
    "jsonl.zst": zstandard.compress,
    "jsonl.gz.gz": lambda data: gzip.compress(gzip.compress(data)),
}
STATED = {
    "nothing": ("", "unpacks to more than"),
    "ratio": ("limits: {max_ratio: 100_000_000}\n", None),
    "both": ("limits: {max_ratio: 100_000_000, max_object_bytes: 1_000_000}\n", "more than 1000000 bytes"),
}


def test_a_bomb_is_a_reject_and_a_recipe_may_allow_its_ratio_and_bound_its_size(here: Path) -> None:
    for suffix, pack in PACKED.items():
        (here / "data" / f"bomb.{suffix}").write_bytes(pack(b'{"text": "%s"}\n' % (b"x" * 65_520) * 288))
    for name, (limits, _) in STATED.items():
        recipe = here / "recipes" / "sources" / f"{name}.yaml"
        recipe.write_text(f"uri: data/bomb.*\ntable: {name}\nmax_reject_share: 1.0\n{limits}")
    ended = warehouse("run", *(f"sources/{name}" for name in STATED))
    assert ended.status == 0, ended.err
    for name, (_, message) in STATED.items():
        told = json.loads(warehouse("rejects", name, "--json").out)["examples"]
        assert {each["reason"] for each in told} == ({"too_large"} if message else set())
        assert len({each["uri"].partition("!")[0] for each in told}) == (len(PACKED) if message else 0)
        assert all(str(message) in each["message"] for each in told)

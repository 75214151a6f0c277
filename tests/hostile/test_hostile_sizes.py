"""Lines without an end and bombs: memory stays bounded whatever the file says it is, and a recipe states the bounds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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

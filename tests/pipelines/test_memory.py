"""Memory does not grow with the input: a JSON Lines file is ingested and curated far below a gigabyte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def test_peak_memory_stays_below_a_gigabyte_and_the_benchmark_prints_its_figures(
    checkout: Path, memory_folder: Path
) -> None:
    done = subprocess.run(
        [sys.executable, str(checkout / "benchmarks/route.py"), "--gigabytes", "0.12"],
        capture_output=True,
        text=True,
        env={**os.environ, "BENCH_TMP": str(memory_folder)},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["text_mb"] > 100
    assert figures["peak_rss_mb"] < 1000

"""CPU seconds, peak memory and MB/s of each stage of the demo, in a fresh data root.

    make bench AREA=route                     the demo's own input
    make bench AREA=route ARGS="--gigabytes 2"   a JSON Lines file of that size instead, ingested and curated

The whole route has no peer that does the same, so there is no side-by-side run here; areas that have one are measured
in benchmarks of their own. ``--own`` is accepted for uniformity. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

from pipelines.run import run_assets
from warehouse.project import Project, load
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository

CHECKOUT = Path(__file__).resolve().parent.parent
PUBLISH = "models, gate, publish"
STAGES = {"sources": "sources", "repository": "audits", "features": "features", "datasets": "datasets"}
CURATION = {f"repository/{table}" for table in ("signals", "paragraphs", "pii", "minhash", "pairs", "contamination")}


def main() -> None:
    """Run the route once and print the table and the JSON line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--own", action="store_true", help="ours alone; the route has no peer")
    arguments.add_argument("--gigabytes", type=float, default=0.0, help="take a JSON Lines file of this size")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-route-", dir=os.environ.get("BENCH_TMP")) as folder:
        figures = large(Path(folder), given.gigabytes) if given.gigabytes else demo(Path(folder))
    print(json.dumps(figures))


def demo(folder: Path) -> dict[str, float]:
    """The demo's route up to a release: seconds and peak memory of each stage."""
    os.environ["WAREHOUSE_ROOT"] = str(folder / "root")
    project = load(CHECKOUT)
    began = time.perf_counter()
    run_assets(project)
    run_assets(project, ["datasets/demo_corpus"])
    figures = stages(project, *text_bytes(project))
    return {**figures, "route_wall_s": round(time.perf_counter() - began, 1)}


def large(folder: Path, gigabytes: float) -> dict[str, float]:
    """One large JSON Lines file into documents and what curation measures of them."""
    (folder / "recipes/sources").mkdir(parents=True)
    (folder / "recipes/sources/large.yaml").write_text("reader: jsonl\nuri: large.jsonl\nlicence: PSF-2.0\n")
    (folder / "warehouse.toml").write_text('name = "large"\n')
    with open(folder / "large.jsonl", "w", encoding="utf-8") as file:
        for line in lines(int(gigabytes * 1e9)):
            file.write(line)
    os.environ["WAREHOUSE_ROOT"] = str(folder / "root")
    project = load(folder)
    run_assets(project, ["sources/large", "repository/documents", *sorted(CURATION)])
    return stages(project, *text_bytes(project))


def lines(size: int) -> Iterator[str]:
    """JSON Lines of about ``size`` bytes: paragraphs of the language reference, 24 of them drawn for each document."""
    parts, numbers = [part for name in sorted(topics) for part in topics[name].split("\n\n")], random.Random(0)
    written = number = 0
    while written < size:
        text = "\n\n".join([f"Document {number}", *numbers.sample(parts, 24)])
        line = json.dumps({"text": text}, ensure_ascii=False) + "\n"
        written, number = written + len(line.encode()), number + 1
        yield line


def text_bytes(project: Project) -> tuple[int, int]:
    """Documents in the repository, and bytes of their text."""
    con = connect()
    attach_repository(con, [Repository(project.root).snapshot("documents")])
    return fetch_all(con, "SELECT count(*), sum(strlen(text))::BIGINT FROM repository.documents")[0]


def stages(project: Project, documents: int, size: int) -> dict[str, float]:
    """Print a line a stage and give its figures; MB/s are of document text, by CPU second."""
    con = connect()
    attach_repository(con, [Repository(project.root).snapshot("runs")])
    totals: dict[str, tuple[float, int]] = {}
    for asset, cpu, peak in fetch_all(con, "SELECT asset, cpu_s, peak_rss FROM repository.runs"):
        group = asset.split("/")[0]
        stage = "curation" if asset in CURATION else STAGES.get(group, PUBLISH)
        before = totals.get(stage, (0.0, 0))
        totals[stage] = (before[0] + cpu, max(before[1], peak))
    print(f"{documents:,} documents, {size / 1e6:.1f} MB of text")
    print(f"{'stage':24}{'CPU s':>8}{'MB/CPU s':>10}{'peak RSS MB':>13}")
    for stage, (cpu, peak) in totals.items():
        print(f"{stage:24}{cpu:8.2f}{size / 1e6 / cpu:10.1f}{peak / 1e6:13.0f}")
    figures = {f"{stage.split()[0].rstrip(',')}_cpu_s": round(cpu, 2) for stage, (cpu, _) in totals.items()}
    peak = max(peak for _, peak in totals.values())
    return {**figures, "documents": documents, "text_mb": round(size / 1e6, 1), "peak_rss_mb": round(peak / 1e6)}


if __name__ == "__main__":
    main()

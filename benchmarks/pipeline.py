"""Text in the repository to decisions with everything on, beside the sum of its parts.

    make bench AREA=pipeline
    make bench AREA=pipeline ARGS="--data FOLDER"

200 MB of whole documents (samples.py) are ingested, not measured here. Then one run makes signals with the language,
paragraphs, personal data, bands, pairs, overlaps with two benchmarks, words of a list, scores of a classifier (training
apart) and every model of curation up to decisions and the funnel: CPU seconds of these assets with their audits, each
read from and written to Delta tables. The parts are the same functions over one batch in memory, with the index of the
benchmarks and the list made anew; pairs and models are work on tables alone and count in both. The parts come first, so
that all kernels are loaded before the run; both three times in turns, each run in a warehouse of its own, and of speed
and ratio the medians count. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pyarrow as pa
from contamination import indexed, items_of
from lists import held, words_batch, words_of
from samples import DATA, batch_of, best, megabytes, of, whole

from pipelines.run import run_assets
from warehouse.curation import measure, minhash, paragraphs, pii, score
from warehouse.curation.contamination import contamination
from warehouse.curation.lists import search_words
from warehouse.curation.score_models import features, fit_classifier
from warehouse.project import Project, load
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository

MEASURED = ("signals", "paragraphs", "pii", "minhash", "contamination", "lists", "scores")
ROUNDS = 3
WORDS = "kind: words\nfiles: {en: entries.txt}\n"
SOURCE = "reader: jsonl\nuri: {}.jsonl\nlicence: PSF-2.0\n"
CODE = "SELECT doc_id FROM staging.current_documents WHERE source {} 'code'"
SCORE = f"kind: classifier\npositive: {CODE.format('<>')}\nnegative: {CODE.format('=')}\n"


def main() -> None:
    """Run it, measure the parts; print a line each and the JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, default=DATA, help="folder of corpora")
    data = arguments.parse_args().data
    print(json.dumps(figures(data, whole(data))))


def figures(data: Path, documents: list[tuple[str, str]]) -> dict[str, float]:
    """The medians of ROUNDS."""
    rounds = [measured(data, documents) for _ in range(ROUNDS)]
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


def measured(data: Path, documents: list[tuple[str, str]]) -> dict[str, float]:
    """MB a CPU second of the run, and its CPU seconds as a share of the sum of the parts."""
    alone = parts(data, of(documents))
    with tempfile.TemporaryDirectory(prefix="bench-pipeline-", dir=os.environ.get("BENCH_TMP")) as folder:
        spent = curated(project(Path(folder), data, documents))
    tables = {name: seconds for name, seconds in spent.items() if name not in alone}
    for name, seconds in spent.items():
        print(f"{name:20}{seconds:8.2f} CPU s", f"alone {alone[name]:.2f}" if name in alone else "")
    whole_s, parts_s = sum(spent.values()), sum(alone.values()) + sum(tables.values())
    print(f"in all {whole_s:.2f} CPU s, parts {parts_s:.2f}")
    return {
        "pipeline_mb_per_cpu_s": round(megabytes(of(documents)) / whole_s, 1),
        "pipeline_over_its_parts": round(whole_s / parts_s, 2),
    }


def project(folder: Path, data: Path, documents: list[tuple[str, str]]) -> Project:
    """A project of these documents with benchmarks, a list and a score; everything ingested."""
    for kind in ("sources", "lists", "scores"):
        (folder / "recipes" / kind).mkdir(parents=True)
    (folder / "warehouse.toml").write_text('name = "bench"\n')
    for source, chosen in (("prose", lambda kind: kind != "code"), ("code", lambda kind: kind == "code")):
        (folder / f"recipes/sources/{source}.yaml").write_text(SOURCE.format(source))
        lines = (json.dumps({"text": text}) + "\n" for kind, text in documents if chosen(kind))
        (folder / f"{source}.jsonl").write_text("".join(lines))
    items = [(name, json.dumps({"id": item, "text": text}) + "\n") for name, item, text in items_of(data)]
    names = sorted({name for name, _ in items})
    for name in names:
        (folder / f"{name}.jsonl").write_text("".join(line for its, line in items if its == name))
        stated = f"table: benchmarks\nreader: jsonl\nuri: {name}.jsonl\n"
        (folder / f"recipes/sources/{name}.yaml").write_text(stated)
    (folder / "entries.txt").write_text("\n".join(words_of(data)))
    (folder / "recipes/lists/words.yaml").write_text(WORDS)
    (folder / "recipes/scores/prose.yaml").write_text(SCORE)
    os.environ["WAREHOUSE_ROOT"] = str(folder / "root")
    found = load(folder)
    sources = [f"sources/{name}" for name in ("prose", "code", *names)]
    run_assets(found, [*sources, "repository/documents", "repository/benchmarks"])
    return found


def curated(found: Project) -> dict[str, float]:
    """CPU seconds by table of all that curation makes; models under one name."""
    made = run_assets(found, ["repository/documents+"]).run_id
    con = connect()
    attach_repository(con, [Repository(found.root).snapshot("runs")])
    spent: dict[str, float] = {}
    for asset, cpu_s in fetch_all(con, "SELECT asset, cpu_s FROM repository.runs WHERE run_id = ?", [made]):
        group, _, name = asset.partition("/")
        if group == "repository" and name in (*MEASURED, "pairs"):
            spent[name] = spent.get(name, 0.0) + cpu_s
        elif group in ("staging", "curation"):
            spent["models"] = spent.get("models", 0.0) + cpu_s
    return spent


def parts(data: Path, some: list[str]) -> dict[str, float]:
    """CPU seconds of what is measured of texts, each by itself over one batch."""
    items, words = list(items_of(data)), words_of(data)
    sample = pa.array(some[:100], pa.large_string())
    model = fit_classifier(features(sample, "classifier", bits=18), [at % 2 for at in range(100)], bits=18, seed=0)
    functions: dict[str, Callable[[list[str]], object]] = {
        "signals": lambda given: measure(batch_of(given)),
        "paragraphs": lambda given: paragraphs(batch_of(given)),
        "pii": lambda given: pii(batch_of(given)),
        "minhash": lambda given: minhash(batch_of(given)),
        "contamination": lambda given: contamination(batch_of(given), indexed(items)),
        "lists": lambda given: search_words(words_batch(given), [held(WORDS, words)[0]]),
        "scores": lambda given: score(batch_of(given), {"prose": (1, model)}),
    }
    for function in functions.values():
        function(some[:2])
    return {name: best(lambda function=function: function(some), times=1) for name, function in functions.items()}


if __name__ == "__main__":
    main()

"""The curation engine beside its peers in one run: every area on the same documents, and the route through all of it.

    make bench AREA=curation
    make bench AREA=curation ARGS="--own"             without the peers
    make bench AREA=curation ARGS="--data FOLDER"

The areas signals, exact, neardup, contamination, pii, language, decisions and pipeline, each as its own page says.
Speeds of ours are on 200 MB of whole documents, near duplicates on made-up text with planted ones, the warm figures of
signals and what is compared with peers on the sample of samples.py. The speeds of signals and exact duplicates are
measured before all else and after it, some ten minutes later, and the better ones count, as shared machines drift. The
pipeline has a process of its own, as a run of the command line has. The last line is one JSON object of all figures.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import contamination
import decisions
import exact
import language
import neardup
import pii
import pipeline
import samples
import signals


def main() -> None:
    """Measure all areas, print their lines and the JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--own", action="store_true", help="without the peers")
    arguments.add_argument("--data", type=Path, default=samples.DATA, help="folder of corpora")
    given = arguments.parse_args()
    sample, whole = samples.sample(given.data), samples.whole(given.data)
    texts = samples.of(whole)
    before = signals.speeds(samples.of(sample), texts) | exact.figures(texts)
    figures: dict[str, Any] = signals.threaded(texts)
    figures |= neardup.planted(neardup.MEGABYTES)
    figures |= contamination.figures(given.data, texts)
    figures["pii_mb_per_cpu_s"] = pii.speed("all", texts, own=True)["mb_per_cpu_s"]
    figures |= pii.gold(given.data, own=given.own)
    figures |= language.figures(list(language.texts(given.data)))
    figures |= decisions.figures(decisions.ROWS)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        figures |= apart.submit(pipeline.figures, given.data, whole).result()
    if not given.own:
        figures |= signals.beside(sample) | neardup.beside(samples.of(sample))
    after = signals.speeds(samples.of(sample), texts) | exact.figures(texts)
    print(json.dumps({name: max(before[name], after[name]) for name in before} | figures))


if __name__ == "__main__":
    main()

"""Rows drawn from a sketch of the census, against rows held out: cost, quality, models trained on one or the other.

    make bench AREA=synthetic ARGS="census.csv.gz [PYTHON]"

PYTHON: an interpreter with lightgbm, pandas and scikit-learn, which the warehouse needs nowhere else, for the last two
figures: AUC of income on rows held out (trained on synthetic rows, and on the real ones), and of telling the two apart.
The last line is one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from warehouse.sketches import sketch, to_bytes
from warehouse.synthetic import choose, fit_columns, quality, sample

TRAINED = """
import json, sys
import lightgbm, numpy as np, pandas as pd
from sklearn.metrics import roc_auc_score
real, held, made = (pd.read_parquet(path) for path in sys.argv[1:4])
texts = [name for name in real if not pd.api.types.is_numeric_dtype(real[name])]
for name in texts:
    levels = sorted(set(real[name].dropna()))
    for table in (real, held, made):
        table[name] = pd.Categorical(table[name], categories=levels)
def model(rows, labels):
    return lightgbm.LGBMClassifier(n_estimators=200, num_threads=1, verbose=-1, random_state=0).fit(rows, labels)
def labels(table):
    return table["income"].cat.codes.to_numpy() == 1
found = {}
for name, table in (("real", real), ("synthetic", made)):
    fitted = model(table.drop(columns="income"), labels(table))
    scores = fitted.predict_proba(held.drop(columns="income"))[:, 1]
    found[f"auc_trained_on_{name}"] = round(roc_auc_score(labels(held), scores), 4)
both = pd.concat([held, made.sample(len(held), random_state=0)])
which, order = np.repeat([0, 1], len(held)), np.random.default_rng(0).permutation(2 * len(held))
first, last = np.array_split(order, 2)
scores = model(both.iloc[first], which[first]).predict_proba(both.iloc[last])[:, 1]
found["auc_of_telling_apart"] = round(roc_auc_score(which[last], scores), 4)
print(json.dumps(found))
"""


def main(path: Path, python: str | None) -> None:
    """Fit on three quarters of the rows, draw as many, print what it cost and how near they are."""
    rows = pyarrow.csv.read_csv(path)
    shuffled = rows.take(np.random.default_rng(0).permutation(rows.num_rows))
    cut = rows.num_rows * 3 // 4
    real, held = shuffled.slice(0, cut), shuffled.slice(cut)
    columns, seconds = timed(lambda: fit_columns(real.to_batches()))
    print(f"{real.num_rows:,} rows, {len(columns)} columns; bins {seconds:.3f} CPU s")
    pairs, seconds = timed(lambda: sketch(real.to_batches(), columns))
    speed = real.num_rows / seconds / 1e6
    print(f"round one {seconds:.3f} CPU s, {speed:.2f} M rows a CPU s, {len(to_bytes(pairs)):,} bytes")
    figures: dict[str, float] = {"rows": real.num_rows, "million_rows_a_cpu_s": round(speed, 2)}
    for most in (1, 2, 3):
        parents, chosen = timed(lambda most=most: choose(pairs, max_parents=most))
        made, counted = timed(lambda parents=parents: sketch(real.to_batches(), columns, parents))
        drawn, sampled = timed(lambda made=made: sample(made, real.num_rows, seed=1))
        found = quality(columns, drawn, held, real)
        print(
            f"{most} parents: network {chosen:.3f}, round two {counted:.3f}, sample {sampled:.3f} CPU s, "
            f"{len(to_bytes(made)):,} bytes; quality {found.mean:.3f} ({found.shapes:.3f} / {found.pairs:.3f}), "
            f"DCR share {found.dcr_share:.3f}, {found.copies} copies"
        )
        figures |= {f"quality_{most}": round(found.mean, 3), f"dcr_share_{most}": found.dcr_share}
        figures |= {f"copies_{most}": found.copies}
    if python:
        figures |= trained(python, real, held, drawn)
    print(json.dumps(figures))


def timed(work):  # type: ignore[no-untyped-def]
    """What the work gives, and the CPU seconds of the fastest of three."""
    spent = []
    for _ in range(3):
        began = time.process_time()
        result = work()
        spent.append(time.process_time() - began)
    return result, min(spent)


def trained(python: str, *tables: pa.Table) -> dict[str, float]:
    """AUC of the models, made in the other interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{at}.parquet") for at in range(len(tables))]
        for table, path in zip(tables, paths, strict=True):
            pq.write_table(table, path)
        ended = subprocess.run(
            [python, "-W", "ignore", "-c", TRAINED, *paths], check=True, capture_output=True, text=True
        )
    found: dict[str, float] = json.loads(ended.stdout)
    for name, value in found.items():
        print(f"{name}: {value:.3f}")
    return found


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) == 3 else None)

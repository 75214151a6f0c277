"""LightGBM on a release of features: how many tokens a request will bring forth, beside what a guess would miss.

    warehouse run features/requests && warehouse export requests
    python examples/train_forecast.py .warehouse/datasets/requests/1

The release is split by time: trained on the requests of the first 80 %, measured on those that came later. Naive is the
median of the training rows, the constant with the least absolute error there. Measured figures: docs/training.md.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
import numpy.typing as npt

from warehouse.errors import WarehouseError
from warehouse.loader import TableLoader

TARGET = "generated_tokens"
SETTINGS = {
    "objective": "l1",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 40,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
BATCH = 1024

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Result:
    """Mean absolute error in tokens on the held-out requests, of the model and of naive; rows of each split."""

    model: float
    naive: float
    trained: int
    measured: int


def train(release: Path, *, rounds: int, seed: int) -> Result:
    """Train on ``train``, measure on ``validation``."""
    names = features_of(release)
    inputs, targets = columns_of(release, "train", names)
    later, truth = columns_of(release, "validation", names)
    model = lightgbm.train({**SETTINGS, "seed": seed}, lightgbm.Dataset(inputs, targets), rounds)
    predicted = np.asarray(model.predict(later))
    missed = float(np.abs(predicted - truth).mean()), float(np.abs(np.median(targets) - truth).mean())
    return Result(*missed, len(targets), len(truth))


def features_of(release: Path) -> list[str]:
    """The numbers of a row, apart from the target and the key."""
    manifest = TableLoader(release, batch=1).manifest
    numbers = [column.name for column in manifest.columns if np.dtype(column.dtype).kind in "iuf"]
    return [name for name in numbers if name != TARGET and name not in manifest.key]


def columns_of(release: Path, split: str, names: list[str]) -> tuple[Floats, Floats]:
    """Features [rows, names], NaN where there is no value, and the target [rows], batch after batch of the loader."""
    loader = TableLoader(release, split=split, batch=BATCH, drop_last=False)
    parts = [
        (np.column_stack([filled(batch.columns[name], batch.valid.get(name)) for name in names]), batch.columns[TARGET])
        for batch in loader.batches()
    ]
    return np.concatenate([part for part, _ in parts]), np.concatenate([part for _, part in parts]).astype(np.float64)


def filled(values: npt.NDArray[np.generic], valid: npt.NDArray[np.bool_] | None) -> Floats:
    """As float64, NaN for null."""
    found = values.astype(np.float64)
    return found if valid is None else np.where(valid, found, np.nan)


def main() -> int:
    """Train and print; exit status 0, or 1 or 2 with one line on what is wrong."""
    parser = argparse.ArgumentParser(description="Train LightGBM on a release of features.")
    parser.add_argument("release", type=Path)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    try:
        result = train(chosen.release, rounds=chosen.rounds, seed=chosen.seed)
    except WarehouseError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    print(f"trained on {result.trained:,} requests, measured on {result.measured:,} later ones")
    print(f"mean absolute error: {result.model:.1f} tokens, of the median {result.naive:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

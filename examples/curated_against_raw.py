"""Does curation help? The same GPT on as many tokens of two releases, measured on text that neither trained on.

    warehouse export demo_small && warehouse export demo_raw && warehouse export demo_unseen
    cd .warehouse/datasets && python ../../examples/curated_against_raw.py demo_small/1 demo_raw/1 demo_unseen/1

raw holds the same documents without the rules. Unseen is the validation split of a release that takes one document of
each cluster of near duplicates, whatever the rules say of it: clusters are dealt to splits by name, share and seed, so
those of validation are in neither training set, which is checked here by the releases' own document tables. No rule
chose that text, but of the demo's three fifths of the bytes are what the rules drop, two files of numbers above all,
and raw has seen many like them. So the text that the rules keep, the validation split of curated, is measured as well.

Each seed draws weights and order anew, the same weights for both. The interval is Student's, 95 %, of the paired
differences. Exit status 1 where the two cannot be compared. Measured figures: docs/training.md.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import gpt
import pyarrow.parquet as pq
import torch
from train_gpt import train

from warehouse.errors import CheckFailed, WarehouseError
from warehouse.manifest import read_manifest

T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Student's t at 97.5 % by degrees of freedom (NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2)."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Bits per byte of the unseen text by seed, after training on each."""

    curated: tuple[float, ...]
    raw: tuple[float, ...]

    @property
    def gain(self) -> float:
        """Mean of raw - curated: above 0 where curation helps."""
        return fmean(self._gains)

    @property
    def half(self) -> float:
        """Half the width of the interval around it."""
        return T95[len(self.raw) - 1] * stdev(self._gains) / math.sqrt(len(self.raw))

    @property
    def verdict(self) -> str:
        """What may be said."""
        if abs(self.gain) <= self.half:
            return "no difference can be told"
        return "curated wins" if self.gain > 0 else "curated loses"

    @property
    def _gains(self) -> list[float]:
        return [raw - curated for raw, curated in zip(self.raw, self.curated, strict=True)]


def compare(curated: Path, raw: Path, measured: Sequence[gpt.HeldOut], *, steps: int, seeds: int) -> list[Compared]:
    """Both trained with each seed, for each text that is measured."""
    found: list[tuple[list[float], list[float]]] = [([], []) for _ in measured]
    for seed in range(seeds):
        for place, release in enumerate((curated, raw)):
            model = train(release, steps=steps, seed=seed)
            for text, sides in zip(measured, found, strict=True):
                sides[place].append(text.bits_per_byte(model))
            print(f"seed {seed}, {release}: {', '.join(f'{sides[place][-1]:.3f}' for sides in found)}", flush=True)
    return [Compared(tuple(first), tuple(second)) for first, second in found]


def check_comparable(curated: Path, raw: Path, unseen: Path) -> None:
    """Raise CheckFailed for other tokens, or a cluster that one trains on and the other measures."""
    kinds = {(made.tokenizer_sha256, made.sequence_length) for made in map(read_manifest, (curated, raw, unseen))}
    if len(kinds) > 1:
        raise CheckFailed("releases of different tokens", allowed="one tokenizer and sequence_length in all three")
    held = clusters(unseen, "validation") | clusters(curated, "validation")
    for release in (curated, raw):
        if shared := held & clusters(release, "train"):
            raise CheckFailed(
                f"{len(shared)} clusters of the unseen text are in the train split of {release}",
                allowed="none",
                do="give the recipes the same names and shares of splits, and the same seed",
            )


def clusters(release: Path, split: str) -> set[str]:
    """The clusters of near duplicates of a split's documents."""
    table = pq.read_table(release / "documents.parquet", columns=["cluster"], filters=[("split", "=", split)])
    return set(table["cluster"].to_pylist())


def main() -> int:
    """Compare and print; exit status 0, or 1 or 2 with one line on what is wrong."""
    parser = argparse.ArgumentParser(description="Train on two releases and measure on text that neither has.")
    for name in ("curated", "raw", "unseen"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3, choices=range(2, len(T95) + 2))
    parser.add_argument("--samples", type=int, default=32, help="of unseen text")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    try:
        check_comparable(chosen.curated, chosen.raw, chosen.unseen)
        texts = {"unseen text": chosen.unseen, "unseen text that the rules keep": chosen.curated}
        measured = [gpt.HeldOut.of(path, split="validation", samples=chosen.samples) for path in texts.values()]
        found = compare(chosen.curated, chosen.raw, measured, steps=chosen.steps, seeds=chosen.seeds)
    except WarehouseError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    for name, result in zip(texts, found, strict=True):
        print(f"{name}: {fmean(result.curated):.3f} bits per byte curated, {fmean(result.raw):.3f} raw")
        print(f"  raw - curated {result.gain:+.3f} +- {result.half:.3f}, {chosen.seeds} seeds: {result.verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

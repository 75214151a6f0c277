"""Train a small GPT in PyTorch on a release: bits per byte of text that it never saw, before and after.

    python examples/train_gpt.py .warehouse/datasets/demo_small/1

The environment is that of ``make test-frameworks``. Measured figures: docs/training.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import gpt
import torch

from warehouse.errors import WarehouseError
from warehouse.manifest import read_manifest

SAMPLES = 1
"""A step: of 512 tokens, 4 contexts."""


def train(
    release: Path, *, steps: int, seed: int, report: Callable[[int, float], object] = lambda step, loss: None
) -> gpt.Gpt:
    """A model trained on the train split; equal seeds give equal weights on one machine.

    report: called after each step with its number and loss in nats.
    """
    model = gpt.made(read_manifest(release).vocab_size, seed)
    optimiser = gpt.optimiser(model)
    for step, (ids, labels) in enumerate(islice(gpt.endless(release, batch=SAMPLES, seed=seed), steps)):
        loss = gpt.costs(model, ids, labels).sum() / (labels != gpt.IGNORED).sum()
        gpt.learn(model, optimiser, loss, step=step, steps=steps)
        report(step, float(loss.detach()))
    return model


def main() -> int:
    """Train and print; exit status 0, or 1 or 2 with one line on what is wrong."""
    parser = argparse.ArgumentParser(description="Train a small GPT on a release.")
    parser.add_argument("release", type=Path, help="folder of a release")
    parser.add_argument("--unseen", type=Path, help="measure on the validation split of this release instead")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    try:
        held_out = gpt.HeldOut.of(chosen.unseen or chosen.release, split="validation", samples=32)
        before = held_out.bits_per_byte(gpt.made(read_manifest(chosen.release).vocab_size, chosen.seed))
        model = train(chosen.release, steps=chosen.steps, seed=chosen.seed, report=say)
        after = held_out.bits_per_byte(model)
    except WarehouseError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    print(f"{chosen.steps} steps, {time.process_time():.0f} CPU s")
    print(f"bits per byte on unseen text: {before:.3f} before, {after:.3f} after")
    return 0


def say(step: int, loss: float) -> None:
    """The loss of every 50th step."""
    if step % 50 == 0:
        print(f"step {step}: loss {loss:.3f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

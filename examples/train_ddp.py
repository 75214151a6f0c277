"""Train the GPT of ``gpt.py`` in several processes, and go on after any death to the loss curve that would have been.

    torchrun --standalone --nproc-per-node 2 examples/train_ddp.py RELEASE OUT --steps 100

OUT holds ``losses.jsonl``, a line a step, and ``checkpoint.pt``: weights, optimiser and the state of the data, written
beside and moved into place every 10 steps. The same command again goes on from the checkpoint, and steps after it are
made again. On one machine the curve of a run that was killed is equal to the last bit to that of one that was not: the
batches are, and gloo adds two processes' gradients in either order to the same sum. Another number of processes gets
the same global batches; there the sums differ in rounding.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import gpt
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from warehouse.errors import WarehouseError
from warehouse.loader.torch import ReleaseDataset, token_dataset, tracked
from warehouse.manifest import read_manifest

EVERY = 10
BATCH = 4


@dataclass(slots=True)
class Job:
    """What a checkpoint holds, and the step that comes next."""

    model: gpt.Gpt
    optimiser: torch.optim.AdamW
    data: ReleaseDataset
    step: int = 0

    @classmethod
    def begun(cls, release: Path, *, seed: int) -> Job:
        """At step 0."""
        model = gpt.made(read_manifest(release).vocab_size, seed)
        return cls(model, gpt.optimiser(model), token_dataset(release, batch=BATCH, seed=seed, labels=True))

    def save(self, path: Path) -> None:
        """Write a checkpoint in one move."""
        held = {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}
        beside = path.with_suffix(".part")
        torch.save({**held, "data": self.data.state_dict(), "step": self.step}, beside)
        os.replace(beside, path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        held: dict[str, Any] = torch.load(path, weights_only=True)
        self.model.load_state_dict(held["model"])
        self.optimiser.load_state_dict(held["optimiser"])
        self.data.load_state_dict(held["data"])
        self.step = held["step"]


def run(release: Path, out: Path, *, steps: int, seed: int) -> None:
    """Train up to ``steps`` steps, from the checkpoint in ``out`` where there is one."""
    job, checkpoint, first = Job.begun(release, seed=seed), out / "checkpoint.pt", distributed.get_rank() == 0
    if checkpoint.exists():
        job.load(checkpoint)
    trained = DistributedDataParallel(job.model)
    losses = out / "losses.jsonl"
    if first:
        cut(losses, job.step)
    with (losses if first else Path(os.devnull)).open("a") as log:
        while job.step < steps:
            for batch in tracked(job.data):
                loss = step_of(trained, job, batch, steps)
                print(json.dumps({"step": job.step, "loss": loss}), file=log, flush=True)
                job.step += 1
                if first and (job.step % EVERY == 0 or job.step == steps):
                    job.save(checkpoint)
                if job.step == steps:
                    break


def cut(path: Path, steps: int) -> None:
    """Leave the lines of the steps before the checkpoint, in one call of the system: a death leaves all or those."""
    path.touch()
    os.truncate(path, sum(map(len, path.read_bytes().splitlines(keepends=True)[:steps])))


def step_of(trained: DistributedDataParallel, job: Job, batch: dict[str, Any], steps: int) -> float:
    """One step; the loss is the mean over all labels of all processes."""
    labels = batch["labels"]
    count = torch.tensor(float((labels != gpt.IGNORED).sum()))
    distributed.all_reduce(count)
    total = gpt.costs(trained, batch["tokens"], labels).sum()
    gpt.learn(trained, job.optimiser, total * distributed.get_world_size() / count, step=job.step, steps=steps)
    whole = total.detach().clone()
    distributed.all_reduce(whole)
    return float(whole / count)


def main() -> int:
    """Train; exit status 0, or 1 or 2 with one line on what is wrong."""
    parser = argparse.ArgumentParser(description="Train a small GPT in several processes, resumable.")
    parser.add_argument("release", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    distributed.init_process_group("gloo", timeout=timedelta(minutes=5))
    try:
        run(chosen.release, chosen.out, steps=chosen.steps, seed=chosen.seed)
    except WarehouseError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    finally:
        distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())

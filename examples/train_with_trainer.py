"""Hugging Face's Trainer on a release: a small GPT-2, resumed from a checkpoint without a sample lost or repeated.

    python examples/train_with_trainer.py RELEASE OUT --steps 100

Trainer finds its place again by reading what it has trained on before, counted in batches: right as long as neither
batch nor world changes. Here the data set's own state lies in the checkpoint, so a resume reads nothing twice and may
have another world. Three things do it: ``ReleaseTrainer`` takes the loader's batches as they are, ``KeepPlace`` writes
the state beside the weights, and ``ignore_data_skip`` keeps Trainer from skipping as well.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_utils import get_last_checkpoint

from warehouse.errors import WarehouseError
from warehouse.loader.torch import ReleaseDataset, token_dataset
from warehouse.manifest import Manifest, read_manifest

PLACE = "data.json"
BATCH = 4


class ReleaseTrainer(Trainer):
    """Trainer over a ReleaseDataset with labels, whose batches are global ones and whose rows are this rank's."""

    def get_train_dataloader(self) -> DataLoader:
        """The data set's batches in this process, as it moves on; not cut into ranks a second time.

        A generator of its own leaves torch's to dropout, which a checkpoint restores.
        """
        return DataLoader(self.train_dataset, batch_size=None, collate_fn=inputs, generator=torch.Generator())


def inputs(batch: dict[str, Any]) -> dict[str, Any]:
    """What a causal model of transformers takes; shift_labels: labels already stand where they are predicted."""
    return {"input_ids": batch["tokens"], "labels": batch["labels"], "shift_labels": batch["labels"]}


class KeepPlace(TrainerCallback):
    """Writes where the data stands into each checkpoint."""

    def __init__(self, data: ReleaseDataset) -> None:
        self.data = data

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kept: Any) -> None:
        """After a checkpoint was written, with a state that is equal on every rank."""
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            (folder / PLACE).write_text(json.dumps(self.data.state_dict()))


def train(model: PreTrainedModel, data: ReleaseDataset, arguments: TrainingArguments) -> Trainer:
    """Train up to max_steps, from the last checkpoint in output_dir that has its place."""
    last = get_last_checkpoint(arguments.output_dir) if Path(arguments.output_dir).exists() else None
    if last:
        data.load_state_dict(json.loads((Path(last) / PLACE).read_text()))
    trainer = ReleaseTrainer(model, arguments, train_dataset=data, callbacks=[KeepPlace(data)])
    trainer.train(resume_from_checkpoint=last)
    return trainer


def small(manifest: Manifest) -> GPT2LMHeadModel:
    """A GPT-2 of 2 layers for the samples of a release."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=manifest.vocab_size,
            n_positions=manifest.sequence_length,
            n_embd=64,
            n_layer=2,
            n_head=2,
            bos_token_id=manifest.eos_id,
            eos_token_id=manifest.eos_id,
        )
    )


def main() -> int:
    """Train; exit status 0, or 1 or 2 with one line on what is wrong."""
    parser = argparse.ArgumentParser(description="Train a small GPT-2 on a release by Hugging Face's Trainer.")
    parser.add_argument("release", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    chosen = parser.parse_args()
    arguments = TrainingArguments(
        str(chosen.out),
        max_steps=chosen.steps,
        save_steps=20,
        logging_steps=10,
        ignore_data_skip=True,
        report_to="none",
    )
    try:
        data = token_dataset(chosen.release, batch=BATCH, labels=True)  # after the arguments, which start the ranks
        train(small(read_manifest(chosen.release)), data, arguments)
    except WarehouseError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())

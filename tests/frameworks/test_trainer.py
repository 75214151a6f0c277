"""Hugging Face's Trainer gets the loader's batches, and a resume from its checkpoint goes on with the next sample."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from written_release import write_release

torch = pytest.importorskip("torch", reason="needs torch: make test-frameworks")
transformers = pytest.importorskip("transformers", reason="needs transformers: make test-frameworks")

sys.path.append(str(Path(__file__).parents[2] / "examples"))

import train_with_trainer

from warehouse.loader import Loader
from warehouse.loader.torch import token_dataset
from warehouse.manifest import read_manifest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
STEPS, STOP = 19, 8


class Record(transformers.TrainerCallback):
    """Losses by step; the process is interrupted after step ``stop``."""

    def __init__(self, stop: int) -> None:
        self.stop, self.losses = stop, {}

    def on_log(self, args, state, control, logs, **kept) -> None:
        if "loss" in logs:
            self.losses[state.global_step] = logs["loss"]

    def on_step_end(self, args, state, control, **kept) -> None:
        if state.global_step == self.stop:
            raise KeyboardInterrupt


def trained(release: Path, out: Path, monkeypatch, *, stop: int = 0) -> tuple[list[list[int]], dict[int, float]]:
    """Sample numbers of each step, which are the second tokens of the rows, and losses."""
    seen, record = [], Record(stop)
    step_of = train_with_trainer.ReleaseTrainer.training_step

    def training_step(self, model, inputs, *rest):
        if record not in self.callback_handler.callbacks:
            self.add_callback(record)
        seen.append(inputs["input_ids"][:, 1].tolist())
        return step_of(self, model, inputs, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(train_with_trainer.ReleaseTrainer, "training_step", training_step)
        transformers.set_seed(3)
        arguments = transformers.TrainingArguments(
            str(out), max_steps=STEPS, save_steps=5, logging_steps=1, ignore_data_skip=True, report_to="none",
            use_cpu=True, disable_tqdm=True, learning_rate=1e-2,
        )  # fmt: skip
        data = token_dataset(release, batch=8, labels=True)
        try:
            train_with_trainer.train(train_with_trainer.small(read_manifest(release)), data, arguments)
        except KeyboardInterrupt:
            assert stop
    return seen, record.losses


def test_a_resume_from_a_checkpoint_trains_on_the_samples_and_to_the_losses_of_no_interruption(tmp_path, monkeypatch):
    release = write_release(tmp_path / "release", (40, 0, 33, 30), pad=5)
    loader = Loader(release, batch=8)
    expected = [batch.samples.tolist() for _ in range(2) for batch in loader.batches()][:STEPS]
    whole, losses = trained(release, tmp_path / "whole", monkeypatch)
    assert whole == expected
    assert losses[STEPS] < losses[1]
    first, _ = trained(release, tmp_path / "cut", monkeypatch, stop=STOP)
    rest, again = trained(release, tmp_path / "cut", monkeypatch)
    assert first == expected[:STOP]
    assert rest == expected[5:]  # the last checkpoint
    assert again == {step: loss for step, loss in losses.items() if step > 5}

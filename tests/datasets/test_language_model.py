"""The example trains on a release: it learns, it repeats itself, and its bits per byte count every byte once."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from warehouse.datasets import Release
from warehouse.errors import NotFound


@pytest.fixture(scope="module")
def model(checkout: Path) -> ModuleType:
    path = checkout / "examples" / "train_language_model.py"
    spec = importlib.util.spec_from_file_location("train_language_model", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_training_lowers_bits_per_byte_and_repeats_exactly(
    model: ModuleType, made: tuple[Any, Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "HELD_OUT", 1000)
    monkeypatch.setattr(model, "POSITIONS", 256)
    first, second = (model.train(made[1].path, steps=30, seed=1) for _ in range(2))
    assert first.after < 0.85 * first.before and first.tokens == 30 * 256
    assert (first.before, first.after) == (second.before, second.after)
    assert model.train(made[1].path, steps=1, seed=2).after != first.after


def test_a_model_that_knows_nothing_costs_log2_of_the_choices_a_token_over_all_text_bytes(
    model: ModuleType, made: tuple[Any, Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "HELD_OUT", 1 << 40)
    manifest = made[1].manifest
    split = manifest.splits["validation"]
    nothing = {name: np.zeros_like(value) for name, value in model.initial(manifest.vocab_size, 0).items()}
    measured = list(model.held_out_tokens(made[1].path, "validation"))
    assert sum(targets.size for _, targets in measured) == split.tokens
    bytes_of = model.byte_lengths(made[1].path, manifest, "validation")
    classes = -(-manifest.vocab_size // model.CLASS)
    sizes = [min(model.CLASS, manifest.vocab_size - first) for first in range(0, manifest.vocab_size, model.CLASS)]
    costs = [math.log2(classes * sizes[token // model.CLASS]) for _, targets in measured for token in targets]
    assert classes > 1 and len(costs) == split.tokens
    expected = sum(costs) / split.text_bytes
    assert model.bits_per_byte(nothing, measured, bytes_of) == pytest.approx(expected)


def test_the_gradients_are_those_of_the_loss(model: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against central differences of the loss in double precision."""
    monkeypatch.setattr(model, "WIDTH", 3)
    monkeypatch.setattr(model, "HIDDEN", 5)
    monkeypatch.setattr(model, "CLASS", 4)
    chance = np.random.default_rng(0)
    weights = {name: value.astype(np.float64) for name, value in model.initial(11, 0).items()}
    contexts, targets = chance.integers(0, 11, (20, model.CONTEXT)), chance.integers(0, 11, 20)

    def loss() -> float:
        return float(model.bits_per_byte(weights, [(contexts, targets)], np.ones(11)) * math.log(2))

    slopes = model.gradients(weights, contexts, targets)
    for name, value in weights.items():
        for place in chance.integers(0, value.size, 6):
            kept, sides = value.flat[place], []
            for step in (1e-5, -1e-5):
                value.flat[place] = kept + step
                sides.append(loss())
            value.flat[place] = kept
            assert (sides[0] - sides[1]) / 2e-5 == pytest.approx(slopes[name].flat[place], abs=1e-6)


def test_a_context_never_reaches_beyond_its_piece(model: ModuleType, made: tuple[Any, Release]) -> None:
    release = made[1]
    batch = next(model.Loader(release.path, batch=4).batches(boundaries=True))
    contexts, targets = model.examples(batch, release.manifest)
    at = 0
    for tokens, bounds in zip(batch.tokens, batch.boundaries, strict=True):
        for begin, end in pairwise(bounds):
            for place in range(begin, end):
                if tokens[place] != release.manifest.pad_id:
                    before = tokens[max(begin, place - model.CONTEXT) : place][::-1].tolist()
                    filler = [release.manifest.eos_id] * (model.CONTEXT - len(before))
                    assert contexts[at].tolist() == before + filler and targets[at] == tokens[place]
                    at += 1
    assert at == targets.size


def test_the_script_prints_its_figures_or_one_clear_line(checkout: Path, made: tuple[Any, Release]) -> None:
    call = [sys.executable, str(checkout / "examples" / "train_language_model.py")]
    done = subprocess.run([*call, str(made[1].path), "--steps", "2"], capture_output=True, text=True, check=True)
    assert "bits per byte on held-out text:" in done.stdout
    wrong = subprocess.run([*call, str(checkout)], capture_output=True, text=True, check=False)
    assert (
        wrong.returncode == NotFound.exit_status
        and wrong.stderr.startswith("no manifest.json in")
        and wrong.stderr.count("\n") == 1
    )

"""A small language model in plain numpy on a release: bits per byte of held-out text, before and after.

    OPENBLAS_NUM_THREADS=1 python examples/train_language_model.py .warehouse/datasets/demo_corpus/1

250 steps of 1,024 tokens take 22 CPU s with one BLAS thread (two threads spin while they wait: twice the CPU time) and
bring 3.85 bits per byte down to 2.32 on the text of Python packages, with a vocabulary of 32,768.

The model of Bengio et al. 2003 ("A Neural Probabilistic Language Model", section 2): embeddings of the last 8 tokens,
one hidden layer, and an output whose matrix is the embedding again (Press and Wolf 2017), as a softmax over classes of
256 ids, then one over the ids of the class (Goodman 2001, "Classes for Fast Maximum Entropy Training", section 2): a
prediction from 32,768 ids takes 128 + 256 products. Ids of a byte-level BPE stand in the order of their merges, so a
class holds tokens about as frequent. Adam, float32, minibatches from the Loader alone. A context never reaches beyond
the beginning of its piece of a document.

Bits per byte = negative log-likelihood in bits of the held-out tokens / text bytes those tokens stand for. End-of-text
tokens cost bits and stand for no byte; padding counts for neither; the first token of a piece is predicted from an
empty context. Where the split is larger than HELD_OUT tokens, its first samples in the loader's order are taken, and
only their own bytes are divided by: equal samples before and after, so the two figures compare.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.errors import UsageError, WarehouseError
from warehouse.loader import Batch, Loader
from warehouse.manifest import Manifest

CONTEXT, WIDTH, HIDDEN = 8, 64, 256
CLASS = 256
SAMPLES, POSITIONS = 16, 1024
HELD_OUT = 10_000
RATE = 4e-3

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Weights = dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Result:
    """before, after: bits per byte of the held-out text; tokens: predicted in training; seconds: of CPU, in all."""

    before: float
    after: float
    steps: int
    tokens: int
    seconds: float


def train(
    path: Path | str,
    *,
    steps: int = 250,
    seed: int = 0,
    held_out: str = "validation",
    report: Callable[[int], object] = lambda step: None,
) -> Result:
    """Train ``steps`` minibatches on the train split; equal seeds give equal figures on one machine.

    report: called after each step with its number.
    """
    if steps < 1:
        raise UsageError(f"{steps} steps", allowed="at least 1")
    begin, loader = time.process_time(), Loader(path, batch=SAMPLES, seed=seed, drop_last=False)
    weights, chance = initial(loader.manifest.vocab_size, seed), np.random.default_rng(seed)
    measured = list(held_out_tokens(path, held_out))
    bytes_of = byte_lengths(Path(path), loader.manifest, held_out)
    before = bits_per_byte(weights, measured, bytes_of)
    moments = {name: (np.zeros_like(value), np.zeros_like(value)) for name, value in weights.items()}
    tokens = 0
    for step, batch in zip(range(1, steps + 1), endless(loader), strict=False):
        contexts, targets = drawn(batch, loader.manifest, chance)
        rate = RATE * min(1, 2 * (1 - step / (steps + 1)))
        update(weights, gradients(weights, contexts, targets), moments, step, rate)
        tokens += targets.size
        report(step)
    after = bits_per_byte(weights, measured, bytes_of)
    return Result(before, after, steps, tokens, time.process_time() - begin)


def endless(loader: Loader) -> Iterator[Batch]:
    """Epoch after epoch, each in an order of its own."""
    while True:
        yield from loader.batches(boundaries=True)


def held_out_tokens(path: Path | str, split: str) -> Iterator[tuple[Ints, Ints]]:
    """Contexts and targets of the split's first samples in the loader's order, about HELD_OUT tokens in all."""
    loader, seen = Loader(path, split=split, batch=1, drop_last=False), 0
    for batch in loader.batches(boundaries=True):
        if seen >= HELD_OUT:
            return
        contexts, targets = examples(batch, loader.manifest)
        seen += targets.size
        yield contexts, targets


def examples(batch: Batch, manifest: Manifest) -> tuple[Ints, Ints]:
    """Every prediction in a batch: int64 contexts [n, CONTEXT], nearest token first, and targets [n]; no padding.

    Tokens before the beginning of a piece read as the end-of-text token.
    """
    rows, length = batch.tokens.shape
    spans = [np.diff(bounds) for bounds in batch.boundaries]
    begins = np.stack([np.repeat(b[:-1], span) for b, span in zip(batch.boundaries, spans, strict=True)])
    contexts = np.full((rows, length, CONTEXT), manifest.eos_id, dtype=np.int64)
    for back in range(1, min(CONTEXT, length - 1) + 1):
        reaches = np.arange(length)[back:] - begins[:, back:] >= back
        contexts[:, back:, back - 1] = np.where(reaches, batch.tokens[:, :-back], manifest.eos_id)
    real = batch.tokens != manifest.pad_id
    return contexts[real], batch.tokens[real].astype(np.int64)


def drawn(batch: Batch, manifest: Manifest, chance: np.random.Generator) -> tuple[Ints, Ints]:
    """POSITIONS predictions of a batch, drawn without replacement."""
    contexts, targets = examples(batch, manifest)
    chosen = chance.permutation(targets.size)[:POSITIONS]
    return contexts[chosen], targets[chosen]


def initial(vocab: int, seed: int) -> Weights:
    """Small random weights."""
    chance = np.random.default_rng([seed, 1])
    classes = -(-vocab // CLASS)
    sizes = {"embedding": (vocab, WIDTH), "hidden": (CONTEXT * WIDTH, HIDDEN), "out": (HIDDEN, WIDTH)}
    sizes["class"] = (WIDTH, classes)
    weights = {name: chance.normal(0, size[0] ** -0.5, size).astype(np.float32) for name, size in sizes.items()}
    weights["embedding"] = chance.normal(0, 0.1, sizes["embedding"]).astype(np.float32)
    biases = {"hidden_bias": HIDDEN, "class_bias": classes, "bias": vocab}
    return weights | {name: np.zeros(size, np.float32) for name, size in biases.items()}


def forward(weights: Weights, contexts: Ints) -> tuple[Floats, Floats, Floats]:
    """Inputs [n, CONTEXT * WIDTH], hidden [n, HIDDEN] and features [n, WIDTH]."""
    inputs = weights["embedding"][contexts].reshape(len(contexts), -1)
    hidden = np.maximum(inputs @ weights["hidden"] + weights["hidden_bias"], 0)
    return inputs, hidden, hidden @ weights["out"]


def softmax(logits: Floats) -> Floats:
    """Probabilities of each row, in place."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits


def of_classes(weights: Weights, features: Floats) -> Floats:
    """The probability of each class, [n, classes]."""
    return softmax(features @ weights["class"] + weights["class_bias"])


def within_classes(weights: Weights, features: Floats, targets: Ints) -> Iterator[tuple[Ints, slice, Floats]]:
    """By class of the targets: rows of the batch, ids of the class, the probability of each id in it [rows, ids]."""
    classes = targets // CLASS
    for number in np.unique(classes):
        rows, own = np.flatnonzero(classes == number), slice(number * CLASS, (number + 1) * CLASS)
        yield rows, own, softmax(features[rows] @ weights["embedding"][own].T + weights["bias"][own])


def gradients(weights: Weights, contexts: Ints, targets: Ints) -> Weights:
    """Of the mean negative log-likelihood, by hand."""
    inputs, hidden, features = forward(weights, contexts)
    embedding, bias = np.zeros_like(weights["embedding"]), np.zeros_like(weights["bias"])
    classes = of_classes(weights, features)
    classes[np.arange(targets.size), targets // CLASS] -= 1
    to_features = classes @ weights["class"].T
    for rows, own, scores in within_classes(weights, features, targets):
        scores[np.arange(rows.size), targets[rows] - own.start] -= 1
        to_features[rows] += scores @ weights["embedding"][own]
        embedding[own] = scores.T @ features[rows]
        bias[own] = scores.sum(axis=0)
    to_hidden = (to_features @ weights["out"].T) * (hidden > 0)
    np.add.at(embedding, contexts.reshape(-1), (to_hidden @ weights["hidden"].T).reshape(-1, WIDTH))
    slopes = {
        "embedding": embedding,
        "hidden": inputs.T @ to_hidden,
        "out": hidden.T @ to_features,
        "class": features.T @ classes,
        "hidden_bias": to_hidden.sum(axis=0),
        "class_bias": classes.sum(axis=0),
        "bias": bias,
    }
    return {name: slope / targets.size for name, slope in slopes.items()}


def update(
    weights: Weights, slopes: Weights, moments: dict[str, tuple[Floats, Floats]], step: int, rate: float
) -> None:
    """One step of Adam (Kingma and Ba 2015, algorithm 1), in place."""
    for name, slope in slopes.items():
        mean, square = moments[name]
        mean += 0.1 * (slope - mean)
        square += 0.01 * (slope * slope - square)
        weights[name] -= (rate / (1 - 0.9**step)) * mean / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)


def bits_per_byte(weights: Weights, measured: list[tuple[Ints, Ints]], bytes_of: npt.NDArray[np.float64]) -> float:
    """Bits that the targets cost / text bytes they stand for."""
    bits = size = 0.0
    for contexts, targets in measured:
        features = forward(weights, contexts)[-1]
        bits -= _bits(of_classes(weights, features)[np.arange(targets.size), targets // CLASS])
        for rows, own, chances in within_classes(weights, features, targets):
            bits -= _bits(chances[np.arange(rows.size), targets[rows] - own.start])
        size += float(bytes_of[targets].sum())
    return bits / size


def _bits(chances: Floats) -> float:
    """Their logarithms to base 2, summed; of a chance that float32 has no number for that of its least."""
    return float(np.log2(np.maximum(chances, np.finfo(np.float32).tiny)).sum(dtype=np.float64))


def byte_lengths(path: Path, manifest: Manifest, split: str) -> npt.NDArray[np.float64]:
    """Text bytes of each id: exact for a byte-level tokenizer, where a token's letter is a byte; else the mean."""
    said: dict[str, Any] = json.loads((path / "recipe" / "tokenizer.json").read_text("utf-8"))
    mean = manifest.splits[split].text_bytes / max(manifest.splits[split].tokens, 1)
    sizes = np.full(manifest.vocab_size, mean)
    if (said.get("decoder") or {}).get("type") == "ByteLevel":
        for token, number in said["model"]["vocab"].items():
            sizes[number] = len(token)
        for token in said["added_tokens"]:
            sizes[token["id"]] = 0 if token["special"] else len(token["content"].encode())
    return sizes


def main() -> int:
    """Train and print; exit status 0, or 1 or 2 with one line on what is wrong."""
    parser = argparse.ArgumentParser(description="Train a small language model on a release.")
    parser.add_argument("release", type=Path, help="folder of a release")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    try:
        result = train(chosen.release, steps=chosen.steps, seed=chosen.seed)
    except WarehouseError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    print(f"{result.steps} steps, {result.tokens:,} tokens, {result.seconds:.1f} CPU s")
    print(f"bits per byte on held-out text: {result.before:.3f} before, {result.after:.3f} after")
    return 0


if __name__ == "__main__":
    sys.exit(main())

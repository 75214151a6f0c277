"""Models that give a text a number: a linear classifier on word 1- and 2-grams, and a unigram perplexity.

Words are those of ``warehouse.kernels.folded``: runs of letters, numbers, marks and underscores, A-Z as a-z. A word's
hash, or that of two words in a row, is cut to ``bits`` bits: its bucket. A model has a weight for each bucket, a whole
number of 1/65536, so a text's sum is exact however texts are batched.

- classifier: the probability of "positive", sigmoid(bias + mean of the weights of all 1- and 2-grams), as fastText with
  one dimension (Joulin et al. 2016). Logistic regression by AdaGrad (Duchi et al. 2011) over batches of a seeded order;
  both labels weigh the same.
- perplexity: 2 ** (mean of -log2 p over the words), p(bucket) = (count + 1/2) / (words + 2 ** bits / 2), which is
  additive smoothing as of Krichevsky and Trofimov 1981.

Won: no kernel but the hash of words: 103 MB of text a CPU second by a classifier, 190 by a perplexity, 85 by both
(benchmarks/scores.py). Lost: words that share a bucket share a weight; a perplexity of single words sees no order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from warehouse.curation.score_recipe import Kind
from warehouse.kernels.folded import hashes
from warehouse.kernels.texts import Counts, texts

UNIT = 1 << 16
EPOCHS, BATCHES, LEAST_BATCH = 10, 100, 32
"""Passes over the texts; steps of one, unless that makes batches of fewer texts than LEAST_BATCH."""
RATE, EPSILON = 0.3, 1e-30
DECIMALS = 6
"""Of a score, and of an error in training: the last bits of a sigmoid differ between processors."""

Floats = npt.NDArray[np.float64]
Buckets = npt.NDArray[np.int32]
_FIRST, _BOTH = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)


@dataclass(frozen=True, slots=True)
class Model:
    """weights: int32[2 ** bits], and bias, of a classifier, in units of 1/65536."""

    kind: Kind
    bits: int
    bias: int
    weights: Buckets

    def to_bytes(self) -> bytes:
        """One line of JSON (kind, bits, bias), then the weights, 4 bytes each, little-endian."""
        head = json.dumps({"kind": self.kind, "bits": self.bits, "bias": self.bias})
        return head.encode() + b"\n" + self.weights.astype("<i4").tobytes()

    @classmethod
    def of_bytes(cls, raw: bytes) -> Model:
        """What ``to_bytes`` gave."""
        head, _, weights = raw.partition(b"\n")
        return cls(**json.loads(head), weights=np.frombuffer(weights, "<i4"))


def scores(column: pa.Array, models: Sequence[Model]) -> list[Floats]:
    """Of each model float64[n], a score of each text of a column of strings: NaN where a text has no word."""
    words, counts = hashes(texts(column))
    return [_scores(words, counts, model) for model in models]


def _scores(words: Counts, counts: Counts, model: Model) -> Floats:
    sums = np.zeros(words.size + 1, np.int64)
    ends = np.cumsum(counts)
    weights = model.weights[_singles(words, model.bits)].astype(np.int64)
    if model.kind == "classifier":
        weights += _paired(model.weights[_pairs(words, model.bits)], ends)
        counts = 2 * counts - 1
    np.cumsum(weights, out=sums[1:])
    sums = np.diff(sums[np.concatenate([[0], ends])])
    mean = np.divide(sums, counts, out=np.full(counts.size, np.nan), where=counts > 0) / UNIT
    found: Floats = 1 / (1 + np.exp(-mean - model.bias / UNIT)) if model.kind == "classifier" else np.exp2(mean)
    return found.round(DECIMALS)


def _paired(weights: Buckets, ends: Counts) -> Buckets:
    """The weights of pairs at their first words, 0 at the last word of each text."""
    whole = np.append(weights, np.int32(0))[: ends[-1] if ends.size else 0]
    whole[ends[ends > 0] - 1] = 0
    return whole


def _singles(words: Counts, bits: int) -> Buckets:
    return (words.view(np.uint64) >> np.uint64(64 - bits)).astype(np.int32)


def _pairs(words: Counts, bits: int) -> Buckets:
    """The bucket of each word with the one after it, one fewer than words."""
    plain = words.view(np.uint64)
    return ((plain[:-1] * _FIRST + plain[1:]) * _BOTH >> np.uint64(64 - bits)).astype(np.int32)


def features(column: pa.Array, kind: Kind, *, bits: int) -> list[Buckets]:
    """The buckets of each text of a column: of its words, and of its pairs where the kind has them."""
    words, counts = hashes(texts(column))
    parts = np.split(words, np.cumsum(counts)[:-1])[: counts.size]
    if kind == "perplexity":
        return [_singles(part, bits) for part in parts]
    return [np.concatenate([_singles(part, bits), _pairs(part, bits)]) for part in parts]


def fit_classifier(given: Sequence[Buckets], labels: Sequence[int], *, bits: int, seed: int) -> Model:
    """The classifier of texts, each as its ``features``, labelled 1 (positive) or 0; of both there is one at least."""
    label = np.array(labels, np.float64)
    share = np.where(label == 1, 1 / label.sum(), 1 / (label.size - label.sum())) / 2
    weights, squares = np.zeros((2, (1 << bits) + 1))
    size = max(LEAST_BATCH, -(-label.size // BATCHES))
    for epoch in range(EPOCHS):
        order = np.random.Generator(np.random.PCG64([seed, epoch])).permutation(label.size)
        for start in range(0, label.size, size):
            chosen = order[start : start + size]
            gradient = _gradient([given[each] for each in chosen], label[chosen], share[chosen], weights)
            squares += gradient * gradient
            weights -= RATE * gradient / np.sqrt(squares + EPSILON)
    whole = np.round(weights * UNIT).astype(np.int32)
    return Model("classifier", bits, int(whole[-1]), whole[:-1])


def _gradient(batch: Sequence[Buckets], label: Floats, share: Floats, weights: Floats) -> Floats:
    """Of the loss of a batch by every weight; the last is that of the bias."""
    counts = np.array([part.size for part in batch])
    text, bucket = np.repeat(np.arange(counts.size), counts), np.concatenate(batch)
    mean = np.bincount(text, weights[bucket], counts.size) / np.maximum(counts, 1)
    error = np.round(1 / (1 + np.exp(-mean - weights[-1])) - label, DECIMALS) * share
    gradient = np.bincount(bucket, (error / np.maximum(counts, 1))[text], weights.size).astype(np.float64, copy=False)
    gradient[-1] = error.sum()
    return gradient


def fit_perplexity(given: Sequence[Buckets], *, bits: int) -> Model:
    """The perplexity of texts, each as its ``features``."""
    counts = np.zeros(1 << bits, np.int64)
    for part in given:
        counts += np.bincount(part, minlength=counts.size)
    chance = (counts + 0.5) / (counts.sum() + counts.size / 2)
    return Model("perplexity", bits, 0, np.round(-np.log2(chance) * UNIT).astype(np.int32))


def auc(found: Floats, labels: Sequence[int]) -> float:
    """The chance that a text labelled 1 has the higher score of two, equals by half (Mann and Whitney 1947)."""
    label = np.array(labels)
    _, at, counts = np.unique(found, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[at]
    ones = int(label.sum())
    return float((rank[label == 1].sum() - ones * (ones + 1) / 2) / (ones * (label.size - ones)))

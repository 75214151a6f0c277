"""A GPT of the size that nanoGPT trains on a laptop, in PyTorch, and what its jobs share. No job of its own.

4 blocks, 4 heads, width 128, context 128, learned positions, the output matrix tied to the embedding: 1.9 million
parameters at a vocabulary of 8,192. Architecture: Radford et al. 2019 ("Language Models are Unsupervised Multitask
Learners", section 2.3), without biases; weights drawn as there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from train_language_model import byte_lengths

from warehouse.loader.torch import IGNORED, token_dataset
from warehouse.manifest import read_manifest

CONTEXT = 128
RATE, WARMUP, DECAY = 2e-3, 20, 0.1


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a model."""

    vocab: int
    layers: int = 4
    heads: int = 4
    width: int = 128
    context: int = CONTEXT


class Block(nn.Module):
    """Attention to what came before, then a layer of 4 * width; both add to what comes in."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.before, self.between = nn.LayerNorm(shape.width, bias=False), nn.LayerNorm(shape.width, bias=False)
        self.ask = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.answer = nn.Linear(shape.width, shape.width, bias=False)
        self.wide = nn.Linear(shape.width, 4 * shape.width, bias=False)
        self.narrow = nn.Linear(4 * shape.width, shape.width, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """[rows, length, width], the same shape."""
        values = values + self.answer(self.attended(self.before(values)))
        return values + self.narrow(functional.gelu(self.wide(self.between(values))))

    def attended(self, values: Tensor) -> Tensor:
        """Causal attention of all heads."""
        rows, length, width = values.shape
        parts = self.ask(values).view(rows, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(*parts, is_causal=True)
        return found.transpose(1, 2).reshape(rows, length, width)


class Gpt(nn.Module):
    """Ids [rows, length] to logits [rows, length, vocab]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.tokens, self.places = nn.Embedding(shape.vocab, shape.width), nn.Embedding(shape.context, shape.width)
        self.blocks = nn.Sequential(*(Block(shape) for _ in range(shape.layers)))
        self.last = nn.LayerNorm(shape.width, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                deep = name.endswith(("answer.weight", "narrow.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * shape.layers) if deep else 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        values = self.tokens(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        return functional.linear(self.last(self.blocks(values)), self.tokens.weight)


def made(vocab: int, seed: int) -> Gpt:
    """A new model; equal seeds give equal weights."""
    torch.manual_seed(seed)
    return Gpt(Shape(vocab))


def cut(rows: Tensor) -> Tensor:
    """Samples [n, L] in pieces of CONTEXT: [n * L / CONTEXT, CONTEXT]; shorter samples stay as they are."""
    return rows.reshape(-1, min(CONTEXT, rows.shape[1]))


def costs(model: nn.Module, tokens: Tensor, labels: Tensor) -> Tensor:
    """Negative log-likelihood in nats of each label, flat; 0 where there is none."""
    logits = model(cut(tokens))
    return functional.cross_entropy(logits.flatten(0, 1), cut(labels).flatten(), ignore_index=IGNORED, reduction="none")


def optimiser(model: nn.Module) -> torch.optim.AdamW:
    """AdamW that decays matrices only."""
    matrices = [weight for weight in model.parameters() if weight.dim() == 2]
    others = [weight for weight in model.parameters() if weight.dim() != 2]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.95))


def learn(model: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, *, step: int, steps: int) -> None:
    """One step, of ``steps``: warm-up, then down to a tenth along a line."""
    rate = RATE * min((step + 1) / WARMUP, 1 - 0.9 * step / steps)
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Text to measure on: batches of tokens and labels, and the text bytes of each id."""

    batches: tuple[tuple[Tensor, Tensor], ...]
    bytes_of: Tensor

    @classmethod
    def of(cls, release: Path, *, split: str, samples: int) -> HeldOut:
        """The first ``samples`` of a split in the loader's order."""
        found = token_dataset(release, split=split, batch=4, drop_last=False, labels=True, world=1, rank=0)
        batches = tuple((batch["tokens"], batch["labels"]) for batch in islice(found, -(-samples // 4)))
        sizes = byte_lengths(release, read_manifest(release), split)
        return cls(batches, torch.from_numpy(sizes))

    def bits_per_byte(self, model: nn.Module) -> float:
        """Bits that the labels cost / the text bytes that they stand for: those after the first of each piece."""
        bits = size = 0.0
        with torch.no_grad():
            for tokens, labels in self.batches:
                bits += float(costs(model, tokens, labels).sum(dtype=torch.float64)) / math.log(2)
                size += float(self.bytes_of[labels[labels != IGNORED]].sum())
        return bits / size


def endless(release: Path, *, batch: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Tokens and labels of the train split, epoch after epoch."""
    data = token_dataset(release, batch=batch, seed=seed, labels=True)
    while True:
        for step in data:
            yield step["tokens"], step["labels"]

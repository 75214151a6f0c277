"""What goes out: recipes/datasets/<name>.yaml as a value, refused with its file and line.

A recipe decides every byte of a release together with the repository's versions; ``resolved`` writes it back with all
defaults stated, and the copy inside a release is a recipe again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from warehouse.contracts import PII_KINDS
from warehouse.datasets.credits import NONE, Credits, credits_of
from warehouse.recipes import (
    Check,
    Keys,
    Stated,
    choice,
    choices,
    description,
    mapping,
    refuse_unknown,
    share,
    shares,
    string,
    whole,
)

Packing = Literal["best_fit", "concatenate"]
Contamination = Literal["drop", "cut"]
Lines = Literal["c4", "c4_open"]

TARGETS = ("mds", "litdata", "webdataset", "parquet", "jsonl")
"""Formats that a release of tokens is written in beside its shards."""

END_OF_TEXT = "<|endoftext|>"
PAD = "<|pad|>"


@dataclass(frozen=True, slots=True)
class Train:
    """Train a byte-level BPE of ``vocab_size`` entries on at most about ``max_bytes`` of the train split's text."""

    vocab_size: int = 8192
    max_bytes: int = 8_000_000


@dataclass(frozen=True, slots=True)
class Given:
    """Take the tokenizer.json ``file``; ``eos`` and ``pad`` name the tokens that end a document and fill a sample."""

    file: Path
    eos: str = END_OF_TEXT
    pad: str = PAD


@dataclass(frozen=True, slots=True)
class DatasetRecipe:
    """A data set: what is selected, how it is split, tokenised, packed and sharded.

    select: one SELECT over the published snapshot, giving doc_id and if wanted cluster and language.
    splits: name -> share of the clusters; cluster: SQL over the columns of documents (default: the text with case and
    white space folded), used where the selection gives no cluster. mask: kinds of personal data (PII_KINDS) whose spans
    go out as their masks. contamination: drop documents that hold a 13-gram of a benchmark, or cut those spans out;
    None leaves it to the select. lines: only those that c4, or c4 without the
    rule of terminal marks, keeps; None: all. targets: formats of other projects to write too, of TARGETS. credits: what
    its cards say of who made it.
    at: place of the select, for messages.
    """

    name: str
    select: str
    description: str = ""
    rule_set: str | None = None
    splits: tuple[tuple[str, float], ...] = (("train", 1.0),)
    cluster: str | None = None
    tokenizer: Train | Given = Train()
    sequence_length: int = 1024
    packing: Packing = "best_fit"
    shards: int = 1
    seed: int = 0
    max_synthetic_share: float = 0.30
    mask: tuple[str, ...] = ()
    contamination: Contamination | None = None
    lines: Lines | None = None
    targets: tuple[str, ...] = ()
    credits: Credits = NONE
    at: str = field(default="recipe", compare=False)


def load_recipe(path: Path) -> DatasetRecipe:
    """The recipe in ``path``. Raises RecipeError, ``file:line: ...``, for anything that is not as it should be."""
    source = Stated.read(path, allowed=", ".join(KEYS))
    refuse_unknown(source, (), KEYS)
    values: dict[str, Any] = {key: check(source, (key,)) for key, check in KEYS.items() if key in source.values}
    values.pop("kind", None)
    values |= {"mask": values.pop("pii")} if "pii" in values else {}
    values.setdefault("name", name(source, None))
    if "select" not in values:
        source.refuse((), "no select", "select: one SELECT that gives doc_id", "add one")
    return DatasetRecipe(**values, at=source.place(("select",)))


def resolved(recipe: DatasetRecipe) -> str:
    """The recipe as YAML with every default stated; a given tokenizer is named as its copy, tokenizer.json."""
    tokenizer = recipe.tokenizer
    values = {
        "name": recipe.name,
        "description": recipe.description,
        "select": recipe.select,
        "rule_set": recipe.rule_set,
        "splits": dict(recipe.splits),
        "cluster": recipe.cluster,
        "tokenizer": {"train": {"vocab_size": tokenizer.vocab_size, "max_bytes": tokenizer.max_bytes}}
        if isinstance(tokenizer, Train)
        else {"file": "tokenizer.json", "eos": tokenizer.eos, "pad": tokenizer.pad},
        "sequence_length": recipe.sequence_length,
        "packing": recipe.packing,
        "shards": recipe.shards,
        "seed": recipe.seed,
        "max_synthetic_share": recipe.max_synthetic_share,
        "pii": {"mask": list(recipe.mask)} if recipe.mask else None,
        "contamination": recipe.contamination,
        "lines": recipe.lines,
        "targets": list(recipe.targets) or None,
        "credits": recipe.credits.stated() or None,
    }
    stated = {key: value for key, value in values.items() if value is not None}
    return yaml.safe_dump(stated, sort_keys=False, allow_unicode=True, width=100)


def name(source: Stated, key: Keys | None) -> str:
    value = string(source, key) if key else source.path.stem
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", value):
        source.refuse(key or (), f"name {value!r}", "small letters, digits and _ . -, a letter or digit first")
    return value


def _masked(source: Stated, key: Keys) -> tuple[str, ...]:
    """The kinds of ``{mask: [...]}`` in the order of PII_KINDS; ``mask: all`` means every one."""
    values = mapping(source, key, "{mask: [email, phone]}")
    refuse_unknown(source, key, {"mask": 0})
    kinds = values.get("mask")
    wanted = list(PII_KINDS) if kinds == "all" else kinds
    if not isinstance(wanted, list) or not all(kind in PII_KINDS for kind in wanted):
        source.refuse((*key, "mask"), f"mask is {kinds!r}", f"all, or a list of {', '.join(PII_KINDS)}")
    return tuple(kind for kind in PII_KINDS if kind in wanted)


def _tokenizer(source: Stated, key: Keys) -> Train | Given:
    values = mapping(source, key, "{train: {...}} or {file: tokenizer.json}")
    refuse_unknown(source, key, {"train": 0} if "train" in values else {"train": 0, "file": 0, "eos": 0, "pad": 0})
    if "train" in values:
        return _train(source, (*key, "train"))
    if "file" not in values:
        source.refuse(key, "a tokenizer without train or file", "one of them")
    names = {name: string(source, (*key, name)) for name in ("eos", "pad") if name in values}
    return Given(source.path.parent / string(source, (*key, "file")), **names)


def _train(source: Stated, key: Keys) -> Train:
    checks = {"vocab_size": whole(258, 1 << 20), "max_bytes": whole(1, 1 << 40)}
    if source.get(key) is None:
        return Train()
    values = mapping(source, key, "{vocab_size: 8192, max_bytes: 8000000}")
    refuse_unknown(source, key, checks)
    return Train(**{name: check(source, (*key, name)) for name, check in checks.items() if name in values})


KEYS: Mapping[str, Check] = {
    "kind": choice("tokens"),
    "name": name,
    "description": description,
    "select": string,
    "rule_set": string,
    "splits": shares,
    "cluster": string,
    "tokenizer": _tokenizer,
    "sequence_length": whole(2, 1 << 24),
    "packing": choice("best_fit", "concatenate"),
    "shards": whole(1, 99_999),
    "seed": whole(0, (1 << 63) - 1),
    "max_synthetic_share": share,
    "pii": _masked,
    "contamination": choice("drop", "cut"),
    "lines": choice("c4", "c4_open"),
    "targets": choices(*TARGETS),
    "credits": credits_of,
}

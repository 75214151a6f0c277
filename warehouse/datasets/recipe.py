"""What goes out: recipes/datasets/<name>.yaml as a value, refused with its file and line.

A recipe decides every byte of a release together with the repository's versions; ``resolved`` writes it back with all
defaults stated, and the copy inside a release is a recipe again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import yaml

from warehouse.contracts import MAX_GENERATION, MAX_SYNTHETIC_SHARE, PII_KINDS
from warehouse.datasets.credits import NONE, Credits, credits_of
from warehouse.datasets.mixture import Mixture, mixture, stated_mixture
from warehouse.recipes import (
    Check,
    Keys,
    Stated,
    choice,
    choices,
    description,
    ends,
    mapping,
    refuse_unknown,
    share,
    shares,
    string,
    whole,
)

Packing = Literal["best_fit", "concatenate"]
Contamination = Literal["drop", "cut"]
Longer = Literal["drop", "cut"]
Lines = Literal["c4", "c4_open"]
SplitBy = Literal["cluster", "time"]

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
class Chat:
    """Conversations in place of documents.

    key: columns that name a conversation; template: the Jinja text that puts it into words, as Hugging Face's
    ``chat_template``, and what it is called; special: tokens that the tokenizer must have for it; loss: roles that are
    learnt, none where the template says; longer: what becomes of a conversation of more tokens than a sample; bos: the
    template's ``bos_token``.
    """

    key: tuple[str, ...]
    template: str
    special: tuple[str, ...] = ()
    loss: tuple[str, ...] = ("assistant",)
    longer: Longer = "drop"
    bos: str = ""
    called: str = field(default="template.jinja", compare=False)


@dataclass(frozen=True, slots=True)
class DatasetRecipe:
    """A data set: what is selected, how it is split, tokenised, packed and sharded.

    select: one SELECT over the published snapshot, giving doc_id and if wanted cluster and language.
    splits: name -> share of the clusters; cluster: SQL over the columns of documents (default: the text with case and
    white space folded), used where the selection gives no cluster. split_by: time: the splits follow one another, each
    cluster by its latest ``time`` (known_at, published_at, or a column of the select): at the shares of the documents,
    or before the moments ``until``, one for each split, whose shares are not asked then. max_synthetic_share: of the
    text bytes that go out; max_generation: 0 for real documents alone, 1 for synthetic ones made of real. mask:
    kinds of personal data (PII_KINDS) whose spans go out as their masks. contamination: drop documents that hold a
    13-gram of a benchmark, or cut those spans out; None leaves it to the select. lines: only those that c4, or c4
    without the rule of terminal marks, keeps; None: all. targets: formats of other projects to write too, of TARGETS.
    chat: of conversations, which the select then gives; what is said of documents alone is not stated beside it.
    mixture: how many tokens of which groups the first split holds; None: each document once. credits: what its cards
    say of who made it. at: place of the select, for messages.
    """

    name: str
    select: str
    description: str = ""
    rule_set: str | None = None
    splits: tuple[tuple[str, float], ...] = (("train", 1.0),)
    cluster: str | None = None
    split_by: SplitBy = "cluster"
    time: str | None = None
    until: tuple[datetime, ...] = ()
    tokenizer: Train | Given = Train()
    sequence_length: int = 1024
    packing: Packing = "best_fit"
    shards: int = 1
    seed: int = 0
    max_synthetic_share: float = MAX_SYNTHETIC_SHARE
    max_generation: int = MAX_GENERATION
    mask: tuple[str, ...] = ()
    contamination: Contamination | None = None
    lines: Lines | None = None
    targets: tuple[str, ...] = ()
    chat: Chat | None = None
    mixture: Mixture | None = None
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
    _refuse_times(source)
    if "until" in values:
        values["splits"] = tuple((split, 0.0) for split, _ in values["until"])
        values["until"] = tuple(end for _, end in values["until"])
    if "select" not in values:
        source.refuse((), "no select", "select: one SELECT that gives doc_id", "add one")
    return DatasetRecipe(**values, at=source.place(("select",)))


def _refuse_times(source: Stated) -> None:
    """Raise RecipeError unless the keys of a split by time are all there, or none."""
    by_time = source.values.get("split_by") == "time"
    if by_time and "time" not in source.values:
        source.refuse(("split_by",), "split_by time without time", "time: known_at, published_at or a column")
    for key in ("time", "until"):
        if key in source.values and not by_time:
            source.refuse((key,), f"{key} without split_by", "split_by: time beside it")
    if "until" in source.values and "splits" in source.values:
        source.refuse(("until",), "until beside splits", "shares (splits) or dates (until)", "remove one of them")


def resolved(recipe: DatasetRecipe) -> str:
    """The recipe as YAML with every default stated; a given tokenizer is named as its copy, tokenizer.json, a template
    as template.jinja.
    """
    tokenizer = recipe.tokenizer
    values = {
        "kind": "chat" if recipe.chat else None,
        "name": recipe.name,
        "description": recipe.description,
        "select": recipe.select,
        **(_chat(recipe.chat) if recipe.chat else {}),
        "rule_set": recipe.rule_set,
        "splits": None if recipe.until else dict(recipe.splits),
        "split_by": None if recipe.chat else recipe.split_by,
        "time": recipe.time,
        "until": {name: end for (name, _), end in zip(recipe.splits, recipe.until, strict=False)} or None,
        "cluster": recipe.cluster,
        "tokenizer": {"train": {"vocab_size": tokenizer.vocab_size, "max_bytes": tokenizer.max_bytes}}
        if isinstance(tokenizer, Train)
        else {"file": "tokenizer.json", "eos": tokenizer.eos, "pad": tokenizer.pad},
        "sequence_length": recipe.sequence_length,
        "packing": recipe.packing,
        "shards": recipe.shards,
        "seed": recipe.seed,
        "max_synthetic_share": recipe.max_synthetic_share,
        "max_generation": None if recipe.chat else recipe.max_generation,
        "pii": {"mask": list(recipe.mask)} if recipe.mask else None,
        "contamination": recipe.contamination,
        "lines": recipe.lines,
        "targets": list(recipe.targets) or None,
        "mixture": stated_mixture(recipe.mixture) if recipe.mixture else None,
        "credits": recipe.credits.stated() or None,
    }
    stated = {key: value for key, value in values.items() if value is not None}
    return yaml.safe_dump(stated, sort_keys=False, allow_unicode=True, width=100)


def _chat(chat: Chat) -> dict[str, Any]:
    return {
        "key": list(chat.key),
        "template": "template.jinja",
        "special": list(chat.special) or None,
        "loss": list(chat.loss) or None,
        "longer": chat.longer,
        "bos": chat.bos or None,
    }


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
    "split_by": choice("cluster", "time"),
    "time": string,
    "until": ends,
    "cluster": string,
    "tokenizer": _tokenizer,
    "sequence_length": whole(2, 1 << 24),
    "packing": choice("best_fit", "concatenate"),
    "shards": whole(1, 99_999),
    "seed": whole(0, (1 << 63) - 1),
    "max_synthetic_share": partial(share, most=MAX_SYNTHETIC_SHARE),
    "max_generation": whole(0, MAX_GENERATION),
    "pii": _masked,
    "contamination": choice("drop", "cut"),
    "lines": choice("c4", "c4_open"),
    "targets": choices(*TARGETS),
    "mixture": mixture,
    "credits": credits_of,
}

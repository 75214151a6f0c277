"""A score as its YAML states it: recipes/scores/<name>.yaml as a value, refused with its file and line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from warehouse.contracts import digest
from warehouse.recipes import Check, Keys, Stated, checked, choice, description, number, string, strings, whole

Kind = Literal["classifier", "perplexity"]

SCORES_VERSION = 1
"""Raised whenever words, n-grams or training change; every model is then trained again."""

SELECTS: Mapping[Kind, tuple[str, ...]] = {"classifier": ("negative", "positive"), "perplexity": ("train",)}
"""The keys that choose documents, in the order of their labels 0 and 1."""
BITS, MIN_AUC = 18, 0.8
NAME = re.compile(r"[a-z][a-z0-9_]*")
VERSION = re.compile(r"[a-z0-9][a-z0-9_.-]*@[1-9][0-9]*")
RELEASE = "release.documents"
"""What a SELECT reads of the release that the recipe names: its documents, with their split."""


@dataclass(frozen=True, slots=True)
class ScoreRecipe:
    """What a model is trained on; each SELECT gives ``doc_id``, and may read RELEASE where ``release`` names one.

    limit: least AUC of a classifier, most bits a word of a perplexity; held_out: share of the texts, or names of
    sources, that are measured and not trained on; bits: of a bucket's number; max_documents, max_bytes: of each SELECT,
    trained on, and as many held out; synthetic: whether synthetic documents may be trained on; round: raised to train
    again; release: a version of a data set, ``NAME@NUMBER``, or empty.
    """

    name: str
    kind: Kind
    selects: Mapping[str, str]
    limit: float
    held_out: float | tuple[str, ...] = 0.1
    bits: int = BITS
    max_documents: int = 20_000
    max_bytes: int = 32 << 20
    synthetic: bool = False
    seed: int = 0
    round: int = 1
    release: str = ""
    description: str = field(default="", compare=False)
    path: Path = field(default=Path("recipe"), compare=False)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits over all that a model is a function of beside the documents; not limit."""
        stated = (self.kind, dict(self.selects), self.held_out, self.bits, self.max_documents, self.max_bytes)
        release = [self.release] if self.release else []
        return digest(json.dumps([SCORES_VERSION, stated, self.synthetic, self.seed, self.round, *release]))

    @property
    def measure(self) -> str:
        """What is measured of the texts held out."""
        return "auc" if self.kind == "classifier" else "bits_per_word"

    def at(self, select: str) -> str:
        """``file:line`` of a SELECT."""
        return f"{self.path}:{self.lines.get(select, 1)}"

    def accepts(self, measure: float) -> bool:
        """Whether what was measured on the texts held out is within the limit; what is no number is not."""
        return measure >= self.limit if self.kind == "classifier" else measure <= self.limit


def load_score(path: Path) -> ScoreRecipe:
    """The score in ``path``. Raises RecipeError, ``file:line: ...``, for anything that is not as it should be."""
    stated = Stated.read(path, allowed="kind, and the keys of a classifier or of a perplexity")
    if not NAME.fullmatch(path.stem):
        stated.refuse((), f"name {path.stem!r}", "a file name of small letters, digits and _, a letter first")
    if "kind" not in stated.values:
        stated.refuse((), "no kind", ", ".join(SELECTS), "add kind")
    kind: Kind = _KIND(stated, ("kind",))
    values = checked(stated, (), KEYS[kind], required=("kind", *SELECTS[kind]))
    del values["kind"]
    selects = {key: values.pop(key) for key in SELECTS[kind]}
    limit = values.pop(_LIMIT[kind], MIN_AUC if kind == "classifier" else float(values.get("bits", BITS)))
    lines = {key: stated.lines[(key,)] for key in SELECTS[kind]}
    return ScoreRecipe(name=path.stem, kind=kind, selects=selects, limit=limit, path=path, lines=lines, **values)


def _select(stated: Stated, key: Keys) -> str:
    return string(stated, key).rstrip(";")


def _held_out(stated: Stated, key: Keys) -> float | tuple[str, ...]:
    """A share, or names of sources."""
    if isinstance(stated.get(key), list):
        return tuple(sorted(strings(stated, key)))
    value = stated.get(key)
    if not isinstance(value, float) or not 0.01 <= value <= 0.5:
        stated.refuse(key, f"held_out is {value!r}", "a number, 0.01 to 0.5, or a list of names of sources")
    return value


def _release(stated: Stated, key: Keys) -> str:
    """A version by its number: what the last one is changes."""
    if not VERSION.fullmatch(value := string(stated, key)):
        stated.refuse(key, f"release is {value!r}", "the name and version of a release, such as english@1")
    return value


def _flag(stated: Stated, key: Keys) -> bool:
    value = stated.get(key)
    if not isinstance(value, bool):
        stated.refuse(key, f"{key[-1]} is {value!r}", "true, false")
    return value


_KIND = choice(*SELECTS)
_LIMIT: Mapping[Kind, str] = {"classifier": "min_auc", "perplexity": "max_bits_per_word"}
_SHARED: Mapping[str, Check] = {
    "held_out": _held_out,
    "bits": whole(10, 24),
    "max_documents": whole(1, 10**7),
    "max_bytes": whole(1, 1 << 34),
    "synthetic": _flag,
    "seed": whole(0, 2**63 - 1),
    "round": whole(1, 10**9),
    "release": _release,
}
KEYS: Mapping[Kind, Mapping[str, Any]] = {
    "classifier": {
        "kind": _KIND,
        "description": description,
        "positive": _select,
        "negative": _select,
        "min_auc": number(float, 0.5, 1),
        **_SHARED,
    },
    "perplexity": {
        "kind": _KIND,
        "description": description,
        "train": _select,
        "max_bits_per_word": number(float, 0, 64),
        **_SHARED,
    },
}

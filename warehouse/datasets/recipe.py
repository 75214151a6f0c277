"""What goes out: recipes/datasets/<name>.yaml as a value, refused with its file and line.

A recipe decides every byte of a release together with the repository's versions; ``resolved`` writes it back with all
defaults stated, and the copy inside a release is a recipe again.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

import yaml

from warehouse.errors import RecipeError

Packing = Literal["best_fit", "concatenate"]

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
    white space folded), used where the selection gives no cluster. at: place of the select, for messages.
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
    at: str = field(default="recipe", compare=False)


def load_recipe(path: Path) -> DatasetRecipe:
    """The recipe in ``path``. Raises RecipeError, ``file:line: ...``, for anything that is not as it should be."""
    source = _Source.read(path)
    refuse_unknown(source, (), KEYS)
    values: dict[str, Any] = {key: check(source, (key,)) for key, check in KEYS.items() if key in source.values}
    values.setdefault("name", _name(source, None))
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
    }
    stated = {key: value for key, value in values.items() if value is not None}
    return yaml.safe_dump(stated, sort_keys=False, allow_unicode=True, width=100)


Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """A YAML file read: its plain values, and the line of each key."""

    path: Path
    values: Mapping[str, Any]
    lines: Mapping[Keys, int]

    @classmethod
    def read(cls, path: Path) -> _Source:
        try:
            text = path.read_text("utf-8")
            node, values = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path}:1: cannot be read: {error}", allowed="a YAML file in UTF-8") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or str(error)
            raise RecipeError(f"{path}:{mark.line + 1 if mark else 1}: {problem}", allowed="a YAML mapping") from None
        if not isinstance(node, yaml.MappingNode):
            raise RecipeError(f"{path}:1: not a mapping", allowed=", ".join(KEYS), do="write keys, each with a value")
        lines: dict[Keys, int] = {}
        _note_lines(path, node, (), lines)
        return cls(path, values, lines)

    def place(self, key: Keys) -> str:
        return f"{self.path}:{self.lines.get(key, 1)}"

    def get(self, key: Keys) -> Any:
        value: Any = self.values
        for part in key:
            value = value[part]
        return value

    def refuse(self, key: Keys, came: str, allowed: str, do: str = "") -> NoReturn:
        raise RecipeError(f"{self.place(key)}: {came}", allowed=allowed, do=do)


def _note_lines(path: Path, node: yaml.MappingNode, above: Keys, lines: dict[Keys, int]) -> None:
    """Fill ``lines`` with the line of each key; a key given twice is refused, for YAML would let the last one win."""
    for key, value in node.value:
        name = (*above, str(key.value))
        if name in lines:
            raise RecipeError(f"{path}:{key.start_mark.line + 1}: key {key.value!r} again", allowed="each key once")
        lines[name] = key.start_mark.line + 1
        if isinstance(value, yaml.MappingNode):
            _note_lines(path, value, name, lines)


def refuse_unknown(source: _Source, above: Keys, known: Mapping[str, object]) -> None:
    """Raise RecipeError for the first key below ``above`` that is not known, naming the nearest one that is."""
    for key in source.get(above):
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "remove it"
            source.refuse((*above, str(key)), f"unknown key {key!r}", ", ".join(known), hint)


def _mapping(source: _Source, key: Keys, allowed: str) -> Mapping[Any, Any]:
    value = source.get(key)
    if not isinstance(value, dict) or not value:
        source.refuse(key, f"{key[-1]} is {value!r}", allowed)
    return value


def _string(source: _Source, key: Keys) -> str:
    value = source.get(key)
    if not isinstance(value, str) or not value.strip():
        source.refuse(key, f"{key[-1]} is {value!r}", "a text that is not empty")
    return value.strip()


def _description(source: _Source, key: Keys) -> str:
    return "" if source.get(key) == "" else _string(source, key)


def _name(source: _Source, key: Keys | None) -> str:
    value = _string(source, key) if key else source.path.stem
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", value):
        source.refuse(key or (), f"name {value!r}", "small letters, digits and _ . -, a letter or digit first")
    return value


def whole(least: int, most: int) -> Callable[[_Source, Keys], int]:
    """A check for an integer of least..most."""

    def check(source: _Source, key: Keys) -> int:
        value = source.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            source.refuse(key, f"{key[-1]} is {value!r}", f"a whole number from {least:,} to {most:,}")
        return value

    return check


def _share(source: _Source, key: Keys) -> float:
    value = source.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        source.refuse(key, f"{key[-1]} is {value!r}", "a share from 0 to 1")
    return float(value)


def _splits(source: _Source, key: Keys) -> tuple[tuple[str, float], ...]:
    shares = []
    for name in _mapping(source, key, "names with shares, such as {train: 0.95, validation: 0.05}"):
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            source.refuse((*key, str(name)), f"split {name!r}", "small letters, digits and _, a letter first")
        shares.append((name, _share(source, (*key, name))))
    if sum(Fraction(str(share)) for _, share in shares) != 1:
        source.refuse(key, f"shares that add up to {sum(share for _, share in shares):.6g}", "shares of 1 in all")
    return tuple(shares)


def _packing(source: _Source, key: Keys) -> Packing:
    value = source.get(key)
    if value not in ("best_fit", "concatenate"):
        source.refuse(key, f"packing is {value!r}", "best_fit, concatenate")
    return cast("Packing", value)


def _tokenizer(source: _Source, key: Keys) -> Train | Given:
    values = _mapping(source, key, "{train: {...}} or {file: tokenizer.json}")
    refuse_unknown(source, key, {"train": 0} if "train" in values else {"train": 0, "file": 0, "eos": 0, "pad": 0})
    if "train" in values:
        return _train(source, (*key, "train"))
    if "file" not in values:
        source.refuse(key, "a tokenizer without train or file", "one of them")
    names = {name: _string(source, (*key, name)) for name in ("eos", "pad") if name in values}
    return Given(source.path.parent / _string(source, (*key, "file")), **names)


def _train(source: _Source, key: Keys) -> Train:
    checks = {"vocab_size": whole(258, 1 << 20), "max_bytes": whole(1, 1 << 40)}
    if source.get(key) is None:
        return Train()
    values = _mapping(source, key, "{vocab_size: 8192, max_bytes: 8000000}")
    refuse_unknown(source, key, checks)
    return Train(**{name: check(source, (*key, name)) for name, check in checks.items() if name in values})


KEYS: Mapping[str, Callable[[_Source, Keys], Any]] = {
    "name": _name,
    "description": _description,
    "select": _string,
    "rule_set": _string,
    "splits": _splits,
    "cluster": _string,
    "tokenizer": _tokenizer,
    "sequence_length": whole(2, 1 << 24),
    "packing": _packing,
    "shards": whole(1, 99_999),
    "seed": whole(0, (1 << 63) - 1),
    "max_synthetic_share": _share,
}

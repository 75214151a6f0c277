"""The tokenizer of a release: trained here on the train split, or the one the recipe names.

Hugging Face ``tokenizers`` defines the ids. Byte-level BPE, so any text has ids and decodes to its own bytes; a text
that spells a special token gets ordinary ids, never the token. Training on 3 MB takes 0.5-0.8 CPU s and gives the same
JSON whatever the number of threads (test). ``tokenizers`` encodes 0.7 M tokens a CPU second, the kernel that takes its
place where it can (encoding.py) 7.8 M. gigatoken 0.10 makes 18 M when new and 35 M later, with the same ids on 1,500
documents, but is beta, needs awkward and typer, and grew by 82 MB over 14 MB of varied text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from warehouse.contracts import Snapshot
from warehouse.datasets.recipe import END_OF_TEXT, PAD, Chat, DatasetRecipe, Given, Train
from warehouse.datasets.selection import hashes, ids
from warehouse.datasets.texts import read_texts
from warehouse.errors import RecipeError

Ids = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A tokenizer ready to encode: ids of the end-of-text and padding tokens, and the text bytes each id stands for.

    byte_lengths: int64[vocab]; 0 for special tokens, but of conversations, whose text has them. sha256: of the JSON;
    special: the id of each special token; named: what templates call some of them.
    """

    tokenizer: Tokenizer
    eos_id: int
    pad_id: int
    byte_lengths: npt.NDArray[np.int64]
    sha256: str
    special: Mapping[str, int]
    named: Mapping[str, str]

    @property
    def size(self) -> int:
        return int(self.byte_lengths.size)

    @property
    def dtype(self) -> str:
        """uint16 where every id fits, else uint32; little-endian."""
        return "<u2" if self.size <= 1 << 16 else "<u4"


def open_vocabulary(path: Path, recipe: DatasetRecipe) -> Vocabulary:
    """The vocabulary in ``path``. Raises RecipeError for a file that is no tokenizer or lacks the recipe's tokens."""
    try:
        raw = path.read_bytes()
        tokenizer = Tokenizer.from_buffer(raw)
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"{recipe.at}: tokenizer {path}: {error}", allowed="a tokenizer.json of Hugging Face tokenizers"
        ) from None
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    given = recipe.tokenizer if isinstance(recipe.tokenizer, Given) else Given(path)
    eos, pad = (_special(tokenizer, recipe, path, name) for name in (given.eos, given.pad))
    special = _specials(tokenizer)
    sizes = _byte_lengths(tokenizer)
    if recipe.chat:
        _refuse_unfit(recipe, recipe.chat, special, path)
        sizes[list(special.values())] = [len(token.encode()) for token in special]
    named = {"eos_token": given.eos, "pad_token": given.pad}
    sha256 = hashlib.sha256(raw).hexdigest()
    return Vocabulary(tokenizer, eos, pad, sizes, sha256, special, named)


def _specials(tokenizer: Tokenizer) -> dict[str, int]:
    added = tokenizer.get_added_tokens_decoder()
    return {token.content: number for number, token in sorted(added.items()) if token.special}


def _refuse_unfit(recipe: DatasetRecipe, chat: Chat, special: Mapping[str, int], path: Path) -> None:
    """Raise RecipeError for a tokenizer that lacks a special token of the template, or has one of one character."""
    for token in _written(chat):
        if token not in special:
            raise RecipeError(
                f"{recipe.at}: tokenizer {path} has no special token {token!r}, which template {chat.called} writes",
                allowed=f"its special tokens: {', '.join(special) or 'none'}",
                do="take a tokenizer or a template of the same model, or train one",
            )
    for token in special:
        if len(token) < 2:
            raise RecipeError(
                f"{recipe.at}: tokenizer {path} has the special token {token!r}",
                allowed="special tokens of two characters or more, which a message cannot spell by chance",
            )


def _special(tokenizer: Tokenizer, recipe: DatasetRecipe, path: Path, token: str) -> int:
    number = tokenizer.token_to_id(token)
    if number is None:
        known = ", ".join(added.content for added in tokenizer.get_added_tokens_decoder().values()) or "none"
        raise RecipeError(
            f"{recipe.at}: tokenizer {path} has no token {token!r}",
            allowed=f"its special tokens: {known}",
            do="name its end and padding tokens with eos: and pad: under tokenizer",
        )
    return int(number)


def _byte_lengths(tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """Text bytes of each id: a byte-level entry spells one byte a character, others are taken as UTF-8."""
    alphabet = set(pre_tokenizers.ByteLevel.alphabet())
    special = {number for number, added in tokenizer.get_added_tokens_decoder().items() if added.special}
    lengths = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
    for token, number in tokenizer.get_vocab().items():
        if number not in special:
            lengths[number] = len(token) if alphabet.issuperset(token) else len(token.encode())
    return lengths


def make_vocabulary(recipe: DatasetRecipe, frozen: pa.Table, documents: Snapshot | None, folder: Path) -> Vocabulary:
    """Write ``folder``/tokenizer.json, trained or copied as the recipe says, and open it."""
    target = folder / "tokenizer.json"
    if isinstance(recipe.tokenizer, Given):
        given = recipe.tokenizer.file
        if not given.is_file():
            raise RecipeError(f"{recipe.at}: no tokenizer {given}", do="name a tokenizer.json, or use train:")
        target.write_bytes(given.read_bytes())
    else:
        target.write_text(_trained(recipe.tokenizer, recipe, frozen, documents), "utf-8")
    return open_vocabulary(target, recipe)


def _trained(wanted: Train, recipe: DatasetRecipe, frozen: pa.Table, documents: Snapshot | None) -> str:
    return trained(wanted, recipe.seed, frozen, documents, special=_written(recipe.chat) if recipe.chat else ())


def _written(chat: Chat) -> tuple[str, ...]:
    """The special tokens that a template writes."""
    return (*chat.special, *([chat.bos] if chat.bos else []))


def trained(
    wanted: Train, seed: int, frozen: pa.Table, documents: Snapshot | None, *, special: Sequence[str] = ()
) -> str:
    """tokenizer.json of a byte-level BPE trained on a seeded sample of the first split's documents.

    special: tokens to have beside those that end a document and fill a sample. documents: None for conversations.
    """
    texts = _texts(_sample(wanted, seed, frozen), documents)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=wanted.vocab_size,
        min_frequency=2,
        special_tokens=list(dict.fromkeys((END_OF_TEXT, PAD, *special))),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return str(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, indent=1)) + "\n"


def _texts(sample: pa.Table, documents: Snapshot | None) -> list[str]:
    """The texts of documents, or of the messages of conversations, in order."""
    if documents is None:
        return [message["content"] for messages in sample["messages"].to_pylist() for message in messages]
    return [text for _, text in sorted(read_texts(sample, documents, threads=0))]


def _sample(wanted: Train, seed: int, frozen: pa.Table) -> pa.Table:
    """Documents of the first split in the order of a seeded hash, until max_bytes are reached; of a mixture those that
    it chose, which have fewer.
    """
    if "trained_on" in frozen.column_names:
        first = frozen.filter(frozen["trained_on"])
    else:
        first = frozen.filter(pa.compute.equal(frozen["split"], frozen["split"][0])) if frozen.num_rows else frozen
    order = np.argsort(hashes("tokenizer", seed, ids(first)), kind="stable")
    sizes = np.cumsum(first["bytes"].to_numpy()[order])
    return first.take(order[: int(np.searchsorted(sizes, wanted.max_bytes)) + 1])

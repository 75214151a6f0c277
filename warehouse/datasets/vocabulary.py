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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from warehouse.contracts import Snapshot
from warehouse.datasets.recipe import END_OF_TEXT, PAD, DatasetRecipe, Given, Train
from warehouse.datasets.selection import hashes, ids
from warehouse.datasets.texts import read_texts
from warehouse.errors import RecipeError

Ids = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A tokenizer ready to encode: ids of the end-of-text and padding tokens, and the text bytes each id stands for.

    byte_lengths: int64[vocab]; 0 for special tokens. sha256: of the JSON.
    """

    tokenizer: Tokenizer
    eos_id: int
    pad_id: int
    byte_lengths: npt.NDArray[np.int64]
    sha256: str

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
    return Vocabulary(tokenizer, eos, pad, _byte_lengths(tokenizer), hashlib.sha256(raw).hexdigest())


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


def make_vocabulary(recipe: DatasetRecipe, frozen: pa.Table, documents: Snapshot, folder: Path) -> Vocabulary:
    """Write ``folder``/tokenizer.json, trained or copied as the recipe says, and open it."""
    target = folder / "tokenizer.json"
    if isinstance(recipe.tokenizer, Given):
        given = recipe.tokenizer.file
        if not given.is_file():
            raise RecipeError(f"{recipe.at}: no tokenizer {given}", do="name a tokenizer.json, or use train:")
        target.write_bytes(given.read_bytes())
    else:
        target.write_text(trained(recipe.tokenizer, recipe.seed, frozen, documents), "utf-8")
    return open_vocabulary(target, recipe)


def trained(wanted: Train, seed: int, frozen: pa.Table, documents: Snapshot) -> str:
    """tokenizer.json of a byte-level BPE trained on a seeded sample of the first split's documents."""
    sample = _sample(wanted, seed, frozen)
    texts = [text for _, text in sorted(read_texts(sample, documents, threads=0))]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=wanted.vocab_size,
        min_frequency=2,
        special_tokens=[END_OF_TEXT, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return str(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, indent=1)) + "\n"


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

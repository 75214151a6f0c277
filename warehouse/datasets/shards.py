"""One shard from its documents: read, tokenise, pack, write. Runs in a worker process; the same bytes in any of them.

Four files: the .bin (samples of sequence_length ids, padded), its indexes for Megatron and datatrove, and the segments,
which map each piece to its document, token offset and text offset; of conversations a fifth, the mask. Won: any number
of shards at once, nothing shared. Lost: a shard's token ids and their text offsets are held in memory (10 to 12 bytes a
token, twice while joined), and each task scans the documents' files for its texts.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.contracts import Snapshot
from warehouse.datasets.encoding import PROVEN_BYTES, PROVEN_EVERY, DifferentError, make_encoder, proven
from warehouse.datasets.hashed import HashedFile
from warehouse.datasets.indexes import write_indexes
from warehouse.datasets.packing import Ints, Pieces, arrange
from warehouse.datasets.recipe import DatasetRecipe
from warehouse.datasets.texts import read_texts
from warehouse.datasets.vocabulary import Ids, Vocabulary, open_vocabulary
from warehouse.errors import NotFound
from warehouse.manifest import BLOCK_BYTES, FileEntry

Array = npt.NDArray[Any]

SEGMENTS = pa.schema(
    [
        ("sample", pa.int64()),  # within the shard
        ("position", pa.int32()),  # of the first token in the sample
        ("length", pa.int32()),  # tokens, the end-of-text one included
        ("document", pa.int64()),  # row among the shard's documents
        ("token_offset", pa.int64()),  # of the first token in the document
        ("text_start", pa.int64()),  # UTF-8 byte in the document's text
        ("text_end", pa.int64()),
    ]
)

ENDINGS = (".bin", ".bin.index", ".idx", ".segments.parquet")
"""Of the files of a shard, after its stem."""
MASK = ".mask"
"""Of the file that says which tokens of conversations are learnt: a bit a token, from the lowest bit of a byte on, a
sample in whole bytes; 0 in padding. So it is a 16th of uint16 tokens, where a byte a token would be half of them.
"""

Encoded = Iterator[tuple[int, tuple[Ids, Ints]]]
"""Row among a shard's documents, its ids, and the text byte at which each ends."""
Gathered = TypeVar("Gathered")


@dataclass(frozen=True, slots=True)
class ShardTask:
    """A shard to make; ``wanted`` holds doc_id and content_hash of its documents in order, or the conversations
    themselves, which need no ``documents``. Picklable.
    """

    folder: Path
    split: str
    shard: int
    recipe: DatasetRecipe
    wanted: pa.Table
    documents: Snapshot | None
    batch_rows: int
    threads: bool

    @property
    def stem(self) -> str:
        return f"{self.split}-{self.shard:05d}-of-{self.recipe.shards:05d}"

    @property
    def endings(self) -> tuple[str, ...]:
        """Of the files that the shard is made of."""
        return (*ENDINGS, *([MASK] if self.recipe.chat else []))


@dataclass(frozen=True, slots=True)
class ShardDone:
    """What a task made: samples, the tokens of each of its documents, and the entry of its .bin.

    pid, cpu_s: who made it (None for a shard that was there), and at what cost; warning: what went wrong with the
    kernel, or empty; beside: what documents.parquet has of each of its conversations beside the tokens.
    """

    samples: int
    tokens: npt.NDArray[np.int64]
    bin: FileEntry
    pid: int | None
    cpu_s: float
    warning: str
    beside: pa.Table | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """A shard's documents as ids, one after another; lengths[i] and text offsets belong to document i.

    text_ends: for each id, the text bytes of its document up to its end; learnt: whether it is, of conversations.
    warning, beside: as in ShardDone.
    """

    ids: Ids
    lengths: Ints
    text_ends: Ints
    warning: str
    learnt: npt.NDArray[np.bool_] | None = None
    beside: pa.Table | None = None


def make_shard(task: ShardTask) -> ShardDone:
    """Write the files of a shard of documents into the task's folder."""
    return written(task, _stream)


def written(task: ShardTask, tokenise: Callable[[ShardTask, Vocabulary], Stream]) -> ShardDone:
    """Write the files of a shard of what ``tokenise`` gives into the task's folder."""
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if task.threads else "false"
    before = _cpu()
    vocabulary = open_vocabulary(task.folder / "recipe" / "tokenizer.json", task.recipe)
    stream = tokenise(task, vocabulary)
    pieces = arrange(stream.lengths, task.recipe.sequence_length, task.recipe.packing)
    with HashedFile(task.folder, f"{task.stem}.bin") as file:
        write_samples(file, stream.ids, pieces, task.recipe.sequence_length, vocabulary.pad_id)
    write_indexes(task.folder, task.stem, pieces, sequence_length=task.recipe.sequence_length, dtype=vocabulary.dtype)
    write_parquet(task.folder / f"{task.stem}.segments.parquet", _segments(pieces, stream))
    if stream.learnt is not None:
        with (task.folder / f"{task.stem}{MASK}").open("wb") as mask:
            for block in sample_blocks(stream.learnt, pieces, task.recipe.sequence_length, False):
                mask.write(np.packbits(block, axis=1, bitorder="little").tobytes())
    cost = os.getpid(), _cpu() - before
    return ShardDone(pieces.samples, stream.lengths, file.entry(), *cost, stream.warning, stream.beside)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def count_tokens(task: ShardTask) -> tuple[Ints, float]:
    """The tokens of each document of a shard, the same that ``make_shard`` writes, and the CPU seconds that it took."""
    before = _cpu()
    vocabulary = open_vocabulary(task.folder / "recipe" / "tokenizer.json", task.recipe)
    lengths, _ = _tokenised(task, vocabulary, lambda found: _lengths(found, task.wanted.num_rows))
    return lengths, _cpu() - before


def _lengths(found: Encoded, documents: int) -> Ints:
    lengths = np.zeros(documents, np.int64)
    for row, (ids, _) in found:
        lengths[row] = ids.size
    return lengths


def _stream(task: ShardTask, vocabulary: Vocabulary) -> Stream:
    stream, warning = _tokenised(task, vocabulary, lambda found: _joined(found, task.wanted.num_rows, vocabulary))
    return replace(stream, warning=warning)


def _tokenised(task: ShardTask, vocabulary: Vocabulary, gather: Callable[[Encoded], Gathered]) -> tuple[Gathered, str]:
    """What ``gather`` makes of the shard's documents, and a warning as in ShardDone.

    They are tokenised by the kernel where it knows the tokenizer; by ``tokenizers`` where not or where a proof fails.
    """
    kernel = make_encoder(vocabulary.tokenizer, vocabulary.eos_id, vocabulary.dtype)
    fast = partial(_encoded, task, vocabulary, kernel, prove=True) if kernel else None
    slow = partial(_encoded, task, vocabulary, partial(encode, vocabulary=vocabulary))
    return proven(task.stem, (lambda: gather(fast())) if fast else None, lambda: gather(slow()))


def _encoded(
    task: ShardTask,
    vocabulary: Vocabulary,
    encoder: Callable[[list[str]], Iterator[tuple[Ids, Ints]]],
    *,
    prove: bool = False,
) -> Encoded:
    """Tokenise the shard's texts in batches as they come.

    prove: compare a sample with ``tokenizers``; which documents are in it depends on the shard alone.
    """
    if task.documents is None:
        raise NotFound(f"{task.stem} is made of documents, and there are none", do="run the sources that it is of")
    texts = read_texts(task.wanted, task.documents, threads=1, batch_rows=task.batch_rows)
    for batch in _batches(texts, task.batch_rows):
        for (row, text), tokens in zip(batch, encoder([text for _, text in batch]), strict=True):
            yield row, tokens
            if prove and row % PROVEN_EVERY == 0 and len(text) <= PROVEN_BYTES:
                _prove(text, tokens, vocabulary, str(task.wanted["doc_id"][row]))


def _joined(encoded: Encoded, documents: int, vocabulary: Vocabulary) -> Stream:
    """The documents in their order, one after another."""
    found = [(np.empty(0, vocabulary.dtype), np.empty(0, np.int64))] * documents
    for row, tokens in encoded:
        found[row] = tokens
    lengths = np.array([tokens.size for tokens, _ in found], dtype=np.int64)
    if not found:
        return Stream(np.empty(0, vocabulary.dtype), lengths, np.empty(0, np.int64), "")
    return Stream(np.concatenate([ids for ids, _ in found]), lengths, np.concatenate([ends for _, ends in found]), "")


def _prove(text: str, tokens: tuple[Ids, Ints], vocabulary: Vocabulary, doc_id: str) -> None:
    (expected,) = encode([text], vocabulary)
    if not all(map(np.array_equal, tokens, expected)):
        raise DifferentError(doc_id)


def _batches(texts: Iterator[tuple[int, str]], rows: int) -> Iterator[list[tuple[int, str]]]:
    """Batches of at most ``rows`` texts and some 4 MB."""
    batch, size = [], 0
    for item in texts:
        batch.append(item)
        size += len(item[1])
        if len(batch) >= rows or size >= 4 << 20:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def encode(texts: list[str], vocabulary: Vocabulary) -> Iterator[tuple[Ids, Ints]]:
    """For each text its ids with the end-of-text one, and the UTF-8 byte at which each id ends."""
    for text, encoding in zip(
        texts, vocabulary.tokenizer.encode_batch_fast(texts, add_special_tokens=False), strict=True
    ):
        tokens = np.array([*encoding.ids, vocabulary.eos_id], dtype=vocabulary.dtype)
        ends = np.cumsum(vocabulary.byte_lengths[tokens])
        size = len(text) if text.isascii() else len(text.encode())
        yield tokens, ends if ends[-1] == size else _slow_ends(text, vocabulary)


def _slow_ends(text: str, vocabulary: Vocabulary) -> Ints:
    """The same ends from the tokenizer's own character offsets, for tokenizers that rewrite text (5 times slower)."""
    offsets = vocabulary.tokenizer.encode(text, add_special_tokens=False).offsets
    bytes_at = np.concatenate([[0], np.cumsum([len(character.encode()) for character in text])]).astype(np.int64)
    return np.append(bytes_at[[end for _, end in offsets]], bytes_at[-1]) if offsets else bytes_at[-1:]


def write_samples(file: HashedFile, ids: Ids, pieces: Pieces, sequence_length: int, pad_id: int) -> None:
    """The .bin: samples of ``sequence_length`` ids, padded."""
    for block in sample_blocks(ids, pieces, sequence_length, pad_id):
        file.write(block)


def sample_blocks(values: Array, pieces: Pieces, sequence_length: int, fill: int | bool) -> Iterator[Array]:
    """Values of the stream as samples [rows, sequence_length], filled up, in blocks of some BLOCK_BYTES."""
    rows = max(1, BLOCK_BYTES // (sequence_length * values.itemsize))
    bounds = np.searchsorted(pieces.sample, np.arange(0, pieces.samples + rows, rows)).tolist()
    at = (pieces.sample % rows * sequence_length + pieces.position).tolist()
    starts, ends = pieces.start.tolist(), (pieces.start + pieces.length).tolist()
    for number, (first, last) in enumerate(pairwise(bounds)):
        block = np.full(min(pieces.samples - number * rows, rows) * sequence_length, fill, values.dtype)
        for place, start, end in zip(at[first:last], starts[first:last], ends[first:last], strict=True):
            block[place : place + end - start] = values[start:end]
        yield block.reshape(-1, sequence_length)


def _segments(pieces: Pieces, stream: Stream) -> pa.Table:
    ends = stream.text_ends[pieces.start + pieces.length - 1] if pieces.start.size else pieces.start
    starts = np.where(pieces.offset > 0, stream.text_ends[pieces.start - 1], 0) if pieces.start.size else pieces.start
    columns = [pieces.sample, pieces.position, pieces.length, pieces.document, pieces.offset, starts, ends]
    return pa.table([pa.array(column) for column in columns], names=SEGMENTS.names).cast(SEGMENTS)


def write_parquet(path: Path, table: pa.Table) -> None:
    """The table as Parquet whose bytes depend on its values alone."""
    pq.write_table(
        table.combine_chunks(), path, compression="zstd", row_group_size=1 << 17, version="2.6", store_schema=True
    )

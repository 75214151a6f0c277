"""A shard made, beside ``tokenizers`` alone and numpy's own writing.

    make bench AREA=datasets
    make bench AREA=datasets ARGS="--mb 10"          of text; 30 else

Texts are whole documents of all kinds (samples.py), the vocabulary 32,768 entries trained on a part of them.
tokens_per_cpu_s: texts in memory to ids and text offsets, best-fit packing into samples of 2,048, the .bin with xxh3 of
each block and sha256, and its index. shard: what a worker does, from the stored table on: the same, and it reads and
checks the texts, has the proof on its sample and writes the segments. count: the tokens of the same stored texts, as a
mixture counts its candidates. encode: ids and text offsets alone, beside
``tokenizers`` (encode_batch_fast, one thread), whose ids are compared with the kernel's document by document. write: a
.bin of so many tokens with both hashes, beside numpy's ``tofile`` of the same bytes, without. CPU seconds (user and
system) in turns, medians of ROUNDS. Then whether releases hold what they promise (release_checks.py). Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import samples
from release_checks import checked
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from warehouse.contracts import DOCUMENTS, Snapshot, content_hash
from warehouse.datasets.encoding import make_encoder
from warehouse.datasets.hashed import HashedFile
from warehouse.datasets.indexes import write_indexes
from warehouse.datasets.packing import arrange
from warehouse.datasets.recipe import END_OF_TEXT, PAD, DatasetRecipe
from warehouse.datasets.shards import ShardTask, count_tokens, encode, make_shard, write_samples
from warehouse.datasets.vocabulary import Ids, open_vocabulary

ROUNDS, LENGTH, VOCABULARY, TRAINED_ON, BATCH = 3, 2048, 32_768, 4_000_000, 4_000_000
CHECKED = 500  # documents in the releases of release_checks.py
WRITTEN = 200_000_000  # bytes of tokens
RECIPE = DatasetRecipe("bench", "SELECT doc_id FROM repository.documents", sequence_length=LENGTH)


def main() -> None:
    """Everything above, a line each, and all of it as JSON in the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mb", type=int, default=30)
    texts = samples.of(samples.whole(samples.DATA, parser.parse_args().mb * 1_000_000))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryDirectory(prefix="bench-datasets-") as folder:
        measured = measure(Path(folder), texts) | checked(Path(folder), texts[:CHECKED])
    for name, value in measured.items():
        print(f"{name:32} {value}")
    print(json.dumps(measured))


def measure(folder: Path, texts: list[str]) -> dict[str, float]:
    """The figures by name."""
    (folder / "recipe").mkdir()
    path = folder / "recipe/tokenizer.json"
    path.write_text(trained(texts), "utf-8")
    vocabulary = open_vocabulary(path, RECIPE)
    batches = cut(texts)

    def kernel() -> list[Ids]:
        encoder = make_encoder(vocabulary.tokenizer, vocabulary.eos_id, vocabulary.dtype)
        assert encoder is not None
        return [ids for batch in batches for ids, _ in encoder(batch)]

    def alone() -> None:
        for batch in batches:
            vocabulary.tokenizer.encode_batch_fast(batch, add_special_tokens=False)

    mine = kernel()
    theirs = [ids for batch in batches for ids, _ in encode(batch, vocabulary)]
    equal = sum(map(np.array_equal, mine, theirs)) / len(texts)
    tokens = sum(ids.size for ids in mine)
    task = stored(folder, texts)
    make_shard(task)

    def whole() -> None:
        made = kernel()
        placed = arrange(np.array([ids.size for ids in made], np.int64), LENGTH, "best_fit")
        with HashedFile(folder, "whole") as file:
            write_samples(file, np.concatenate(made), placed, LENGTH, vocabulary.pad_id)
        file.entry()
        write_indexes(folder, "whole", placed, sequence_length=LENGTH, dtype=vocabulary.dtype)

    repeats = -(-WRITTEN // (tokens * 2))
    stream = np.concatenate(mine * repeats)
    pieces = arrange(np.array([ids.size for ids in mine] * repeats, np.int64), LENGTH, "best_fit")

    def ours() -> None:
        with HashedFile(folder, "ours") as file:
            write_samples(file, stream, pieces, LENGTH, vocabulary.pad_id)
        file.entry()

    spent = in_turns(
        {
            "whole": whole,
            "shard": lambda: make_shard(task),
            "count": lambda: count_tokens(task),
            "encode": kernel,
            "tokenizers": alone,
            "write": ours,
            "numpy_write": lambda: stream.tofile(folder / "numpy"),
        }
    )
    pace = {name: tokens / spent[name] for name in ("whole", "shard", "count", "encode", "tokenizers")}
    written = {name: stream.nbytes / 1e6 / spent[name] for name in ("write", "numpy_write")}
    return {
        "documents": len(texts),
        "tokens": tokens,
        "tokens_per_cpu_s": round(pace["whole"]),
        "shard_tokens_per_cpu_s": round(pace["shard"]),
        "count_tokens_per_cpu_s": round(pace["count"]),
        "encode_tokens_per_cpu_s": round(pace["encode"]),
        "tokenizers_tokens_per_cpu_s": round(pace["tokenizers"]),
        "ids_equal_share": equal,
        "write_mb_per_cpu_s": round(written["write"]),
        "numpy_write_mb_per_cpu_s": round(written["numpy_write"]),
    }


def trained(texts: list[str]) -> str:
    """tokenizer.json as releases train it, on the first TRAINED_ON characters."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=2,
        special_tokens=[END_OF_TEXT, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(cut(texts, TRAINED_ON)[0], trainer)
    return str(tokenizer.to_str())


def cut(texts: list[str], size: int = BATCH) -> list[list[str]]:
    """The texts in batches of some ``size`` characters, as a shard has them."""
    batches: list[list[str]] = [[]]
    filled = 0
    for text in texts:
        if filled >= size:
            batches.append([])
            filled = 0
        batches[-1].append(text)
        filled += len(text)
    return batches


def stored(folder: Path, texts: list[str]) -> ShardTask:
    """The task of one shard of all texts, stored as a table of documents in one Parquet file."""
    ids = [f"{number:032x}" for number in range(len(texts))]
    hashed = [content_hash(text) for text in texts]
    filled = {"doc_id": pa.array(ids), "text": pa.array(texts, pa.large_string()), "content_hash": pa.array(hashed)}
    columns = [
        filled[each.name].cast(each.type) if each.name in filled else pa.nulls(len(texts), each.type)
        for each in DOCUMENTS
    ]
    table = pa.table(columns, schema=pa.schema([each.with_nullable(True) for each in DOCUMENTS]))
    path = folder / "documents.parquet"
    pq.write_table(table, path, compression="zstd", row_group_size=1024)
    snapshot = Snapshot("documents", 0, (str(path),), table.schema, len(texts), path.stat().st_size)
    wanted = pa.table({"doc_id": ids, "content_hash": hashed})
    return ShardTask(folder, "train", 0, RECIPE, wanted, snapshot, 4096, threads=False)


def in_turns(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """CPU seconds of each, the median of ROUNDS in which each runs once."""
    spent: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            began = cpu_s()
            function()
            spent[name].append(cpu_s() - began)
    return {name: median(times) for name, times in spent.items()}


def cpu_s() -> float:
    """User and system time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()

"""From a training sample back to the documents it is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow.parquet as pq

from warehouse.datasets.kinds import load_tokens
from warehouse.datasets.masks import stored_range, stored_text_is_tokenised
from warehouse.datasets.rendering import DOCUMENTS
from warehouse.datasets.vocabulary import Ids, Vocabulary, open_vocabulary
from warehouse.errors import NotFound
from warehouse.manifest import AnyManifest, Manifest, Shard, TableManifest, TableShard, read_manifest, refuse_part

PREVIEW = 200


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a document in a sample.

    position, length: tokens in the sample; token_offset: of the first in the document; text_start, text_end: UTF-8
    bytes of the document's stored text they stand for (equal for the end-of-text token alone; of a mask, the span that
    it hides); preview: the text, decoded.
    """

    split: str
    sample: int
    position: int
    length: int
    token_offset: int
    text_start: int
    text_end: int
    preview: str
    doc_id: str
    source: str
    uri: str
    record: str
    object_sha256: str
    content_hash: str
    licence: str | None
    language: str | None
    known_at: datetime
    synthetic: bool


FACTS = (
    "doc_id",
    "source",
    "uri",
    "record",
    "object_sha256",
    "content_hash",
    "licence",
    "language",
    "known_at",
    "synthetic",
)


def trace(path: Path, split: str, sample: int, token: int | None = None) -> list[Segment]:
    """The pieces of a sample (numbered within its split, as the loader does), or the one that holds ``token``.

    Raises NotFound for a split, sample or token that is not there, and for one that is padding.
    """
    refuse_part(path)
    manifest = read_manifest(path)
    shard, local = locate(manifest, split, sample)
    vocabulary = vocabulary_of(path)
    ids = _ids(path / shard.data, manifest, local)
    rows = pq.read_table(path / shard.segments, filters=[("sample", "=", local)]).to_pylist()
    facts = _documents(path, [shard.first_document + row["document"] for row in rows])
    hidden = [fact.pop("masked", []) for fact in facts]
    found = [
        _segment(row, fact, split=split, sample=sample, ids=ids, vocabulary=vocabulary)
        for row, fact in zip(rows, facts, strict=True)
    ]
    chosen = found if token is None else [_narrowed(found, token, ids, vocabulary)]
    masks = dict(zip((fact["doc_id"] for fact in facts), hidden, strict=True))
    return [_stored(segment, masks[segment.doc_id]) for segment in chosen]


def vocabulary_of(path: Path) -> Vocabulary:
    """The vocabulary of the release of texts in a folder."""
    recipe = path / "recipe"
    return open_vocabulary(recipe / "tokenizer.json", load_tokens(recipe / "recipe.yaml"))


def _stored(segment: Segment, masks: list[dict[str, Any]]) -> Segment:
    """The segment with its range in the stored text in place of the one in the masked text."""
    start, end = stored_range(segment.text_start, segment.text_end, masks)
    return replace(segment, text_start=start, text_end=end)


@overload
def locate(manifest: Manifest, split: str, sample: int) -> tuple[Shard, int]: ...
@overload
def locate(manifest: TableManifest, split: str, sample: int) -> tuple[TableShard, int]: ...
def locate(manifest: AnyManifest, split: str, sample: int) -> tuple[Shard | TableShard, int]:
    """The shard that holds a sample of a split, and the sample's number in it."""
    if split not in manifest.splits:
        raise NotFound(f"no split {split!r} in {manifest.name}", allowed=", ".join(manifest.splits))
    local = sample
    for shard in manifest.splits[split].shards:
        if 0 <= local < shard.samples:
            return shard, local
        local -= shard.samples
    most = manifest.splits[split].samples - 1
    raise NotFound(f"no sample {sample} in split {split!r} of {manifest.name}", allowed=f"0 to {most}")


def _ids(path: Path, manifest: Manifest, local: int) -> Ids:
    dtype, length = np.dtype(manifest.dtype), manifest.sequence_length
    return np.fromfile(path, dtype=dtype, count=length, offset=local * length * dtype.itemsize)


def _documents(path: Path, numbers: list[int]) -> list[dict[str, Any]]:
    masked = ["masked"] if stored_text_is_tokenised(pq.read_schema(path / DOCUMENTS).names) else []
    table = pq.read_table(path / DOCUMENTS, columns=[*FACTS, *masked])
    rows: list[dict[str, Any]] = table.take(numbers).to_pylist()
    return rows


def _segment(
    row: dict[str, int], facts: dict[str, Any], *, split: str, sample: int, ids: Ids, vocabulary: Vocabulary
) -> Segment:
    start, length = row["position"], row["length"]
    places = (start, length, row["token_offset"], row["text_start"], row["text_end"])
    return Segment(split, sample, *places, _preview(ids[start : start + length], vocabulary), **facts)


def _preview(ids: Ids, vocabulary: Vocabulary) -> str:
    text = vocabulary.tokenizer.decode(ids[:PREVIEW].tolist(), skip_special_tokens=True)
    return str(text)[:PREVIEW]


def _narrowed(found: list[Segment], token: int, ids: Ids, vocabulary: Vocabulary) -> Segment:
    """The segment cut down to one token; its text range too where each id stands for bytes of its own."""
    for segment in found:
        if segment.position <= token < segment.position + segment.length:
            return _cut(segment, token, ids, vocabulary)
    raise NotFound(
        f"token {token} of sample {found[0].sample} is no text",
        allowed=f"0 to {found[-1].position + found[-1].length - 1}; padding follows",
    )


def _cut(segment: Segment, token: int, ids: Ids, vocabulary: Vocabulary) -> Segment:
    sizes = vocabulary.byte_lengths[ids[segment.position : segment.position + segment.length]]
    start, end = segment.text_start, segment.text_end
    before = token - segment.position
    if int(sizes.sum()) == end - start:
        start = segment.text_start + int(sizes[:before].sum())
        end = start + int(sizes[before])
    preview = _preview(ids[token : token + 1], vocabulary)
    return replace(
        segment,
        position=token,
        length=1,
        token_offset=segment.token_offset + before,
        text_start=start,
        text_end=end,
        preview=preview,
    )

"""From documents to the samples that hold them: ``trace`` the other way round.

What a shard's segments say is read once for all documents asked for, so a whole host costs no more than one page of it:
documents.parquet without its masks, and the segments of those shards that hold any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.datasets.masks import stored_range, stored_text_is_tokenised
from warehouse.datasets.rendering import DOCUMENTS
from warehouse.manifest import read_manifest


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens of a document in a sample.

    sample: its number within the split; position, length: tokens in the sample; token_offset: of the first in the
    document; text_start, text_end: UTF-8 bytes of the document's stored text, as ``Segment`` has them.
    """

    split: str
    sample: int
    position: int
    length: int
    token_offset: int
    text_start: int
    text_end: int
    doc_id: str
    uri: str


def holding(path: Path, documents: Collection[int]) -> Iterator[Piece]:
    """Every piece of the documents, given by their rows of documents.parquet, in order of split, shard and sample."""
    wanted = np.unique(np.array(list(documents), dtype=np.int64))
    facts = _facts(path, wanted)
    for name, split in read_manifest(path).splits.items():
        first = 0
        for shard in split.shards:
            low, high = np.searchsorted(wanted, [shard.first_document, shard.first_document + shard.documents])
            if low < high:
                rows, own = wanted[low:high] - shard.first_document, facts.slice(low, high - low).to_pylist()
                segments = _segments(path / shard.segments, dict(zip(rows.tolist(), own, strict=True)))
                yield from (_piece(name, first, segment, fact) for segment, fact in segments)
            first += shard.samples


def _facts(path: Path, wanted: npt.NDArray[np.int64]) -> pa.Table:
    masked = ["masked"] if stored_text_is_tokenised(pq.read_schema(path / DOCUMENTS).names) else []
    return pq.read_table(path / DOCUMENTS, columns=["doc_id", "uri", *masked]).take(wanted)


def _segments(path: Path, facts: dict[int, dict[str, Any]]) -> Iterator[tuple[dict[str, int], dict[str, Any]]]:
    """Rows of a shard's segments with the facts of their documents, those of ``facts`` only."""
    segments = pq.read_table(path)
    mine = segments.filter(pc.is_in(segments["document"], value_set=pa.array(list(facts), pa.int64())))
    return ((segment, facts[segment["document"]]) for segment in mine.to_pylist())


def _piece(split: str, first: int, segment: dict[str, int], fact: dict[str, Any]) -> Piece:
    start, end = stored_range(segment["text_start"], segment["text_end"], fact.get("masked", []))
    places = (segment["position"], segment["length"], segment["token_offset"], start, end)
    return Piece(split, first + segment["sample"], *places, fact["doc_id"], fact["uri"])

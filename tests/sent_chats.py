"""Conversations read out of a release by the layout of its files alone, without the stack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from warehouse.manifest import Manifest


@dataclass(frozen=True)
class Sent:
    """A conversation as it went out: ids and what is learnt of them, by the layout of the files alone."""

    ids: list[int]
    learnt: list[bool]
    row: dict[str, Any]


def sent(path: Path, manifest: Manifest) -> Iterator[Sent]:
    """Every conversation of documents.parquet; those that did not go out have no ids."""
    frozen = pq.read_table(path / "documents.parquet").to_pylist()
    size = manifest.sequence_length
    for shard in (shard for split in manifest.splits.values() for shard in split.shards):
        samples = np.fromfile(path / shard.data, manifest.dtype).reshape(-1, size)
        bits = np.fromfile(path / shard.mask, "u1").reshape(-1, -(-size // 8))
        pieces: dict[int, list[tuple[int, list[int], list[bool]]]] = {}
        for piece in pq.read_table(path / shard.segments).to_pylist():
            places = range(piece["position"], piece["position"] + piece["length"])
            ids = [int(samples[piece["sample"], place]) for place in places]
            learnt = [bool(bits[piece["sample"], place // 8] >> (place % 8) & 1) for place in places]
            pieces.setdefault(piece["document"], []).append((piece["token_offset"], ids, learnt))
        for number in range(shard.documents):
            parts = sorted(pieces.get(number, []))
            ids, learnt = ([value for part in parts for value in part[at]] for at in (1, 2))
            yield Sent(ids, learnt, frozen[shard.first_document + number])

"""Personal data left out of conversations: searched for in every message when a release is made, and masked there.

All that a release says of a conversation is made of its masked messages, so what a mask hides is nowhere in it, not
even in a hash that a guess could be held against, and --rebuild needs no search. Each mask stands beside them with its
place: bytes of the contents as they were selected, one after another. Lost: what two messages hold together, and what
the search does not see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.datasets.masks import masked_text
from warehouse.datasets.recipe import DatasetRecipe
from warehouse.kernels.texts import parts

PART_BYTES = 16 << 20
BODIES = pa.schema([("doc_id", pa.string()), ("text", pa.large_string())])

FindPersonal = Callable[[pa.RecordBatch], pa.RecordBatch]
"""From doc_id and text to the doc_id, kind, start, stop and mask of each span, in the order of each text; a start of -1
stands for none.
"""
Masks = list[dict[str, Any]]
Messages = list[dict[str, str]]


def without_personal(
    recipe: DatasetRecipe, rows: Sequence[Messages], find: FindPersonal
) -> tuple[list[Messages], list[Masks]]:
    """The conversations with the recipe's kinds of personal data masked, and the masks of each, by place."""
    if not recipe.mask:
        return list(rows), [[] for _ in rows]
    spans = _spans(recipe, [message["content"] for messages in rows for message in messages], find)
    changed, masks, first = list[Messages](), list[Masks](), 0
    for messages in rows:
        last = first + len(messages)
        masked, placed = _masked(messages, [spans.get(number, []) for number in range(first, last)])
        changed.append(masked)
        masks.append(placed)
        first = last
    return changed, masks


def _spans(recipe: DatasetRecipe, contents: Sequence[str], find: FindPersonal) -> Mapping[int, Masks]:
    """The spans to mask of each content that holds any, by its number."""
    found: dict[int, Masks] = {}
    for span in _searched(contents, find):
        if span["kind"] in recipe.mask:
            found.setdefault(int(span.pop("doc_id")), []).append(span)
    return found


def _searched(contents: Sequence[str], find: FindPersonal) -> Iterator[dict[str, Any]]:
    names = pa.array(map(str, range(len(contents))), pa.string())
    bodies = pa.RecordBatch.from_arrays([names, pa.array(contents, pa.large_string())], schema=BODIES)
    for part in parts(bodies, max_bytes=PART_BYTES):
        spans = find(part).select(["doc_id", "kind", "start", "stop", "mask"])
        yield from spans.filter(pc.greater_equal(spans["start"], 0)).to_pylist()


def _masked(messages: Messages, spans: Sequence[Masks]) -> tuple[Messages, Masks]:
    """The messages with their masks in place, and the masks at their places in the contents one after another."""
    changed, placed, before = list[dict[str, str]](), list[dict[str, Any]](), 0
    for message, masks in zip(messages, spans, strict=True):
        content = message["content"]
        changed.append({**message, "content": masked_text(content, masks)})
        placed += [{**mask, "start": mask["start"] + before, "stop": mask["stop"] + before} for mask in masks]
        before += len(content.encode())
    return changed, placed

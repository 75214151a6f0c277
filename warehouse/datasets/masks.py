"""Personal data left out of a release: spans that the repository knows, frozen beside each document with their masks.

A release holds places and masks only, so --rebuild masks the same bytes whatever later versions of the search find.
Lost: a span that the search did not see goes out as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse import query
from warehouse.contracts import Snapshot
from warehouse.datasets.recipe import DatasetRecipe
from warehouse.errors import NotFound

_MASK = pa.struct([("kind", pa.string()), ("start", pa.int64()), ("stop", pa.int64()), ("mask", pa.string())])
MASKED = pa.list_(pa.field("element", _MASK))
"""Parquet calls the items of every list so; under another name a rebuild would not write the same bytes."""

_MASKS = """
WITH spans AS ({spans}),
masks AS (
    SELECT
        doc_id,
        list({{'kind': kind, 'start': start, 'stop': stop, 'mask': mask}} ORDER BY start)
            FILTER (list_contains($1, kind)) AS masked,
        sum(strlen(mask) - (stop - start)) FILTER (list_contains($1, kind)) AS growth
    FROM spans
    WHERE version = (SELECT max(version) FROM spans)
    GROUP BY doc_id
)
SELECT facts.* REPLACE (CAST(bytes + coalesce(growth, 0) AS BIGINT) AS bytes), coalesce(masked, []) AS masked
FROM facts JOIN masks USING (doc_id)
"""


def with_masks(recipe: DatasetRecipe, facts: pa.Table, con: query.Connection, spans: Snapshot | None) -> pa.Table:
    """``facts`` with the column ``masked``: the spans of the recipe's kinds in order; bytes count the masked text.

    Raises NotFound where documents were not searched for personal data and the recipe masks some.
    """
    if not recipe.mask:
        return facts.append_column("masked", pa.array([[]] * facts.num_rows, MASKED))
    found = _joined(recipe, facts, con, spans) if spans else facts.slice(0, 0)
    if found.num_rows < facts.num_rows:
        raise NotFound(
            f"{facts.num_rows - found.num_rows} of {facts.num_rows} selected documents were not searched for personal "
            f"data, which {recipe.at} masks",
            do="run 'warehouse run repository/pii+', so that the snapshot knows every document's spans",
        )
    return found


def _joined(recipe: DatasetRecipe, facts: pa.Table, con: query.Connection, spans: Snapshot) -> pa.Table:
    private = con.cursor()
    private.register("facts", facts)
    try:
        return query.arrow(private, _MASKS.format(spans=query.relation_sql(private, spans)), [list(recipe.mask)])
    finally:
        private.close()


def remasked(facts: pa.Table, masks: Sequence[list[dict[str, Any]]]) -> pa.Table:
    """``facts`` with other masks; bytes count the text as it goes out."""
    sizes = [
        size - grown(old) + grown(new)
        for size, old, new in zip(facts["bytes"].to_pylist(), facts["masked"].to_pylist(), masks, strict=True)
    ]
    return replaced(facts, {"bytes": pa.array(sizes, pa.int64()), "masked": pa.array(masks, MASKED)})


def replaced(facts: pa.Table, columns: Mapping[str, Any]) -> pa.Table:
    """``facts`` with these of its columns in place of its own."""
    return pa.table({name: columns.get(name, facts[name]) for name in facts.column_names}, schema=facts.schema)


def grown(masks: Sequence[dict[str, Any]]) -> int:
    """Bytes that a text has more once it is masked."""
    return sum(len(each["mask"].encode()) - (each["stop"] - each["start"]) for each in masks)


def stored_text_is_tokenised(columns: Collection[str]) -> bool:
    """Whether the masks of a documents.parquet with these columns are places in what its tokens stand for.

    Not those of conversations, which stand for the words of a template; and once there were releases without masks.
    """
    return "masked" in columns and "messages" not in columns


def masked_text(text: str, masks: Sequence[dict[str, Any]]) -> str:
    """The text with the bytes start..stop of each mask, in order, replaced by it."""
    if not masks:
        return text
    raw, at, parts = text.encode(), 0, list[bytes]()
    for each in masks:
        parts += [raw[at : each["start"]], each["mask"].encode()]
        at = each["stop"]
    return b"".join([*parts, raw[at:]]).decode()


def stored_range(start: int, stop: int, masks: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """Bytes of the stored text that start..stop of the masked one stand for; of part of a mask: its whole span.

    What left nothing in its place counts where it lies between two of these bytes, not at their edges.
    """
    last = _stored(stop, masks, "stop")
    return (_stored(start, masks, "start") if start < stop else last), last


def _stored(place: int, masks: Sequence[dict[str, Any]], side: str) -> int:
    growth = 0
    for each in masks:
        first = each["start"] + growth
        if place < first or (place == first and (each["mask"] or side == "stop")):
            break
        growth += len(each["mask"]) - (each["stop"] - each["start"])
        if place < each["stop"] + growth:
            return int(each[side])
    return place - growth


def summary(recipe: DatasetRecipe, documents: pa.Table) -> dict[str, Any]:
    """What was masked: spans by kind of the recipe, and documents that held any; empty if the recipe masks nothing."""
    if not recipe.mask:
        return {}
    spans = documents["masked"].combine_chunks()
    kinds, holders = spans.flatten().field("kind"), pc.list_parent_indices(spans)
    counted = Counter(kinds.to_pylist())
    personal = pc.is_in(kinds, pa.array(recipe.mask, pa.string()))
    masked = {kind: counted[kind] for kind in recipe.mask}
    return {"masked": masked, "documents": len(pc.unique(holders.filter(personal)))}

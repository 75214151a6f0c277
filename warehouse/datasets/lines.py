"""Lines left out of a release as C4's filter leaves them out: spans of the stored text, beside its masks and cuts.

``c4``: what datatrove 0.10.1's C4QualityFilter leaves by default; ``c4_open``: without the rule of terminal marks,
FineWeb's setting. The spans are frozen beside each document, so --rebuild leaves the same bytes whatever later versions
of the rules say. The rules that drop a document (lorem ipsum, a curly bracket, too few sentences) are for the select to
ask: of a document that it takes nonetheless only the line falls. Texts of which the same is left are one cluster by
default.

Lost: personal data is found in the stored text, so what only the lines taken out put together is not masked. Memory:
some 35 bytes a span, of which there is one for each run of lines that fall and one for each citation.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse import query
from warehouse.contracts import Snapshot, Words
from warehouse.datasets.masks import MASKED, masked_text, remasked, replaced, stored_range
from warehouse.datasets.recipe import DatasetRecipe, Lines
from warehouse.datasets.texts import SAME_TEXT, stored_texts
from warehouse.errors import CheckFailed
from warehouse.kernels import c4
from warehouse.kernels.texts import Counts, parts, texts

PART_BYTES = 16 << 20
SPANS = pa.schema([(name, pa.string()) for name in ("doc_id", "benchmark", "item")])
SPANS = SPANS.append(pa.field("start", pa.int64())).append(pa.field("stop", pa.int64()))
"""Where a text holds words of a benchmark."""
EDITS = pa.schema([("doc_id", pa.string()), ("masked", MASKED), ("growth", pa.int64()), ("cluster", pa.string())])
"""What a text loses, the bytes that it grows by, and the default cluster of what is left."""
BODIES = pa.schema([("doc_id", pa.string()), ("text", pa.large_string())])
LinesOf = tuple[pa.Array, Counts, Counts]
"""Of each text the spans that it loses (MASKED), the bytes that it grows by, its counts (c4.EDITED)."""
Search = Callable[[pa.RecordBatch], pa.RecordBatch]
"""From doc_id and text to SPANS, among other columns; a start of -1 stands for none."""


@dataclass(frozen=True, slots=True)
class Edited:
    """What may go out. edits: of the texts that change (EDITS); again: what is left of these holds of benchmarks, as
    places in the stored text (SPANS); verdict: for the manifest, empty where nothing was asked.
    """

    selection: pa.Table
    edits: pa.Table = field(default_factory=EDITS.empty_table)
    again: pa.Table = field(default_factory=SPANS.empty_table)
    verdict: Mapping[str, Any] = field(default_factory=dict)


def words_of(con: query.Connection) -> Words:
    """The mode of words by which a snapshot decides; spacy_en where it does not say."""
    if "staging.signals_mode" not in query.relations(con):
        return "spacy_en"
    found = query.fetch_one(con, "SELECT words_mode FROM staging.signals_mode")
    return found[0] if found and found[0] else "spacy_en"


def edit(
    recipe: DatasetRecipe, selection: pa.Table, documents: Snapshot, search: Search | None, words: Words = "spacy_en"
) -> Edited:
    """The selection as the recipe's ``lines`` wants it: a document of which no line is left is not in it.

    search: for benchmarks in what is left of a text; words: the mode by which lines are judged. Raises CheckFailed
    where no document is left.
    """
    if recipe.lines is None:
        return Edited(selection)
    folds = recipe.cluster is None and "cluster" not in selection.column_names
    ids = selection["doc_id"]
    with query.connect(threads=1) as con:
        folding = con if folds else None
        found = [
            _part(lines_of(part["text"], recipe.lines, words), ids.take(part["row"]), part["text"], search, folding)
            for batch in stored_texts(selection, documents, threads=0)
            for part in parts(batch, max_bytes=PART_BYTES)
        ]
    edits = pa.concat_tables([EDITS.empty_table(), *(part.edits for part in found)])
    bare = pa.chunked_array([part.bare for part in found], pa.string())
    if len(bare) == selection.num_rows:
        raise CheckFailed(
            f"lines: {recipe.lines} leaves no line of the {len(bare)} documents that {recipe.at} selects",
            allowed="some with a line that is kept",
            do=f"select documents with {recipe.lines}_kept_lines > 0 in staging.current_signals",
        )
    return Edited(
        selection.filter(pc.invert(pc.is_in(selection["doc_id"], bare))),
        edits,
        pa.concat_tables([SPANS.empty_table(), *(part.again for part in found)]),
        _verdict(
            recipe.lines, edits, len(bare), sum((part.counts for part in found), np.zeros(len(c4.EDITED), np.int64))
        ),
    )


def _verdict(rule: Lines, edits: pa.Table, bare: int, counts: Counts) -> dict[str, Any]:
    """What the manifest says of the lines of documents that go out, and how many do not."""
    counted = dict(zip(c4.EDITED, counts.tolist(), strict=True))
    return {
        "rule": rule,
        "kept": counted["kept"],
        "dropped": {reason: counted[reason] for reason in c4.EDITED[1:8]},
        "citations": counted["citations"],
        "bytes": -int(pc.sum(edits["growth"]).as_py() or 0),
        "documents": edits.num_rows,
        "left_out": {"no_line_kept": bare},
    }


@dataclass(frozen=True, slots=True)
class _Part:
    """Of some documents: EDITS and SPANS, the ids of those of which nothing is left, the counts of the others."""

    edits: pa.Table
    again: pa.Table
    bare: pa.ChunkedArray
    counts: Counts


def _part(
    lost: LinesOf, ids: pa.ChunkedArray, column: pa.Array, search: Search | None, folding: query.Connection | None
) -> _Part:
    masked, growth, counts = lost
    left = pc.fill_null(pc.binary_length(column), 0).to_numpy() + growth > 0
    changed = left & (counts[:, -1] > 0)
    names, spans = ids.filter(changed), masked.filter(changed)
    pairs = zip(column.filter(changed).to_pylist(), spans.to_pylist(), strict=True)
    bodies = pa.table([names, [masked_text(text, lost) for text, lost in pairs]], schema=BODIES)
    cluster = _clusters(bodies, folding) if folding else pa.nulls(len(names), pa.string())
    edits = pa.table([names, spans, growth[changed], cluster], schema=EDITS)
    again = _searched(bodies, spans, search) if search else SPANS.empty_table()
    return _Part(edits, again, ids.filter(~left), counts[left].sum(axis=0))


def lines_of(column: pa.Array, rule: Lines, words: Words = "spacy_en") -> LinesOf:
    """Of each text of a column the spans that it loses (MASKED), the bytes that it grows by, its counts (c4.EDITED)."""
    spans, counts = c4.edits(texts(column), needs_mark=rule == "c4", words=words)
    ends = np.concatenate([[0], np.cumsum(counts[:, -1])])
    grown_by = np.concatenate([[0], np.cumsum(spans[:, 2] - (spans[:, 1] - spans[:, 0]))])
    feeds = pc.if_else(pa.array(spans[:, 2] > 0), "\n", "")
    columns = [pa.repeat(rule, len(spans)), pa.array(spans[:, 0]), pa.array(spans[:, 1]), feeds]
    items = pa.StructArray.from_arrays(columns, fields=list(MASKED.value_type))
    masked = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), items, type=MASKED)
    return masked, np.diff(grown_by[ends]), counts


def _clusters(bodies: pa.Table, con: query.Connection) -> pa.ChunkedArray:
    """The default cluster of each of these texts."""
    con.register("bodies", bodies.append_column("row", pa.array(range(bodies.num_rows), pa.int64())))
    return query.arrow(con, f"SELECT {SAME_TEXT} AS cluster FROM bodies ORDER BY row")["cluster"]


def _searched(bodies: pa.Table, lost: pa.Array, search: Search) -> pa.Table:
    """What the search finds in texts without the spans that they lost, as places in the stored texts."""
    masks = dict(zip(bodies["doc_id"].to_pylist(), lost.to_pylist(), strict=True))
    [batch] = bodies.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], BODIES)]
    found = pa.Table.from_batches([search(batch)]).select(SPANS.names)
    rows = found.filter(pc.greater_equal(found["start"], 0)).to_pylist()
    for row in rows:
        row["start"], row["stop"] = stored_range(row["start"], row["stop"], masks[row["doc_id"]])
    return pa.Table.from_pylist(rows, SPANS)


def with_lines(facts: pa.Table, edits: pa.Table) -> pa.Table:
    """``facts`` with the spans of ``edits`` among the masks, and their clusters; bytes count what goes out."""
    if not edits.num_rows:
        return facts
    at = pc.index_in(facts["doc_id"], edits["doc_id"])
    loses, growth = edits["masked"].take(at), pc.fill_null(edits["growth"].take(at), 0)
    mixed = pc.and_(pc.is_valid(at), pc.greater(pc.list_value_length(facts["masked"]), 0))
    facts = replaced(facts, {"cluster": pc.coalesce(edits["cluster"].take(at), facts["cluster"])})
    met = facts.filter(mixed)
    pairs = zip(met["masked"].to_pylist(), loses.filter(mixed).to_pylist(), strict=True)
    columns = {
        "bytes": pc.add(facts["bytes"], growth),
        "cluster": pc.coalesce(edits["cluster"].take(at), facts["cluster"]),
        "masked": pc.coalesce(loses, facts["masked"]),
    }
    alone = replaced(facts, columns).filter(pc.invert(mixed))
    return pa.concat_tables([alone, remasked(met, [laid(masks, spans) for masks, spans in pairs])])


def laid(masks: Sequence[dict[str, Any]], lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Masks and the spans of lines by place, each in order and apart: a mask stands for what lines leave of its span.

    One of which they leave nothing is gone; a span of lines inside what is left goes with it.
    """
    starts, stops = ([span[side] for span in lines] for side in ("start", "stop"))
    found, gone = list[dict[str, Any]](), set[int]()
    for mask in masks:
        near = range(bisect_right(stops, mask["start"]), bisect_left(starts, mask["stop"]))
        start, stop = mask["start"], mask["stop"]
        for at in near:
            start = stops[at] if starts[at] <= start else start
        for at in reversed(near):
            stop = starts[at] if stop <= stops[at] else stop
        if start < stop:
            found.append({**mask, "start": start, "stop": stop})
            gone |= {at for at in near if start < starts[at] < stop}
    kept = [span for at, span in enumerate(lines) if at not in gone]
    return sorted([*found, *kept], key=lambda span: int(span["start"]))

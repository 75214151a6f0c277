"""Benchmarks kept out of a release: documents that hold word 13-grams of one dropped, or those runs of words cut out.

Cuts go the way of masks: frozen beside each document, so --rebuild cuts the same bytes whatever is registered later.
MARK stands in the place of a cut and holds a word, so that what stood before it and what stood after it make no 13-gram
together. A cut that meets a mask takes it in. Lost: a document that is all benchmark goes out as its mark alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse import query
from warehouse.contracts import Snapshot
from warehouse.datasets.lines import SPANS, Edited, Search
from warehouse.datasets.masks import remasked
from warehouse.datasets.recipe import DatasetRecipe
from warehouse.errors import CheckFailed, NotFound

MARK = "[cut]"


@dataclass(frozen=True, slots=True)
class Overlap:
    """The pinned tables ``benchmarks`` and ``contamination``, and what makes a search for the first in other texts."""

    benchmarks: Snapshot
    contamination: Snapshot
    search: Callable[[], Search]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What may go out. edits: what texts lose (EDITS); spans: to cut (SPANS); verdict: for the manifest, empty where
    nothing was asked.
    """

    selection: pa.Table
    edits: pa.Table
    spans: pa.Table = field(default_factory=SPANS.empty_table)
    verdict: Mapping[str, Any] = field(default_factory=dict)


_REGISTERED = """
CREATE OR REPLACE TEMP TABLE registered AS
SELECT _source AS benchmark, count(DISTINCT (item, ordinal, text)) AS passages FROM ({benchmarks}) GROUP BY ALL
"""

_COMPARED = """
CREATE OR REPLACE TEMP TABLE compared AS
WITH measured AS ({contamination})
SELECT doc_id, benchmark, item, start, stop
FROM measured
SEMI JOIN registered USING (benchmark, passages)
SEMI JOIN selection USING (doc_id)
WHERE version = (SELECT max(version) FROM measured)
"""

_WHOLLY = """
SELECT count(*)
FROM (SELECT doc_id FROM compared GROUP BY doc_id HAVING count(DISTINCT benchmark) = (SELECT count(*) FROM registered))
"""


def decontaminate(recipe: DatasetRecipe, edited: Edited, con: query.Connection, overlap: Overlap | None) -> Cleaned:
    """The selection as the recipe's ``contamination`` wants it; of texts that lose lines, what is left of them counts.

    Raises NotFound where no benchmark is registered, or a document was not compared with one; CheckFailed where no
    document is left.
    """
    selection = edited.selection
    if recipe.contamination is None:
        return Cleaned(selection, edited.edits)
    if overlap is None:
        raise NotFound(
            f"no benchmark is registered, and {recipe.at} wants contamination: {recipe.contamination}",
            do="run 'warehouse ingest FILE --as benchmark:NAME', then 'warehouse run'",
        )
    registered, stored = _spans(recipe, selection, con, overlap)
    whole = stored.filter(pc.invert(pc.is_in(stored["doc_id"], edited.edits["doc_id"])))
    spans = pa.concat_tables([whole, edited.again])
    documents = pc.unique(spans["doc_id"])
    verdict = {
        recipe.contamination: dict(sorted(Counter(spans["benchmark"].to_pylist()).items())),
        "documents": len(documents),
        "items": spans.select(["benchmark", "item"]).group_by(["benchmark", "item"]).aggregate([]).num_rows,
        "benchmarks": registered,
    }
    if recipe.contamination == "cut":
        return Cleaned(selection, edited.edits, spans, verdict)
    left = selection.filter(pc.invert(pc.is_in(selection["doc_id"], documents)))
    if not left.num_rows:
        raise CheckFailed(
            f"all {selection.num_rows} documents that {recipe.at} selects hold text of a benchmark",
            allowed="some that hold none",
            do="look at them in curation.contamination",
        )
    return Cleaned(left, edited.edits, verdict=verdict)


def _spans(
    recipe: DatasetRecipe, selection: pa.Table, con: query.Connection, overlap: Overlap
) -> tuple[dict[str, int], pa.Table]:
    """Passages by benchmark, and the spans of the selected documents by place."""
    private = con.cursor()
    private.register("selection", selection)
    try:
        private.execute(_REGISTERED.format(benchmarks=query.relation_sql(private, overlap.benchmarks)))
        private.execute(_COMPARED.format(contamination=query.relation_sql(private, overlap.contamination)))
        [(wholly,)] = query.fetch_all(private, _WHOLLY)
        if wholly < selection.num_rows:
            raise NotFound(
                f"{selection.num_rows - wholly} of {selection.num_rows} selected documents were not compared with "
                f"every benchmark, which {recipe.at} wants",
                do="run 'warehouse run repository/contamination+', so that the snapshot knows what each document holds",
            )
        registered = dict(query.fetch_all(private, "FROM registered ORDER BY benchmark"))
        return registered, query.arrow(private, "FROM compared WHERE start >= 0 ORDER BY ALL").cast(SPANS)
    finally:
        private.close()


def with_cuts(facts: pa.Table, spans: pa.Table) -> pa.Table:
    """``facts`` with the spans among the masks, in any order; bytes count the text as it goes out."""
    if not spans.num_rows:
        return facts
    held = dict[str, list[dict[str, Any]]]()
    for span in spans.to_pylist():
        cut = {"kind": f"{span['benchmark']}:{span['item']}", "mask": MARK}
        held.setdefault(span["doc_id"], []).append({"start": span["start"], "stop": span["stop"], **cut})
    meets = pc.is_in(facts["doc_id"], pc.unique(spans["doc_id"]))
    met, others = facts.filter(meets), facts.filter(pc.invert(meets))
    pairs = zip(met["masked"].to_pylist(), met["doc_id"].to_pylist(), strict=True)
    return pa.concat_tables([others, remasked(met, [merged([*masks, *held[doc_id]]) for masks, doc_id in pairs])])


def merged(masks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Masks and cuts by place, those that overlap as one cut, named as the first of its cuts."""
    found = list[dict[str, Any]]()
    for each in sorted(masks, key=lambda mask: (mask["start"], -mask["stop"], mask["kind"])):
        if not found or each["start"] >= found[-1]["stop"]:
            found.append(each)
            continue
        kind = next(mask["kind"] for mask in (found[-1], each) if mask["mask"] == MARK)
        found[-1] = {**found[-1], "stop": max(found[-1]["stop"], each["stop"]), "kind": kind, "mask": MARK}
    return found

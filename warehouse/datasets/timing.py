"""Splits by time: a cluster goes whole, by the time of its latest document.

So no document of a split is of its end or later, and no cluster lies in two splits. Won: what a model is tested on came
after all that it was trained on. Lost: of a cluster that spans an end the earlier documents too are in the later split.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import TIMESTAMP
from warehouse.datasets.recipe import DatasetRecipe
from warehouse.datasets.shares import Shares, cumulated
from warehouse.errors import CheckFailed, RecipeError

Ints = npt.NDArray[np.int64]

OF_DOCUMENTS = ("known_at", "published_at")
"""Times that the repository has of each document; any other is a column of the select."""


def cut(splits: Shares, times: Ints) -> Ints:
    """The number of the split of each time, cut at the times that stand at the cumulated shares of all of them.

    Equal times are never in two splits.
    """
    ends = np.array([min(end, times.size - 1) for end in cumulated(splits, times.size)], dtype=np.int64)
    return np.searchsorted(np.sort(times)[ends], times, side="right").astype(np.int64)


def split_by_time(recipe: DatasetRecipe, clusters: list[str], times: pa.ChunkedArray) -> Ints:
    """The number of the split of each document: by ``until``, or at the shares of the documents."""
    latest = _latest(clusters, times.cast(pa.int64()).to_numpy())
    if not recipe.until:
        return cut(recipe.splits, latest)
    return np.searchsorted(_ends(recipe), latest, side="right").astype(np.int64)


def _latest(clusters: list[str], times: Ints) -> Ints:
    """For each document the last time of its cluster."""
    codes = pa.array(clusters, pa.string()).dictionary_encode().indices.to_numpy()
    last = np.full(times.size, np.iinfo(np.int64).min, dtype=np.int64)
    np.maximum.at(last, codes, times)
    latest: Ints = last[codes]
    return latest


def _ends(recipe: DatasetRecipe) -> Ints:
    ends: Ints = pa.array(recipe.until, TIMESTAMP).cast(pa.int64()).to_numpy()
    return ends


def timed(recipe: DatasetRecipe, facts: pa.Table) -> pa.Table:
    """``facts`` without documents of the last end of ``until`` or later, which do not go out.

    Raises RecipeError for documents that have no time, CheckFailed where none is left.
    """
    if recipe.time is None:
        return facts
    if missing := facts["time"].null_count:
        raise RecipeError(
            f"{recipe.at}: {missing:,} of {facts.num_rows:,} selected documents have no {recipe.time}",
            allowed="a time for each",
            do=f"leave them out in the select (WHERE {recipe.time} IS NOT NULL), or give a column as time, such as "
            "coalesce(published_at, known_at) AS moment",
        )
    kept = facts.filter(pc.less(facts["time"], pa.scalar(recipe.until[-1], TIMESTAMP))) if recipe.until else facts
    if not kept.num_rows:
        raise CheckFailed(
            f"all {facts.num_rows:,} documents that {recipe.at} selects are of {_text(recipe.until[-1])} or later",
            allowed="some before the last date of until",
            do="state later dates, or select earlier documents",
        )
    return kept


def summary(recipe: DatasetRecipe, selected: int, left: int) -> dict[str, Any]:
    """What the manifest says of time: its column, the ends, and the documents that are too late for any split."""
    if recipe.time is None:
        return {}
    ends = {name: _text(end) for (name, _), end in zip(recipe.splits, recipe.until, strict=False)}
    return {"by": recipe.time, **({"until": ends, "later": selected - left} if ends else {})}


def span(documents: pa.Table) -> tuple[str | None, str | None]:
    """The first and last time of some documents, as ISO 8601 in UTC; None where they have none."""
    if "time" not in documents.column_names or not documents.num_rows:
        return None, None
    ends = pc.min_max(documents["time"]).as_py()
    return _text(ends["min"]), _text(ends["max"])


def _text(moment: datetime) -> str:
    return moment.isoformat()

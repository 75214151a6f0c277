"""A Bayesian network from counts: structure by mutual information of pairs, parameters with a stated smoothing.

Columns are placed as in a maximum spanning tree (Chow and Liu 1968), the one that tells most of those placed first;
each takes up to three placed columns as parents, greedily by mutual information times the part of the candidate's
entropy that no chosen one tells. Pairs are all that it needs, so sites that only send sketches choose the same network
(round one), and count the tables of its families after it (round two). Tried on the census (AUC of a model trained on
synthetic rows, tested on real ones, 0.930 if trained on real ones): this 0.910, less the mean of what they share
(minimum redundancy, maximum relevance: Peng et al. 2005) 0.901, mutual information alone 0.879.

Parameters back off: p_j(x | a1..aj) = (n(x, a1..aj) + s p_{j-1}(x | a1..a(j-1))) / (n(a1..aj) + s), s = SMOOTHING, and
p_0 = n(x) / n. So a context that no row had gives what is known of a shorter one, and no level that no row had.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.errors import UsageError
from warehouse.sketches import MAX_CELLS, Members, TableSketch

Floats = npt.NDArray[np.float64]
MAX_PARENTS = 3
SMOOTHING = 1.0
VERSION = "bn/1"


def mutual_information(sketch: TableSketch) -> Floats:
    """float64 (columns, columns): nats that each pair shares, less the bias of so many cells (Miller 1955); 0 on the
    diagonal.
    """
    size = len(sketch.columns)
    shared = np.zeros((size, size))
    for one in range(size):
        for two in range(one + 1, size):
            shared[one, two] = shared[two, one] = _shared(sketch.table(one, two))
    return shared


def _shared(pair: Any) -> float:
    n = pair.sum()
    if not n:
        return 0.0
    rows, columns = pair.sum(axis=1), pair.sum(axis=0)
    kept = pair > 0
    expected = np.outer(rows, columns)[kept] / n
    plain = float((pair[kept] / n * np.log(pair[kept] / expected)).sum())
    cells = int(kept.sum()) - int((rows > 0).sum()) - int((columns > 0).sum()) + 1
    return max(0.0, plain - cells / (2 * float(n)))


def choose(sketch: TableSketch, *, max_parents: int = MAX_PARENTS) -> tuple[Members, ...]:
    """The parents of each column, the most telling first; a pure function of the counts of pairs.

    No family has more than MAX_CELLS cells, nor a parent that tells nothing.
    """
    shared = mutual_information(sketch)
    told = shared / np.maximum([[_entropy(sketch, at)] for at in range(len(sketch.columns))], 1e-12)
    parents: list[Members] = [()] * len(sketch.columns)
    placed = [int(np.argmax(shared.sum(axis=1)))]
    while len(placed) < len(sketch.columns):
        left = [at for at in range(len(sketch.columns)) if at not in placed]
        child = max(left, key=lambda at: (shared[at, placed].max(), -at))
        parents[child] = _parents(sketch, (shared, told), child, placed, max_parents)
        placed.append(child)
    return tuple(parents)


def _parents(sketch: TableSketch, known: tuple[Floats, Floats], child: int, placed: list[int], most: int) -> Members:
    """known: what pairs share, and the part that it is of the first one's entropy."""
    shared, told = known
    chosen: list[int] = []
    while len(chosen) < most:
        fits = [at for at in placed if at not in chosen and _cells(sketch, (*chosen, at, child)) <= MAX_CELLS]
        fits = [at for at in fits if shared[child, at] > 0]
        if not fits:
            break
        chosen.append(max(fits, key=lambda at: (_gain(shared, told, child, at, chosen), -at)))
    return tuple(chosen)


def _gain(shared: Floats, told: Floats, child: int, parent: int, chosen: list[int]) -> float:
    return float(shared[child, parent] * np.prod(np.maximum(0.0, 1 - told[parent, chosen])))


def _entropy(sketch: TableSketch, at: int) -> float:
    """Nats of one column."""
    counts = sketch.table(at)
    kept = counts[counts > 0] / max(sketch.n, 1)
    return float(-(kept * np.log(kept)).sum())


def _cells(sketch: TableSketch, members: Members) -> int:
    return prod(sketch.columns[at].size for at in members)


def order(parents: tuple[Members, ...]) -> list[int]:
    """The columns, parents before children. Raises UsageError for a cycle."""
    placed: list[int] = []
    while len(placed) < len(parents):
        ready = [at for at, above in enumerate(parents) if at not in placed and set(above) <= set(placed)]
        if not ready:
            raise UsageError("a network with a cycle", allowed="parents that come before their children")
        placed += ready
    return placed


def conditional(sketch: TableSketch, child: int, parents: Members) -> Floats:
    """float64 (parents' sizes..., child's size): the probability of each code of the child in each context."""
    own = sketch.table(child).astype(np.float64)
    found: Floats = own / max(own.sum(), 1.0)
    for count in range(1, len(parents) + 1):
        held = sketch.table(*parents[:count], child).astype(np.float64)
        found = (held + SMOOTHING * found[..., np.newaxis, :]) / (held.sum(axis=-1, keepdims=True) + SMOOTHING)
    return found

"""Edges between numbered nodes: their connected components, and runs of edges whose nodes fit into memory."""

from __future__ import annotations

import numpy as np

from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.texts import Counts


def components(left: Counts, right: Counts, nodes: int) -> Counts:
    """int64[nodes]: the least node of each node's component (union-find, path halving: Tarjan & van Leeuwen 1984)."""
    parents = np.arange(nodes)
    _unite(left, right, parents)
    return parents


def runs(left: Counts, right: Counts, sizes: Counts, limit: int) -> Counts:
    """int64[runs + 1]: where runs of edges begin, and the end; equal ``left`` stand together and share a run.

    The nodes that a run touches have ``sizes`` of ``limit`` in all, or a little more: that of its last left node.
    """
    return np.flatnonzero(_starts(left, right, sizes, limit)) if left.size else np.zeros(1, np.int64)


@compiled
def _unite(left: Counts, right: Counts, parents: Counts) -> None:
    for edge in range(left.size):
        one, other = _root(parents, left[edge]), _root(parents, right[edge])
        parents[max(one, other)] = min(one, other)
    for node in range(parents.size):
        parents[node] = _root(parents, node)


@internal
def _root(parents: Counts, node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@compiled
def _starts(left: Counts, right: Counts, sizes: Counts, limit: int) -> Counts:
    """int64[edges + 1]: 1 where a run begins or all end."""
    starts = np.zeros(left.size + 1, np.int64)
    seen = np.full(sizes.size, -1, np.int64)
    run, held = -1, limit
    for edge in range(left.size):
        if held >= limit and (edge == 0 or left[edge] != left[edge - 1]):
            starts[edge], held = 1, 0
            run += 1
        for node in (left[edge], right[edge]):
            if seen[node] != run:
                seen[node] = run
                held += sizes[node]
    starts[left.size] = 1
    return starts

"""Releases in JAX: each global batch as arrays laid over a mesh, every process reading the rows of its own devices.

Which rows those are is asked of the sharding, so any mesh and any number of processes give the same global arrays, also
where several processes hold the same rows. Extra ``jax`` (for accelerators install jax as its own pages say)::

    sharding = NamedSharding(jax.make_mesh((jax.device_count(),), ("data",)), PartitionSpec("data"))
    loader = Loader("datasets/corpus/1", batch=512, **rows_of(sharding, batch=512))
    for batch in laid_out(loader, sharding, labels=True, threads=2):
        loss = step(batch.tokens, batch.labels)
        checkpoint = {"model": model, "data": loader.state()}

Won: nothing is copied twice and no process reads what its devices do not hold. Lost: a mesh whose processes hold no
equal runs of rows is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from warehouse.errors import MissingExtra, UsageError
from warehouse.loader.course import Numbers
from warehouse.loader.labels import ends_of, labels_of
from warehouse.loader.loader import Loader
from warehouse.loader.mixture import Mixture

try:
    import jax
    from jax.sharding import NamedSharding, PartitionSpec
except ModuleNotFoundError as error:
    raise MissingExtra(f"the package {error.name!r} is not installed", do="pip install 'ml-warehouse[jax]'") from error


class Rows(TypedDict):
    """Which part of each global batch a process reads: options of Loader and Mixture."""

    world: int
    rank: int


@dataclass(frozen=True, slots=True)
class Arrays:
    """A global batch of B rows; L is the sequence length.

    tokens: [B, L], and as asked for labels: int32[B, L], the token after each, IGNORED where there is none to predict,
    and positions: int32[B, L], 0 at the first token of each piece of a document, so ``cumsum(positions == 0, axis=1)``
    numbers the pieces of a row. samples, sources: int64[rows] of numpy, as Batch has them, of this process's rows.
    """

    tokens: jax.Array
    samples: Numbers
    sources: Numbers
    labels: jax.Array | None = None
    positions: jax.Array | None = None


def rows_of(sharding: NamedSharding, *, batch: int) -> Rows:
    """The part of each global batch of ``batch`` rows that this process's devices hold.

    Raises UsageError where that is no run of rows that begins at a multiple of its length.
    """
    held = _runs(sharding, batch)
    first, last = held[0][0], held[-1][1]
    share = last - first
    if any(end != begin for (_, end), (begin, _) in pairwise(held)) or batch % share or first % share:
        raise UsageError(
            f"a mesh in which process {jax.process_index()} holds rows {held} of {batch}",
            allowed="one run of rows a process, all of one length",
            do="put the devices of a process beside one another on the axis of rows, as jax.make_mesh does",
        )
    return Rows(world=batch // share, rank=first // share)


def _runs(sharding: NamedSharding, batch: int) -> list[tuple[int, int]]:
    """Begin and end of each run of rows that a device of this process holds, each once, ascending."""
    of_rows = NamedSharding(sharding.mesh, PartitionSpec(*sharding.spec[:1]))
    found = of_rows.addressable_devices_indices_map((batch,)).values()
    return sorted({index[0].indices(batch)[:2] for index in found})


def laid_out(
    loader: Loader | Mixture,
    sharding: NamedSharding,
    *,
    labels: bool = False,
    positions: bool = False,
    dtype: npt.DTypeLike = np.int32,
    threads: int = 0,
) -> Iterator[Arrays]:
    """The remaining global batches of a loader that was opened with ``rows_of(sharding)``, laid out by ``sharding``.

    dtype: of the tokens; threads as ``Loader.batches``. ``loader.state()`` is where training stands, and resumes in any
    mesh. Raises UsageError for a loader of other rows, or one that keeps a last partial batch.
    """
    _check(loader, rows_of(sharding, batch=loader.course.batch))

    def laid(values: npt.NDArray[np.generic]) -> jax.Array:
        return jax.make_array_from_process_local_data(sharding, values, (loader.course.batch, values.shape[1]))

    for batch in loader.batches(boundaries=labels, loss_mask=labels, positions=positions, threads=threads):
        yield Arrays(
            laid(batch.tokens.astype(dtype)),
            batch.samples,
            batch.sources,
            laid(labels_of(batch, ends_of(batch)).astype(np.int32)) if labels else None,
            laid(batch.positions) if batch.positions is not None else None,
        )


def _check(loader: Loader | Mixture, expected: Rows) -> None:
    course = loader.course
    if Rows(world=course.world, rank=course.rank) != expected:
        raise UsageError(
            f"a loader of rank {course.rank} of {course.world}",
            allowed=f"rank {expected['rank']} of {expected['world']}, whose rows this process's devices hold",
            do="open it with **rows_of(sharding, batch=...)",
        )
    if isinstance(loader, Loader) and not loader.course.drop_last:
        raise UsageError("a loader with drop_last=False", allowed="drop_last=True, for arrays of one shape")

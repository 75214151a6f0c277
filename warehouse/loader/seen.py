"""When a sample is seen: the inverse of the loader's order, for a state that a training job kept.

A sample's position in its epoch is ``inverted`` under the key of that epoch, in a stream's order through windows and
runs, so no order is computed and nothing was logged: 0.08 us of CPU a sample, however long the epoch. Batches of an
epoch are counted from 0. What is behind the state is counted as if every batch of the epoch had ``batch`` samples; what
is ahead goes on from the state, as a resume does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from warehouse.loader.course import Course, Numbers, State, check_shape, order_key, unlike
from warehouse.loader.permutation import inverted
from warehouse.loader.windows import Windows


@dataclass(frozen=True, slots=True)
class Seen:
    """Of each sample that was asked for, in order: where it stands in the state's epoch; int64 and bool, one dimension.

    position: in the epoch's order; seen: whether the state is past it; step: batch of the epoch that holds it, -1 for
    one that the epoch leaves out (of the last partial batch, where that is dropped); rank: the one that gets it, -1
    too; row: in that rank's part of the batch, -1 too.
    """

    position: Numbers
    seen: npt.NDArray[np.bool_]
    step: Numbers
    rank: Numbers
    row: Numbers


def seen(
    state: State,
    samples: npt.ArrayLike,
    *,
    total: int,
    batch: int,
    world: int = 1,
    drop_last: bool = True,
    windows: Windows | None = None,
) -> Seen:
    """Where the samples of a split of ``total`` stand for a job with this state, global batch and number of ranks.

    windows: the order of a state of a stream.
    Raises StateError for what is no state or is of another length, UsageError for a batch that the world does not
    divide or that the split does not fill.
    """
    check_shape(batch, world, 0)
    try:
        course = Course(state["dataset"], state["split"], total, batch, world, seed=state["seed"], drop_last=drop_last)
        course.window = None if windows is None else windows.window.stated
    except (KeyError, TypeError):
        raise unlike(state) from None
    course.restore(state)
    position = _position(course, np.asarray(samples, np.int64), windows)
    behind, consumed = position < course.consumed, course.consumed
    start = np.where(behind, 0, consumed)  # of the count of batches
    number, place = np.divmod(position - start, batch)
    begin = start + number * batch
    rank, row = np.divmod(_row(begin, np.minimum(batch, total - begin), place, course.lanes), course.share)
    left_out = ~behind & (start + (number + 1) * batch > total) & drop_last
    step = number + np.where(behind, 0, -(-consumed // batch))
    return Seen(position, behind, *(np.where(left_out, -1, values) for values in (step, rank, row)))


def _position(course: Course, samples: Numbers, windows: Windows | None) -> Numbers:
    if windows is not None:
        return windows.positions(course.epoch, samples)
    key = order_key(course.dataset, course.split, course.seed, course.epoch)
    return inverted(samples, n=course.total, key=key).view(np.int64)


def _row(begin: Numbers, size: Numbers, place: Numbers, lanes: int) -> Numbers:
    """The row of each place in a batch that begins there, the inverse of ``arranged``."""
    lane = (begin + place) % lanes
    first = (np.arange(lanes) - begin[:, None]) % lanes  # place of each lane's first row
    counts = np.maximum(size[:, None] - first + lanes - 1, 0) // lanes
    before = np.where(np.arange(lanes) < lane[:, None], counts, 0).sum(axis=1)
    found: Numbers = before + (place - first[np.arange(lane.size), lane]) // lanes
    return found

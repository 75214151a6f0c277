"""When a sample is seen: the inverse of the loader's order, for a state that a training job kept.

A sample's position in its epoch is ``inverted`` under the key of that epoch, so no order is computed and nothing was
logged: 0.08 us of CPU a sample, however long the epoch. Batches of an epoch are counted from 0. What is behind the
state is counted as if every batch of the epoch had ``batch`` samples; what is ahead goes on from the state, as a resume
does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from warehouse.loader.course import Course, Numbers, State, check_shape, order_key, unlike
from warehouse.loader.permutation import inverted


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
    state: State, samples: npt.ArrayLike, *, total: int, batch: int, world: int = 1, drop_last: bool = True
) -> Seen:
    """Where the samples of a split of ``total`` stand for a job with this state, global batch and number of ranks.

    Raises StateError for what is no state or is of another length, UsageError for a batch that the world does not
    divide or that the split does not fill.
    """
    check_shape(batch, world, 0)
    try:
        course = Course(state["dataset"], state["split"], total, batch, world, seed=state["seed"], drop_last=drop_last)
    except (KeyError, TypeError):
        raise unlike(state) from None
    course.restore(state)
    key = order_key(course.dataset, course.split, course.seed, course.epoch)
    position = inverted(samples, n=total, key=key).astype(np.int64)
    behind, consumed = position < course.consumed, course.consumed
    start = np.where(behind, 0, consumed)  # of the count of batches
    number, place = np.divmod(position - start, batch)
    rank, row = np.divmod(place, course.share)
    left_out = ~behind & (start + (number + 1) * batch > total) & drop_last
    step = number + np.where(behind, 0, -(-consumed // batch))
    return Seen(position, behind, *(np.where(left_out, -1, values) for values in (step, rank, row)))

"""Where a sample is seen is where the loader hands it out, at any batch, world and state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.errors import StateError, UsageError
from warehouse.loader.course import Course, State
from warehouse.loader.seen import seen


def handed_out(
    total: int, batch: int, world: int, *, state: State, drop_last: bool
) -> dict[int, tuple[bool, int, int, int]]:
    """sample -> (seen before the state, step, rank, row), from walking the whole epoch as the ranks do."""
    found = {}
    for rank in range(world):
        course = Course("id", "train", total, batch, world, rank, state["seed"], state["epoch"], drop_last)
        step = 0
        while course.unfinished:
            for row, sample in enumerate(course.numbers().tolist()):
                found[sample] = (course.consumed < state["samples"], step, rank, row)
            course.advance()
            step += 1
    return found


@given(data=st.data(), share=st.integers(1, 7), world=st.integers(1, 5), drop_last=st.booleans())
@settings(max_examples=120, deadline=None)
def test_every_sample_is_seen_where_the_loader_hands_it_out(
    data: st.DataObject, share: int, world: int, drop_last: bool
) -> None:
    batch = share * world
    total = data.draw(st.integers(batch, 40 * batch))
    behind = min(data.draw(st.integers(0, total // batch + (not drop_last))) * batch, total)
    state = State(dataset="id", split="train", seed=data.draw(st.integers(0, 99)), epoch=3, samples=behind)
    found = seen(state, np.arange(total), total=total, batch=batch, world=world, drop_last=drop_last)
    columns = (found.seen, found.step, found.rank, found.row)
    expected = handed_out(total, batch, world, state=state, drop_last=drop_last)
    for sample, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        assert values == expected.get(sample, (False, -1, -1, -1))


@given(consumed=st.integers(0, 500), batch=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_what_is_ahead_of_a_state_goes_on_from_it_with_another_batch(consumed: int, batch: int) -> None:
    state = State(dataset="id", split="train", seed=1, epoch=0, samples=consumed)
    course = Course("id", "train", 500, batch, seed=1, drop_last=False)
    course.restore(state)
    step = -(-consumed // batch)
    while course.unfinished:
        found = seen(state, course.numbers(), total=500, batch=batch, drop_last=False)
        assert not found.seen.any() and set(found.step.tolist()) == {step}
        course.advance()
        step += 1


def test_what_is_no_state_or_no_batch_is_refused() -> None:
    state = State(dataset="id", split="train", seed=1, epoch=0, samples=5)
    with pytest.raises(StateError, match="0 to 4 samples"):
        seen(state, [0], total=4, batch=2)
    with pytest.raises(StateError, match="a state of"):
        seen({"split": "train"}, [0], total=4, batch=2)
    with pytest.raises(UsageError, match="over 3 ranks"):
        seen(state, [0], total=9, batch=4, world=3)
    with pytest.raises(UsageError, match="at least one batch, 16"):
        seen(state, [0], total=9, batch=16)

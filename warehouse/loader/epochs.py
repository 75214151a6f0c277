"""What the loaders of one split share: its course through epochs, and going on from where it stands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from warehouse.loader.course import Course, State, check_shape, unlike
from warehouse.loader.delivery import Counters


class Resumable:
    """What goes through epochs by a course, and on from where it stands."""

    course: Course

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return len(self.course)

    def state(self) -> State:
        """Where the epoch stands: some small values, equal on every rank; store it beside the model."""
        return self.course.state()

    def restore(self, state: State) -> None:
        """Go on where ``state`` was taken. Raises StateError for another data set, split, seed or window."""
        self.course.restore(state)


class Epochs(Resumable, ABC):
    """Epochs of a split in an exact global order, one after the other.

    batch is the global one: each of ``world`` ranks gets batch / world samples a step. With drop_last the last partial
    batch is left out; else ranks share it, in order, and some may get fewer or none. checked: compare what is read with
    its hash at first touch.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        split: str = "train",
        batch: int,
        world: int = 1,
        rank: int = 0,
        seed: int = 0,
        epoch: int = 0,
        drop_last: bool = True,
        checked: bool = True,
    ) -> None:
        check_shape(batch, world, rank)
        dataset, total = self._open(path, split, checked=checked)
        self.course = Course(
            dataset,
            split,
            total,
            batch=batch,
            world=world,
            rank=rank,
            seed=seed,
            epoch=epoch,
            drop_last=drop_last,
        )
        self.counters = Counters()

    @abstractmethod
    def _open(self, path: Path | str, split: str, *, checked: bool) -> tuple[str, int]:
        """Open what is to be read; how a state names it, and its samples."""

    @classmethod
    def resume(
        cls,
        path: Path | str,
        state: State,
        *,
        batch: int,
        world: int = 1,
        rank: int = 0,
        drop_last: bool = True,
        checked: bool = True,
    ) -> Self:
        """A loader that goes on where ``state`` was taken, with any batch and world. Raises StateError if it cannot."""
        try:
            loader = cls(
                path,
                split=state["split"],
                batch=batch,
                world=world,
                rank=rank,
                seed=state["seed"],
                epoch=state["epoch"],
                drop_last=drop_last,
                checked=checked,
            )
        except (KeyError, TypeError):
            raise unlike(state) from None
        loader.restore(state)
        return loader

"""A mixture takes other projects' data sets as it does releases: each in its own epochs, in the order of ``Loader``."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from written_foreign import ROWS, TOKENS, mds_records
from written_release import write_release

from warehouse.errors import FormatError, StateError, UsageError
from warehouse.loader import Loader, Mixture, Phase, Source

PHASES = (Phase(weights=(3, 2, 1, 1, 2, 1)), Phase(60, temperature=3))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    """A release of 20 samples, and twelve in each format that holds tokens."""
    folder = tmp_path_factory.mktemp("mixed")
    return [
        Source(write_release(folder / "release", (13, 7))),
        *(Source(made(folder / kind)) for kind, made in TOKENS.items()),
    ]


def rows(mixture: Mixture, steps: int, *, threads: int = 0) -> list[tuple[int, int, bytes]]:
    """Source, sample number and tokens of each row of the next steps."""
    found = []
    for batch in islice(mixture.batches(threads=threads), steps):
        tokens = [row.tobytes() for row in batch.tokens]
        found += zip(batch.sources.tolist(), batch.samples.tolist(), tokens, strict=True)
    return found


def test_each_source_goes_through_its_own_epochs_in_the_loaders_order(sources: list[Source]) -> None:
    found = rows(Mixture(sources, batch=16, seed=4, phases=PHASES), 20)
    for number, source in enumerate(sources):
        own = [(sample, tokens) for which, sample, tokens in found if which == number]
        loader, expected = Loader(source.path, batch=4, seed=4), []
        while len(expected) < len(own):
            for batch in loader.batches():
                expected += zip(batch.samples.tolist(), [row.tobytes() for row in batch.tokens], strict=True)
        assert len(own) > loader.course.total and own == expected[: len(own)]
    assert {tokens for which, _, tokens in found if which} == {row.tobytes() for row in ROWS}


def test_worlds_threads_and_a_resume_change_nothing(sources: list[Source]) -> None:
    whole = rows(Mixture(sources, batch=12, phases=PHASES), 10)
    begun = Mixture(sources, batch=12, phases=PHASES)
    first = rows(begun, 4, threads=2)
    ranks = [
        rows(Mixture.resume(sources, begun.state(), batch=12, phases=PHASES, world=2, rank=rank), 6) for rank in (0, 1)
    ]
    shared = np.array(ranks, object).reshape(2, 6, 6, 3).swapaxes(0, 1).reshape(-1, 3)
    assert first + [tuple(row) for row in shared.tolist()] == whole
    with pytest.raises(StateError, match="state of the mixture"):
        Mixture.resume(sources[::-1], begun.state(), batch=12)


def test_what_cannot_be_mixed_is_refused(sources: list[Source], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"boundaries.* of mds:.*leave them out"):
        next(Mixture(sources, batch=4).batches(boundaries=True))
    with pytest.raises(FormatError, match=r"litdata:.* has <u2\[8\].*Allowed: <u2\[16\], as made"):
        Mixture([sources[0], Source(f"{sources[2].path}?length=8")], batch=4)
    with pytest.raises(UsageError, match="RecordLoader"):
        Mixture([sources[0], Source(mds_records(tmp_path / "records"))], batch=4)
    with pytest.raises(UsageError, match="1 different data sets"):
        Mixture([sources[1], sources[1]], batch=4)

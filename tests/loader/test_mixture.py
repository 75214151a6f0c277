"""A mixture's laws: each source once an epoch and in its own order, whatever stops or changes the run."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.errors import FormatError, StateError, UsageError
from warehouse.loader import Loader, Mixture, MixtureState, Phase, Source
from warehouse.manifest import NO_SOURCE

Made = Callable[..., Path]
Row = tuple[int, int]
PHASES = (
    Phase(weights=(5, 3, 2)),
    Phase(100, temperature=2),
    Phase(300, weights=(0, 1, 1)),
    Phase(700, weights=(1, 1, 1)),
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, make_release: Made) -> list[Source]:
    """53, 20 and 7 samples."""
    folder = tmp_path_factory.mktemp("mixture")
    sizes = {"web": (30, 0, 23), "code": (20,), "small": (7,)}
    return [Source(make_release(folder / name, shards, name=name)) for name, shards in sizes.items()]


def rows(mixture: Mixture, steps: int) -> list[list[Row]]:
    """Source and sample number of each row of the next steps, checked against the tokens."""
    found = []
    for batch in islice(mixture.batches(), steps):
        assert batch.samples.tolist() == [(int(row[0]) << 16) + int(row[1]) for row in batch.tokens]
        found.append(list(zip(batch.sources.tolist(), batch.samples.tolist(), strict=True)))
    return found


def together(
    sources: list[Source], steps: int, *, world: int, state: MixtureState | None = None, **options
) -> list[Row]:
    """The rows of all ranks in the order of the run."""
    parts = []
    for rank in range(world):
        shape = {"world": world, "rank": rank, **options}
        parts.append(rows(Mixture.resume(sources, state, **shape) if state else Mixture(sources, **shape), steps))
    return [row for step in range(steps) for part in parts for row in part[step]]


@dataclass
class Own:
    """The twin: each source's samples as ``Loader`` gives them, epoch after epoch."""

    source: Source
    seed: int
    epoch: int = 0
    left: list[int] = field(default_factory=list)

    def next(self) -> int:
        if not self.left:
            loader = Loader(self.source.path, batch=1, seed=self.seed, epoch=self.epoch)
            self.left = [int(batch.samples[0]) for batch in loader.batches()]
            self.epoch += 1
        return self.left.pop(0)


def test_each_source_goes_through_its_own_epochs_in_the_loaders_order(sources: list[Source]) -> None:
    own = [Own(source, seed=4) for source in sources]
    found = together(sources, 60, world=1, batch=16, seed=4, phases=PHASES)
    assert [number for _, number in found] == [own[source].next() for source, _ in found]
    assert [twin.epoch for twin in own] > [1, 1, 1]


def test_global_order_is_the_same_at_every_world_size_and_batch(sources: list[Source]) -> None:
    one = together(sources, 60, world=1, batch=16, phases=PHASES)
    assert one == together(sources, 40, world=1, batch=24, phases=PHASES)
    for world in (2, 4, 8):
        assert together(sources, 60, world=world, batch=16, phases=PHASES) == one
    assert together(sources, 1, world=1, batch=960, phases=PHASES) == one


def test_within_each_phase_counts_are_less_than_two_from_their_shares(sources: list[Source]) -> None:
    found = np.array([source for source, _ in together(sources, 60, world=1, batch=16, phases=PHASES)])
    tempered = np.sqrt([53, 20, 7]) / np.sqrt([53, 20, 7]).sum()
    for start, stop, shares in ((0, 100, [0.5, 0.3, 0.2]), (100, 300, tempered), (300, 700, [0, 0.5, 0.5])):
        given_so_far = (found[start:stop, None] == np.arange(3)).cumsum(axis=0)
        assert np.abs(given_so_far - np.arange(1, stop - start + 1)[:, None] * shares).max() < 2
    assert not (found[300:700] == 0).any()


@given(
    stop=st.integers(0, 50),
    before=st.sampled_from([1, 2, 4]),
    after=st.sampled_from([1, 2, 4]),
    seed=st.integers(0, 3),
)
@settings(max_examples=15, deadline=None)
def test_a_resume_in_any_world_equals_no_interruption(
    sources: list[Source], stop: int, before: int, after: int, seed: int
) -> None:
    options = {"batch": 16, "phases": PHASES}
    mixtures = [Mixture(sources, world=before, rank=rank, seed=seed, **options) for rank in range(before)]
    for mixture in mixtures:
        rows(mixture, stop)
    states = [json.loads(json.dumps(mixture.state())) for mixture in mixtures]
    assert all(state == states[0] for state in states)
    whole = together(sources, stop + 5, world=1, seed=seed, **options)
    assert together(sources, 5, world=after, state=states[0], **options) == whole[16 * stop :]
    given_by = [source for source, _ in whole[: 16 * stop]]
    assert mixtures[0].taken() == tuple(given_by.count(source) for source in range(3))


def test_two_hundred_kills_world_changes_and_new_phases_lose_and_repeat_nothing_of_any_source(
    sources: list[Source],
) -> None:
    """What was trained after the last saved state is lost with the kill and trained again."""
    chance, state, trained, own = random.Random(7), None, [], [Own(source, seed=0) for source in sources]
    phases: tuple[Phase, ...] = PHASES
    for _ in range(200):
        world, per_rank = chance.choice([1, 2, 3, 4]), chance.randint(1, 6)
        if state and chance.random() < 0.3:
            kept = tuple(phase for phase in phases if phase.start <= state["samples"])
            phases = (*kept, Phase(state["samples"] + chance.randint(1, 60), [chance.randint(1, 9) for _ in sources]))
        shape = {"batch": world * per_rank, "world": world, "phases": phases}
        ranks = [
            Mixture.resume(sources, state, rank=rank, **shape) if state else Mixture(sources, rank=rank, **shape)
            for rank in range(world)
        ]
        saved_after, killed_after = sorted(chance.choices(range(12), k=2))
        parts = [rows(mixture, saved_after) for mixture in ranks]
        trained += [row for step in range(saved_after) for part in parts for row in part[step]]
        state = json.loads(json.dumps(chance.choice(ranks).state()))
        rows(ranks[0], killed_after - saved_after)
    assert len(trained) > 2000
    assert [number for _, number in trained] == [own[source].next() for source, _ in trained]


def test_phases_can_be_changed_at_any_step_and_a_resume_crosses_the_change(sources: list[Source]) -> None:
    mixture = Mixture(sources, batch=10, phases=[Phase(weights=(1, 1, 0))])
    seen = rows(mixture, 7)
    mixture.change([Phase(weights=(0, 1, 3))])
    state = mixture.state()
    again = Mixture.resume(sources, state, batch=20, phases=[Phase(weights=(0, 1, 3))])
    seen += rows(mixture, 8)
    assert [row for step in rows(again, 4) for row in step] == [row for step in seen[7:] for row in step]
    assert again.taken() == mixture.taken() == (35, 35 + 20, 60)
    own = [Own(source, seed=0) for source in sources]
    assert all(number == own[source].next() for step in seen for source, number in step)


def test_a_state_is_small_and_stays_so(sources: list[Source]) -> None:
    mixture = Mixture(sources, batch=10**9 * 3, world=10**9, phases=PHASES)
    mixture.restore({**mixture.state(), "samples": 3 * 10**15})
    assert len(json.dumps(list(mixture.state().values()))) < 130
    assert sum(mixture.taken()) == 3 * 10**15


def test_a_state_of_other_sources_or_another_seed_is_refused(sources: list[Source]) -> None:
    state = Mixture(sources, batch=4).state()
    with pytest.raises(StateError, match=r"state of the mixture .* Allowed: the mixture .*/train"):
        Mixture.resume(sources[:2], state, batch=4)
    with pytest.raises(StateError, match="state of the mixture"):
        Mixture.resume([sources[1], sources[0], sources[2]], state, batch=4)
    with pytest.raises(StateError, match="seed 0"):
        Mixture(sources, batch=4, seed=1).restore(state)
    for wrong in ({"nonsense": 1}, {**state, "samples": -1}, {**state, "taken": [1, 0, 0]}, {**state, "shares": [1]}):
        with pytest.raises(StateError, match=r"what Mixture\.state"):
            Mixture.resume(sources, wrong, batch=4)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([], "phases that start at"),
        ([Phase(5)], r"phases that start at \[5\]"),
        ([Phase(), Phase(9), Phase(9)], "ascending"),
        ([Phase(weights=(1, 2))], "2 weights for 3 sources"),
        ([Phase(weights=(1, 2, -1))], "weights"),
        ([Phase(temperature=0)], "temperature"),
    ],
)
def test_phases_that_make_no_schedule_are_refused(sources: list[Source], phases: list[Phase], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Mixture(sources, batch=4, phases=phases)


def test_a_source_given_twice_and_one_of_other_tokens_are_refused(
    sources: list[Source], tmp_path: Path, make_release: Made
) -> None:
    with pytest.raises(UsageError, match="each once"):
        Mixture([*sources, sources[0]], batch=4)
    with pytest.raises(UsageError, match="0 different"):
        Mixture([], batch=4)
    longer = Source(make_release(tmp_path / "longer", (9,), length=32))
    with pytest.raises(FormatError, match=r"<u2\[32\].*<u2\[16\]"):
        Mixture([*sources, longer], batch=4)
    with pytest.raises(UsageError, match="0 samples"):
        Mixture([*sources, Source(make_release(tmp_path / "empty", (0,)))], batch=4)
    with pytest.raises(UsageError, match="3 ranks"):
        Mixture(sources, batch=4, world=3)


def test_source_ids_of_a_mixture_name_the_same_source_by_one_number(tmp_path: Path, make_release: Made) -> None:
    names = {"one": ("code", "web"), "other": ("mail", "web", "code")}
    made = [Source(make_release(tmp_path / name, (9, 4), name=name, sources=given)) for name, given in names.items()]
    mixture, seen = Mixture(made, batch=8), set()
    assert mixture.source_names == ("code", "web", "mail")
    for batch in islice(mixture.batches(source_ids=True), 12):
        for source, sample, ids in zip(batch.sources, batch.samples, batch.source_ids, strict=True):
            given = list(names.values())[source]
            assert mixture.source_names[ids[0]] == given[sample % len(given)] and ids[1] == NO_SOURCE
            seen.add(mixture.source_names[ids[0]])
    assert seen == {"code", "web", "mail"}


def test_no_batch_waits_for_numpys_masked_arrays_to_be_imported(sources: list[Source]) -> None:
    code = (
        "import sys; from warehouse.loader import *; sources = [Source(path) for path in sys.argv[1:]]\n"
        "for loader in (Mixture(sources, batch=8), Loader(sources[0].path, batch=8)):\n"
        "    next(loader.batches(boundaries=True, positions=True, loss_mask=True))\n"
        "with StreamingLoader(sources[0].path, batch=8) as loader: next(loader.batches(boundaries=True))\n"
        "print('numpy.ma' in sys.modules)"
    )
    command = [sys.executable, "-c", code, *(str(source.path) for source in sources)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"

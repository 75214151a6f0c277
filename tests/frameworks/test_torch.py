"""PyTorch gets the loader's own batches, in its order, whatever fetches them: the twin of every test is ``Loader``."""

from __future__ import annotations

import multiprocessing
import pickle
from copy import deepcopy
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from written_release import write_release, write_rows

torch = pytest.importorskip("torch", reason="needs torch: make test-frameworks")

from torch.utils.data import DataLoader
from torch_loops import loader_of, of_world, seen
from torchdata.stateful_dataloader import StatefulDataLoader

from warehouse.errors import StateError, UsageError
from warehouse.loader import Loader, Mixture, Phase, Source, TableLoader
from warehouse.loader.torch import (
    IGNORED,
    ReleaseDataset,
    mixture_dataset,
    row_dataset,
    sample_dataset,
    token_dataset,
    tracked,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),  # more workers than this machine has cores
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),  # torchdata
]
SIZES = (40, 0, 33, 30)
ORDER = np.random.default_rng(5).permutation(103).tolist()
PHASES = (Phase(weights=(3, 1)), Phase(start=60, temperature=2))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """103 samples; a piece that begins with token 5 is padding, which is so in three."""
    return write_release(tmp_path_factory.mktemp("torch") / "release", SIZES, pad=5)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """21 samples of another release with the same tokenizer."""
    return write_release(tmp_path_factory.mktemp("torch") / "other", (21,), name="other")


def twin(release: Path, epochs: int = 1, **options) -> list[list[int]]:
    """The sample numbers of the plain loader's batches, epoch after epoch."""
    loader = Loader(release, **options)
    return [batch.samples.tolist() for _ in range(epochs) for batch in loader.batches()]


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_batches_and_their_order_are_the_loaders_at_every_number_of_workers(release, workers, drop_last):
    for world, rank in ((1, 0), (2, 1)):
        options = {"batch": 8, "world": world, "rank": rank, "seed": 3, "drop_last": drop_last}
        data = token_dataset(release, **options)
        assert seen(loader_of(data, workers)) == twin(release, **options)
        assert len(data) == len(loader_of(data, workers)) == (12 if drop_last else 13)


def test_more_workers_than_steps_lose_and_repeat_nothing(release):
    found = seen(loader_of(token_dataset(release, batch=50, drop_last=False), 5))
    assert sorted(number for batch in found for number in batch) == list(range(103))


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (2, True)])
def test_the_loop_after_a_whole_one_is_the_next_epoch_and_one_that_was_left_goes_on(release, workers, persistent):
    expected = twin(release, 3, batch=8)
    loader = loader_of(token_dataset(release, batch=8), workers, persistent_workers=persistent)
    found = seen(tracked(loader)) + seen(islice(tracked(loader), 5)) + seen(tracked(loader)) + seen(tracked(loader))
    assert found == expected


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0), (2, 3)])
@pytest.mark.parametrize("stop", [1, 7, 12, 15])
def test_a_resume_with_other_workers_and_ranks_equals_no_interruption(release, before, after, stop):
    expected = twin(release, 2, batch=8)
    data = token_dataset(release, batch=8)
    loader, states = loader_of(data, before), []
    while len(states) < stop:
        for batch in islice(tracked(loader), stop - len(states)):
            states.append(data.state_dict())
            assert batch["state"] == data.state_dict()
    parts = []
    for rank in range(2):
        resumed = token_dataset(release, batch=8, world=2, rank=rank)
        resumed.load_state_dict(states[-1])
        again = loader_of(resumed, after)
        parts.append(seen(tracked(again)) + (seen(tracked(again)) if stop < 12 else []))
    assert [first + second for first, second in zip(*parts, strict=True)] == expected[stop:]


def test_the_state_is_the_loaders_and_either_resumes_from_the_others(release):
    data, loader = token_dataset(release, batch=8), Loader(release, batch=8)
    steps = loader.batches()
    for batch in islice(tracked(loader_of(data, 2)), 4):
        next(steps)
        assert batch["state"] == loader.state()
    rest = [batch.samples.tolist() for batch in Loader.resume(release, data.state_dict(), batch=8).batches()]
    data.load_state_dict(loader.state())
    assert seen(tracked(data)) == rest == [batch.samples.tolist() for batch in steps]


def test_workers_go_on_where_this_process_stopped(release):
    data = token_dataset(release, batch=8)
    found = seen(islice(tracked(data), 3)) + seen(tracked(loader_of(data, 2))) + seen(tracked(data))
    assert found == twin(release, 2, batch=8)


def test_a_second_plain_loop_over_workers_is_refused_until_an_epoch_is_set(release):
    data = token_dataset(release, batch=8)
    loader = loader_of(data, 2)
    first = seen(loader)
    with pytest.raises(UsageError, match=r"begun before.*set_epoch"):
        seen(loader)
    data.set_epoch(1)
    assert first + seen(loader) == twin(release, 2, batch=8)


def test_what_cannot_be_exact_is_refused(release, tmp_path):
    data = token_dataset(release, batch=8)
    with pytest.raises(UsageError, match="batch_size=None"):
        next(tracked(DataLoader(data, batch_size=4)))
    with pytest.raises(UsageError, match="token_dataset, stream_dataset, mixture_dataset or row_dataset"):
        next(tracked(DataLoader([1, 2], batch_size=None)))
    with pytest.raises(UsageError, match="both, or neither"):
        token_dataset(release, batch=8, world=2)
    other = token_dataset(write_release(tmp_path / "other", (50,)), batch=5)
    with pytest.raises(StateError, match="open the release the state was taken from"):
        data.load_state_dict(other.state_dict())
    with pytest.raises(StateError):
        data.set_epoch(-1)


def test_tokens_are_the_loaders_in_the_type_that_is_asked_for(release):
    plain = list(Loader(release, batch=8))
    for dtype in (torch.int64, torch.int32, None):
        batches = list(token_dataset(release, batch=8, dtype=dtype))
        assert all(batch["tokens"].dtype == (dtype or torch.uint16) for batch in batches)
        assert all(
            np.array_equal(batch["tokens"].numpy(), tokens) for batch, tokens in zip(batches, plain, strict=True)
        )


def labels_of(row: list[int], bounds: list[int], pad: int) -> list[int]:
    """The definition: the next token where it is of the same piece and the piece is no padding."""
    found = [IGNORED] * len(row)
    for start, end in pairwise(bounds):
        for at in range(start, end - 1):
            found[at] = row[at + 1] if row[start] != pad else IGNORED
    return found


@pytest.mark.parametrize(("world", "rank"), [(1, 0), (8, 7)])
def test_labels_and_boundaries_are_their_definition(release, world, rank):
    options = {"batch": 8, "world": world, "rank": rank, "drop_last": False}  # rank 7 has no row in the last batch
    data = token_dataset(release, labels=True, boundaries=True, **options)
    plain, padded = Loader(release, **options), 0
    for batch, expected in zip(data, plain.batches(boundaries=True), strict=True):
        rows = zip(expected.tokens.tolist(), expected.boundaries, strict=True)
        labels = [labels_of(row, bounds.tolist(), plain.manifest.pad_id) for row, bounds in rows]
        assert batch["labels"].tolist() == labels
        assert batch["labels"].shape == batch["tokens"].shape
        flat = [0]
        for bounds in expected.boundaries:
            flat += [flat[-1] - flat[-1] % 16 + int(end) for end in bounds[1:]]
        assert (batch["cu_seqlens"].tolist(), batch["cu_seqlens"].dtype) == (flat, torch.int32)
        assert batch["max_seqlen"] == (11 if labels else 0)
        padded += sum(row.count(IGNORED) == 12 for row in labels)
    assert padded == 3 or world > 1


def test_source_ids_stand_beside_the_boundaries(tmp_path):
    named = write_release(tmp_path / "named", SIZES, sources=("web", "code"))
    data = token_dataset(named, batch=8, boundaries=True, source_ids=True)
    plain = Loader(named, batch=8).batches(source_ids=True)
    for batch, expected in zip(data, plain, strict=True):
        flat = [number for row in expected.source_ids for number in row.tolist()]
        assert (batch["source_ids"].tolist(), batch["source_ids"].dtype) == (flat, torch.int32)
        assert len(flat) == len(batch["cu_seqlens"]) - 1


def test_cross_entropy_takes_the_labels_as_they_are(release):
    batch = next(iter(token_dataset(release, batch=8, labels=True)))
    logits = torch.full((8, 16, 251), -30.0).scatter(2, batch["labels"].clamp(min=0)[..., None], 30.0)
    assert torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten()) < 1e-6


def test_rows_are_the_table_loaders(tmp_path):
    rows = write_rows(tmp_path / "rows")
    expected = list(TableLoader(rows, batch=8, seed=2).batches())
    found = list(tracked(loader_of(row_dataset(rows, batch=8, seed=2), 2)))
    assert len(found) == len(expected) == len(row_dataset(rows, batch=8))
    for batch, plain in zip(found, expected, strict=True):
        assert batch["samples"].tolist() == plain.samples.tolist()
        assert (batch["columns"]["number"].dtype, batch["columns"]["share"].dtype) == (torch.int64, torch.float64)
        for name, values in plain.columns.items():
            assert np.array_equal(batch["columns"][name].numpy(), values, equal_nan=True)
        assert np.array_equal(batch["valid"]["number"].numpy(), plain.valid["number"])


def test_two_processes_share_the_global_batches_and_four_go_on(release, tmp_path):
    dataset = partial(token_dataset, release, batch=8)
    first, state = of_world(2, tmp_path / "first", dataset, 5)
    rest, _ = of_world(4, tmp_path / "second", dataset, 7, state)
    assert first + rest == twin(release, batch=8)


def test_four_processes_share_a_mixture_and_two_go_on(release, other, tmp_path):
    sources = [Source(release), Source(other)]
    dataset = partial(mixture_dataset, sources, batch=8, phases=PHASES)
    first, state = of_world(4, tmp_path / "first", dataset, 5)
    rest, _ = of_world(2, tmp_path / "second", dataset, 7, state)
    assert first + rest == [samples for samples, _ in mixed_twin(sources, 12)]


def mixed_twin(sources, steps: int, **options) -> list[tuple[list[int], list[int]]]:
    """Samples and sources of the plain mixture's first batches."""
    mixture = Mixture(sources, batch=8, phases=PHASES, **options)
    return [(batch.samples.tolist(), batch.sources.tolist()) for batch in islice(mixture.batches(), steps)]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("stop", [1, 9, 20])
def test_a_mixture_is_the_plain_one_and_resumes_at_every_number_of_workers(release, other, workers, stop):
    sources = [Source(release), Source(other)]
    loader = loader_of(mixture_dataset(sources, batch=8, phases=PHASES), workers, persistent_workers=workers > 1)
    found = [(b["samples"].tolist(), b["sources"].tolist()) for b in islice(tracked(loader), stop)]
    again = mixture_dataset(sources, batch=8, phases=PHASES)
    again.load_state_dict(loader.dataset.state_dict())
    rest = [(b["samples"].tolist(), b["sources"].tolist()) for b in islice(tracked(again), 25 - stop)]
    assert found + rest == mixed_twin(sources, 25)
    here = [(b["samples"].tolist(), b["sources"].tolist()) for b in islice(tracked(loader), 25 - stop)]
    assert here == rest


@pytest.mark.parametrize("workers", [0, 2])
def test_torchdatas_stateful_loader_resumes_a_mixture(release, other, workers):
    sources = [Source(release), Source(other)]
    options = {"batch_size": None, "num_workers": workers}
    loader = StatefulDataLoader(mixture_dataset(sources, batch=8, phases=PHASES), **options)
    found = seen(islice(loader, 7))
    again = StatefulDataLoader(mixture_dataset(sources, batch=8, phases=PHASES), **options)
    again.load_state_dict(loader.state_dict())
    assert found + seen(islice(again, 10)) == [samples for samples, _ in mixed_twin(sources, 17)]


def test_a_mixture_has_no_length_and_no_epoch_and_goes_on_by_other_phases(release, other):
    sources = [Source(release), Source(other)]
    data = mixture_dataset(sources, batch=8, phases=PHASES)
    with pytest.raises(TypeError, match="no end"):
        len(data)
    with pytest.raises(UsageError, match="load_state_dict"):
        data.set_epoch(1)
    plain = Mixture(sources, batch=8, phases=PHASES)
    assert seen(islice(tracked(data), 6)) == [batch.samples.tolist() for batch in islice(plain.batches(), 6)]
    plain.change([Phase(weights=(1, 9))])
    changed = mixture_dataset(sources, batch=8, phases=[Phase(weights=(1, 9))])
    changed.load_state_dict(data.state_dict())
    assert seen(islice(tracked(changed), 6)) == [batch.samples.tolist() for batch in islice(plain.batches(), 6)]


class Late(ReleaseDataset):
    """Its worker 1 begins its second loop when this process has had a batch of it."""

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        if worker and worker.id == 1 and self._went:
            self.had.wait(20)
        return super().__iter__()


def test_a_worker_that_begins_late_begins_where_the_loop_did(release):
    data = Late(token_dataset(release, batch=8).opened, token_dataset(release, batch=8).read)
    data.had = multiprocessing.get_context("fork").Event()
    loader = loader_of(data, 2, persistent_workers=True, prefetch_factor=1)
    found = seen(tracked(loader))
    for batch in tracked(loader):
        found.append(batch["samples"].tolist())
        data.had.set()
    assert found == twin(release, 2, batch=8)


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_by_number_are_the_releases_in_the_samplers_order(release, workers):
    data = sample_dataset(release, labels=True)
    found = list(DataLoader(data, batch_size=10, sampler=ORDER, num_workers=workers))
    assert [number for batch in found for number in batch["sample"].tolist()] == ORDER
    by_number = {}
    for batch in token_dataset(release, batch=8, drop_last=False, labels=True):
        rows = zip(batch["samples"].tolist(), batch["tokens"].tolist(), batch["labels"].tolist(), strict=True)
        by_number |= {number: (tokens, labels) for number, tokens, labels in rows}
    for batch in found:
        rows = zip(batch["sample"].tolist(), batch["tokens"].tolist(), batch["labels"].tolist(), strict=True)
        assert all(by_number[number] == (tokens, labels) for number, tokens, labels in rows)


def test_samples_by_number_end_where_the_split_does_and_travel_without_files(release):
    data = deepcopy(sample_dataset(release, dtype=None))  # as pickle does it
    assert len(data) == 103
    assert [sample["sample"] for sample in data] == list(range(103))
    assert data[-1]["tokens"].tolist() == data[102]["tokens"].tolist()
    assert data[0]["tokens"].dtype == torch.uint16
    for outside in (103, -104):
        with pytest.raises(IndexError, match="a split of 103"):
            data[outside]


def test_a_dataset_travels_without_its_files_and_spawned_workers_open_them(release, tmp_path):
    large = token_dataset(write_release(tmp_path / "large", (4000,), length=512), batch=8)
    assert len(pickle.dumps(large)) < 20_000
    data = token_dataset(release, batch=8)
    assert seen(loader_of(data, 1, multiprocessing_context="spawn")) == twin(release, batch=8)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [1, 4, 11])
def test_torchdatas_stateful_loader_resumes_exactly(release, workers, stop):
    loader = StatefulDataLoader(token_dataset(release, batch=8), batch_size=None, num_workers=workers)
    found = seen(islice(loader, stop))
    again = StatefulDataLoader(token_dataset(release, batch=8), batch_size=None, num_workers=workers)
    again.load_state_dict(loader.state_dict())
    assert found + seen(again) == twin(release, batch=8)

"""PyTorch gets a stream's own batches, in its order, whatever fetches them: the twin of all is ``StreamingLoader``."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from file_server import files_served
from written_release import write_release

torch = pytest.importorskip("torch", reason="needs torch: make test-frameworks")

from torch_loops import loader_of, of_world, seen
from torchdata.stateful_dataloader import StatefulDataLoader

from warehouse.errors import StateError
from warehouse.loader import Fetching, StreamingLoader, Window
from warehouse.loader.torch import IGNORED, stream_dataset, token_dataset, tracked

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),  # more workers than this machine has cores
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),  # torchdata
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),  # a stream's threads
]
LENGTH = 1 << 13
TOTAL = 193
WINDOW = Window(4, 1, 2)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """193 samples in four blocks, with masks and sources."""
    folder = tmp_path_factory.mktemp("torch") / "1"
    pieces = {"length": LENGTH, "pieces": lambda number: [100] * (number % 4)}
    return write_release(folder, (96, 0, 33, 64), sources=("web", "code"), masked=True, **pieces)


@pytest.fixture(scope="module")
def url(release: Path) -> Iterator[str]:
    with files_served(release.parent) as server:
        yield f"{server.url}/1"


def streamed(location: Path | str, **options):
    return stream_dataset(location, **{"batch": 8, "window": WINDOW, "fetching": Fetching(2), **options})


def twin(release: Path, epochs: int = 1, **options) -> list[list[int]]:
    """The sample numbers of the plain stream's batches, epoch after epoch."""
    loader = StreamingLoader(release, **{"batch": 8, "window": WINDOW, **options})
    return [batch.samples.tolist() for _ in range(epochs) for batch in loader.batches()]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("drop_last", [True, False])
def test_batches_and_their_order_are_the_streams_at_every_number_of_workers(url, workers, drop_last):
    for world, rank in ((1, 0), (2, 1)):
        options = {"world": world, "rank": rank, "seed": 3, "drop_last": drop_last}
        data = streamed(url, **options)
        assert seen(loader_of(data, workers)) == twin(url, **options)
        assert len(data) == len(loader_of(data, workers)) == (24 if drop_last else 25)


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (2, True)])
def test_the_loop_after_a_whole_one_is_the_next_epoch_and_one_that_was_left_goes_on(url, workers, persistent):
    loader = loader_of(streamed(url), workers, persistent_workers=persistent)
    found = seen(tracked(loader)) + seen(islice(tracked(loader), 5)) + seen(tracked(loader))
    assert found == twin(url, 2)


@pytest.mark.parametrize(("before", "after"), [(0, 2), (3, 0)])
@pytest.mark.parametrize("stop", [1, 9, 24])
def test_a_resume_with_other_workers_and_ranks_loses_and_repeats_nothing(url, before, after, stop):
    data = streamed(url, drop_last=False)
    found = seen(islice(tracked(loader_of(data, before)), stop))
    parts = []
    for rank in range(2):
        resumed = streamed(url, drop_last=False, world=2, rank=rank)
        resumed.load_state_dict(data.state_dict())
        parts.append(seen(tracked(loader_of(resumed, after))))
    found += [first + second for first, second in zip(*parts, strict=True)]
    assert found == twin(url, drop_last=False)
    assert sorted(number for batch in found for number in batch) == list(range(TOTAL))


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 2)])
def test_processes_of_a_group_share_the_global_batches_and_others_go_on(url, tmp_path, before, after):
    dataset = partial(streamed, url)
    first, state = of_world(before, tmp_path / "first", dataset, 7)
    rest, _ = of_world(after, tmp_path / "second", dataset, 17, state)
    assert first + rest == twin(url)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [1, 11])
def test_torchdatas_stateful_loader_resumes_exactly(url, workers, stop):
    loader = StatefulDataLoader(streamed(url), batch_size=None, num_workers=workers)
    found = seen(islice(loader, stop))
    again = StatefulDataLoader(streamed(url), batch_size=None, num_workers=workers)
    again.load_state_dict(loader.state_dict())
    assert found + seen(again) == twin(url)


def labels_of(row: list[int], bounds: list[int], learnt: list[bool]) -> list[int]:
    """The definition: the next token where it is of the same piece and is learnt."""
    found = [IGNORED] * len(row)
    for start, end in pairwise(bounds):
        for at in range(start, end - 1):
            found[at] = row[at + 1] if learnt[at + 1] else IGNORED
    return found


def test_tokens_labels_boundaries_and_sources_are_their_definition(url):
    plain = StreamingLoader(url, batch=8, window=WINDOW)
    expected = plain.batches(boundaries=True, loss_mask=True, source_ids=True)
    data = streamed(url, labels=True, boundaries=True, source_ids=True, dtype=None)
    for batch, own in islice(zip(data, expected, strict=True), 6):
        assert batch["tokens"].dtype == torch.uint16 and np.array_equal(batch["tokens"].numpy(), own.tokens)
        rows = zip(own.tokens.tolist(), own.boundaries, own.loss_mask.tolist(), strict=True)
        assert batch["labels"].tolist() == [labels_of(row, ends.tolist(), learnt) for row, ends, learnt in rows]
        flat = [0]
        for bounds in own.boundaries:
            flat += [flat[-1] - flat[-1] % LENGTH + int(end) for end in bounds[1:]]
        assert batch["cu_seqlens"].tolist() == flat
        assert batch["source_ids"].tolist() == np.concatenate(own.source_ids).tolist()


def test_a_data_set_that_streamed_here_streams_in_workers_that_are_forked_from_here(url):
    data = streamed(url, fetching=Fetching(2, 64 << 20))
    first = seen(islice(tracked(data), 3))  # its threads live
    assert first + seen(tracked(loader_of(data, 2))) == twin(url)


def test_it_travels_without_threads_and_spawned_workers_stream(url):
    data = streamed(url)
    next(iter(data))
    assert len(pickle.dumps(data)) < 20_000
    data.set_epoch(0)
    assert seen(loader_of(data, 1, multiprocessing_context="spawn")) == twin(url)


def test_workers_look_ahead_along_their_own_steps_and_share_a_cache(release, tmp_path):
    """Each of two workers reads the origin once at most, and an epoch with the cache not at all."""
    size = sum(path.stat().st_size for path in release.glob("*.bin"))
    with files_served(release.parent) as server:

        def asked() -> int:
            return sum(each.stop - each.start for each in server.asked if each.path.endswith(".bin"))

        seen(loader_of(streamed(f"{server.url}/1", drop_last=False), 2))
        assert size < asked() <= 2 * size
        kept = Fetching(2, cache=tmp_path / "cache", cache_bytes=64 << 20)
        cached = loader_of(streamed(f"{server.url}/1", drop_last=False, fetching=kept), 2)
        seen(tracked(cached))
        server.asked.clear()
        seen(tracked(cached))
        assert asked() == 0


def test_a_state_of_another_window_or_of_a_whole_shuffle_is_refused(release):
    data = streamed(release)
    with pytest.raises(StateError, match="windows of 6 blocks"):
        data.load_state_dict(streamed(release, window=Window(6, 1, 2)).state_dict())
    with pytest.raises(StateError, match="shuffled as a whole"):
        data.load_state_dict(token_dataset(release, batch=8).state_dict())

"""PyTorch gets the loader's own batches, in its order, whatever fetches them: the twin of every test is ``Loader``."""

from __future__ import annotations

import multiprocessing
import pickle
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from written_release import write_release, write_rows

torch = pytest.importorskip("torch", reason="needs torch: make test-frameworks")

from torch.utils.data import DataLoader  # noqa: E402

from warehouse.errors import StateError, UsageError  # noqa: E402
from warehouse.loader import Loader, TableLoader  # noqa: E402
from warehouse.loader.torch import IGNORED, row_dataset, token_dataset, tracked  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),  # more workers than this machine has cores
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),  # torchdata
]
SIZES = (40, 0, 33, 30)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """103 samples; a piece that begins with token 5 is padding, which is so in three."""
    return write_release(tmp_path_factory.mktemp("torch") / "release", SIZES, pad=5)


def seen(batches) -> list[list[int]]:
    return [batch["samples"].tolist() for batch in batches]


def twin(release: Path, epochs: int = 1, **options) -> list[list[int]]:
    """The sample numbers of the plain loader's batches, epoch after epoch."""
    loader = Loader(release, **options)
    return [batch.samples.tolist() for _ in range(epochs) for batch in loader.batches()]


def loader_of(data, workers: int, **options) -> DataLoader:
    return DataLoader(data, batch_size=None, num_workers=workers, **options)


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
    with pytest.raises(UsageError, match="token_dataset or row_dataset"):
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


def of_rank(rank: int, folder: str, release: str, sent) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    sent.put((rank, seen(loader_of(token_dataset(release, batch=8), 2))))
    torch.distributed.destroy_process_group()


def test_ranks_are_those_of_torch_distributed_and_share_the_global_batches(release, tmp_path):
    context = multiprocessing.get_context("fork")
    sent = context.SimpleQueue()
    ranks = [context.Process(target=of_rank, args=(rank, str(tmp_path), str(release), sent)) for rank in range(2)]
    for process in ranks:
        process.start()
    parts = dict(sent.get() for _ in ranks)
    for process in ranks:
        process.join()
    assert [first + second for first, second in zip(parts[0], parts[1], strict=True)] == twin(release, batch=8)


def test_a_dataset_travels_without_its_files_and_spawned_workers_open_them(release, tmp_path):
    large = token_dataset(write_release(tmp_path / "large", (4000,), length=512), batch=8)
    assert len(pickle.dumps(large)) < 20_000
    data = token_dataset(release, batch=8)
    assert seen(loader_of(data, 1, multiprocessing_context="spawn")) == twin(release, batch=8)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [1, 4, 11])
def test_torchdatas_stateful_loader_resumes_exactly(release, workers, stop):
    from torchdata.stateful_dataloader import StatefulDataLoader  # noqa: PLC0415

    loader = StatefulDataLoader(token_dataset(release, batch=8), batch_size=None, num_workers=workers)
    found = seen(islice(loader, stop))
    again = StatefulDataLoader(token_dataset(release, batch=8), batch_size=None, num_workers=workers)
    again.load_state_dict(loader.state_dict())
    assert found + seen(again) == twin(release, batch=8)

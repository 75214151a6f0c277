"""The loader's laws: nothing lost or repeated, the same batches at every world size, resume = uninterrupted."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.errors import FormatError, IntegrityError, NotFound, StateError, UsageError
from warehouse.loader import Loader
from warehouse.manifest import BLOCK_BYTES, NO_SOURCE, read_manifest


def numbers(tokens: np.ndarray) -> list[int]:
    """Sample numbers, from the first two tokens of each row."""
    return [(int(row[0]) << 16) + int(row[1]) for row in tokens]


def epoch_of(path: Path, *, world: int, steps: int | None = None, **options: int) -> list[list[int]]:
    """The global batches that all ranks together see."""
    ranks = [list(Loader(path, world=world, rank=rank, **options)) for rank in range(world)]
    assert len({len(rank) for rank in ranks}) == 1
    return [[number for rank in ranks for number in numbers(rank[step])] for step in range(len(ranks[0]))][:steps]


def test_an_epoch_gives_every_sample_once(release: Path) -> None:
    seen = [number for batch in Loader(release, batch=8, drop_last=False) for number in numbers(batch)]
    assert sorted(seen) == list(range(103)) and seen != list(range(103))


@pytest.mark.parametrize("drop_last", [True, False])
def test_global_batches_are_the_same_at_every_world_size(release: Path, drop_last: bool) -> None:
    one = epoch_of(release, world=1, batch=8, seed=3, drop_last=drop_last)
    assert len(one) == len(Loader(release, batch=8, drop_last=drop_last)) == (12 if drop_last else 13)
    for world in (2, 4, 8):
        assert epoch_of(release, world=world, batch=8, seed=3, drop_last=drop_last) == one


def test_epochs_and_seeds_have_orders_of_their_own_and_the_next_epoch_follows(release: Path) -> None:
    loader = Loader(release, batch=8)
    first, second = ([numbers(batch) for batch in loader] for _ in range(2))
    assert first != second
    assert second == [numbers(batch) for batch in Loader(release, batch=8, epoch=1)]
    assert first != [numbers(batch) for batch in Loader(release, batch=8, seed=1)]


@given(
    stop=st.integers(0, 12),
    before=st.sampled_from([1, 2, 4]),
    after=st.sampled_from([1, 2, 4]),
    seed=st.integers(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_a_resume_in_any_world_equals_no_interruption(
    shared_release: Path, stop: int, before: int, after: int, seed: int
) -> None:
    whole = epoch_of(shared_release, world=1, batch=8, seed=seed)
    states = []
    for rank in range(before):
        loader = Loader(shared_release, batch=8, world=before, rank=rank, seed=seed)
        steps = iter(loader)
        for _ in range(stop):
            next(steps)
        states.append(json.loads(json.dumps(loader.state())))
    assert all(state == states[0] for state in states)
    rest = [list(Loader.resume(shared_release, states[0], batch=8, world=after, rank=rank)) for rank in range(after)]
    again = [[number for rank in rest for number in numbers(rank[step])] for step in range(len(rest[0]))]
    assert again == whole[stop:]


@pytest.fixture(scope="module")
def shared_release(tmp_path_factory: pytest.TempPathFactory, make_release: Callable[..., Path]) -> Path:
    return make_release(tmp_path_factory.mktemp("loader") / "release", (40, 0, 33, 30))


def test_a_resume_with_another_batch_loses_and_repeats_nothing(release: Path) -> None:
    loader = Loader(release, batch=8)
    steps = iter(loader)
    seen = [number for _ in range(5) for number in numbers(next(steps))]
    rest = Loader.resume(release, loader.state(), batch=9)
    seen += [number for batch in rest for number in numbers(batch)]
    assert len(seen) == len(set(seen)) == 40 + 63


def test_a_resume_keeps_the_last_partial_batch_if_asked_to(release: Path) -> None:
    loader = Loader(release, batch=8, drop_last=False)
    first = next(loader.batches()).samples.tolist()
    rest = Loader.resume(release, loader.state(), batch=10, drop_last=False)
    assert sorted(first + [number for batch in rest.batches() for number in batch.samples.tolist()]) == list(range(103))


def test_a_state_is_a_few_dozen_bytes(release: Path) -> None:
    assert len(pickle.dumps(tuple(Loader(release, batch=8).state().values()))) < 100


def test_a_state_of_another_data_set_split_or_seed_is_refused(
    release: Path, tmp_path: Path, make_release: Callable[..., Path]
) -> None:
    other = make_release(tmp_path / "other", (50,))
    state = Loader(other, batch=5).state()
    with pytest.raises(StateError, match=r"state of data set .* Allowed: data set"):
        Loader.resume(release, state, batch=8)
    own = Loader(release, batch=8, seed=1).state()
    with pytest.raises(StateError, match="seed 1"):
        Loader(release, batch=8, seed=2).restore(own)
    with pytest.raises(StateError, match="500 samples"):
        Loader.resume(release, {**own, "samples": 500}, batch=8)
    with pytest.raises(StateError, match=r"what Loader\.state"):
        Loader.resume(release, {"nonsense": 1}, batch=8)  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 8, "world": 3}, "batch of 8 over 3 ranks"),
        ({"batch": 0}, "batch of 0"),
        ({"batch": 8, "world": 2, "rank": 2}, "rank 2"),
        ({"batch": 104}, "103 samples"),
    ],
)
def test_a_shape_that_cannot_work_is_refused(release: Path, options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Loader(release, **options)


def test_what_is_not_there_is_named(release: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no split 'dev'.*train"):
        Loader(release, split="dev", batch=1)
    with pytest.raises(NotFound, match=r"no manifest\.json"):
        Loader(tmp_path, batch=1)


def test_a_reused_buffer_is_filled_again_and_no_other_is(release: Path) -> None:
    options = {"batch": 8, "world": 2, "rank": 1}
    kept = [batch.tokens for batch in Loader(release, **options).batches(reuse=True)]
    assert all(np.shares_memory(tokens, kept[0]) for tokens in kept)
    alone = [batch.tokens for batch in Loader(release, **options).batches()]
    assert not any(np.shares_memory(one, other) for one, other in pairwise(alone))
    seen = [numbers(batch.tokens) for batch in Loader(release, **options).batches(reuse=True)]
    assert seen == [numbers(tokens) for tokens in alone]


def test_boundaries_and_sample_numbers_belong_to_their_rows(release: Path) -> None:
    for batch in Loader(release, batch=8).batches(boundaries=True):
        assert numbers(batch.tokens) == batch.samples.tolist()
        assert [bounds.tolist() for bounds in batch.boundaries] == [[0, 5, 16]] * 8
        assert batch.boundaries[0].dtype == np.int32


def test_source_ids_belong_to_their_pieces_and_a_release_without_says_so(
    release: Path, tmp_path: Path, make_release: Callable[..., Path]
) -> None:
    named = Loader(make_release(tmp_path / "named", (40, 0, 33, 30), sources=("web", "code", "mail")), batch=8)
    for batch in named.batches(source_ids=True):
        found = [[named.source_names[first], padding] for first, padding in map(np.ndarray.tolist, batch.source_ids)]
        assert found == [[("web", "code", "mail")[sample % 3], NO_SOURCE] for sample in batch.samples.tolist()]
        assert batch.boundaries == () and batch.source_ids[0].dtype == np.uint16
    with pytest.raises(FormatError, match="names no source of its pieces"):
        next(Loader(release, batch=8).batches(source_ids=True))
    assert Loader(release, batch=8).source_names == ()


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def test_a_flipped_byte_is_caught_when_its_block_is_first_touched(
    tmp_path: Path, make_release: Callable[..., Path]
) -> None:
    path = make_release(tmp_path / "big", (4000, 2000), length=512)
    flip(path / "train-00000-of-00002.bin", 2_500_000)
    seen = 0
    with pytest.raises(
        IntegrityError, match=r"train-00000-of-00002\.bin: block 2 \(bytes 2097152 to 3145728\)"
    ) as caught:
        for batch in Loader(path, batch=8):
            seen += len(batch)
    assert caught.value.values["block"] == 2 and seen < 6000
    assert sum(len(batch) for batch in Loader(path, batch=8, checked=False)) == 6000


@pytest.mark.parametrize("name", ["large", "straddling"])
def test_a_flipped_byte_is_caught_in_whichever_block_it_lies(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = shutil.copytree(request.getfixturevalue(name), tmp_path / "copy")
    shards = [entry for entry in read_manifest(path).files.values() if entry.path.endswith(".bin")]
    for entry, block in [(shard, block) for shard in shards for block in range(len(shard.blocks))]:
        last = min((block + 1) * BLOCK_BYTES, entry.bytes) - 1
        flip(path / entry.path, last)
        with pytest.raises(IntegrityError, match=rf"{entry.path}: block {block} "):
            list(Loader(path, batch=1))
        flip(path / entry.path, last)
    assert len(list(Loader(path, batch=1))) == len(Loader(path, batch=1))


@pytest.mark.parametrize("reuse", [False, True])
def test_tokens_begin_with_a_line_of_the_cache_however_many_they_are(release: Path, large: Path, reuse: bool) -> None:
    for path, batch in ((release, 3), (large, 4), (large, 64)):
        for made in Loader(path, batch=batch).batches(reuse=reuse):
            assert made.tokens.__array_interface__["data"][0] % 64 == 0 and made.tokens.flags.c_contiguous


def test_a_truncated_shard_index_and_manifest_are_caught(release: Path) -> None:
    flip(release / "train-00003-of-00004.idx", 40)
    with pytest.raises(IntegrityError, match=r"00003-of-00004\.idx: block 0"):
        next(Loader(release, batch=8).batches(boundaries=True))
    shard = release / "train-00000-of-00004.bin"
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(IntegrityError, match="bytes where"):
        Loader(release, batch=8)
    text = (release / "manifest.json").read_text()
    (release / "manifest.json").write_text(text.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(IntegrityError, match="seal"):
        Loader(release, batch=8)
    (release / "manifest.json").write_text(text[:100])
    with pytest.raises(IntegrityError, match="not a manifest"):
        Loader(release, batch=8)


def test_the_loader_loads_nothing_of_the_stack() -> None:
    heavy = (
        "dagster",
        "duckdb",
        "polars",
        "pyarrow",
        "deltalake",
        "pandas",
        "numba",
        "great_expectations",
        "tokenizers",
        "yaml",
        "torch",
    )
    code = f"import sys, warehouse.loader; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_without_a_framework_its_module_says_which_extra_to_install(name: str) -> None:
    code = f"import sys; sys.modules[{name!r}] = None; import warehouse.loader.{name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        f"MissingExtra: the package {name!r} is not installed. Do: pip install 'ml-warehouse[{name}]'." in done.stderr
    )

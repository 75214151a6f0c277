"""JAX gets the loader's own global batches, laid over a mesh, whatever devices and processes hold their rows."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from written_release import write_release

jax = pytest.importorskip("jax", reason="needs jax: make test-frameworks")

from jax.sharding import NamedSharding, PartitionSpec

from warehouse.errors import UsageError
from warehouse.loader import Loader, Mixture, Source
from warehouse.loader.jax import laid_out, rows_of
from warehouse.loader.labels import IGNORED

jax.config.update("jax_num_cpu_devices", 4)
MESHES = {
    "rows over four": ((4,), ("data",), PartitionSpec("data")),
    "rows over two, twice": ((2, 2), ("data", "model"), PartitionSpec("data")),
    "rows and places over two": ((2, 2), ("data", "place"), PartitionSpec("data", "place")),
    "all of it on each": ((4,), ("data",), PartitionSpec()),
    "places over four": ((4,), ("place",), PartitionSpec(None, "place")),
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """103 samples; a piece that begins with token 5 is padding, which is so in three."""
    return write_release(tmp_path_factory.mktemp("jax") / "release", (40, 0, 33, 30), pad=5)


def sharding_of(name: str) -> NamedSharding:
    shape, axes, spec = MESHES[name]
    return NamedSharding(jax.make_mesh(shape, axes), spec)


@pytest.mark.parametrize("name", MESHES)
def test_every_mesh_holds_the_loaders_global_batches_as_its_sharding_says(release, name):
    sharding = sharding_of(name)
    loader = Loader(release, batch=8, seed=3, **rows_of(sharding, batch=8))
    plain = Loader(release, batch=8, seed=3).batches(boundaries=True, positions=True, loss_mask=True)
    for batch, expected in zip(laid_out(loader, sharding, labels=True, positions=True), plain, strict=True):
        for array, values in ((batch.tokens, expected.tokens), (batch.positions, expected.positions)):
            assert (array.sharding, array.dtype, array.shape) == (sharding, np.int32, (8, 16))
            np.testing.assert_array_equal(np.asarray(array), values)
            for piece in array.addressable_shards:
                np.testing.assert_array_equal(np.asarray(piece.data), values[piece.index])
        assert batch.samples.tolist() == expected.samples.tolist()


def test_labels_are_the_next_tokens_of_the_piece_and_none_in_padding(release):
    sharding = sharding_of("rows over four")
    loader = Loader(release, batch=8, **rows_of(sharding, batch=8))
    ignored = 0
    for batch, expected in zip(
        laid_out(loader, sharding, labels=True), Loader(release, batch=8).batches(loss_mask=True), strict=True
    ):
        labels = np.asarray(batch.labels)
        inside = np.arange(15) != 4  # pieces of 5 and 11 tokens
        shown = expected.loss_mask[:, 1:] & inside
        np.testing.assert_array_equal(labels[:, :-1][shown], expected.tokens[:, 1:][shown])
        assert (labels[:, :-1][~shown] == IGNORED).all()
        assert (labels[:, -1] == IGNORED).all()
        ignored += int((~expected.loss_mask).sum())
    assert ignored > 0


def test_a_jitted_step_over_the_mesh_sums_what_numpy_sums(release):
    sharding = sharding_of("rows over four")
    loader = Loader(release, batch=8, **rows_of(sharding, batch=8))
    total = jax.jit(lambda tokens: tokens.sum())
    found = [int(total(batch.tokens)) for batch in laid_out(loader, sharding, threads=2)]
    assert found == [int(tokens.sum(dtype=np.int64)) for tokens in Loader(release, batch=8)]


def test_a_resume_in_another_mesh_loses_and_repeats_nothing(release):
    first, second = sharding_of("rows over four"), sharding_of("all of it on each")
    loader = Loader(release, batch=8, **rows_of(first, batch=8))
    found = [batch.samples.tolist() for batch in islice(laid_out(loader, first), 5)]
    again = Loader.resume(release, loader.state(), batch=8, **rows_of(second, batch=8))
    found += [batch.samples.tolist() for batch in laid_out(again, second)]
    assert found == [batch.samples.tolist() for batch in Loader(release, batch=8).batches()]


def test_a_mixture_lays_out_as_a_loader_does(release, tmp_path):
    sources = [Source(release), Source(write_release(tmp_path / "other", (21,), name="other"))]
    sharding = sharding_of("rows over four")
    mixture = Mixture(sources, batch=8, **rows_of(sharding, batch=8))
    plain = Mixture(sources, batch=8).batches()
    for batch, expected in zip(islice(laid_out(mixture, sharding), 30), plain, strict=False):
        assert batch.sources.tolist() == expected.sources.tolist()
        np.testing.assert_array_equal(np.asarray(batch.tokens), expected.tokens)


def test_rows_that_are_not_this_processs_own_are_refused(release):
    sharding = sharding_of("rows over four")
    with pytest.raises(UsageError, match=r"rank 1 of 2.*rank 0 of 1.*rows_of"):
        next(laid_out(Loader(release, batch=8, world=2, rank=1), sharding))
    with pytest.raises(UsageError, match="drop_last=True"):
        next(laid_out(Loader(release, batch=8, drop_last=False), sharding))


def test_two_processes_of_two_devices_see_the_same_global_batches(release, checkout):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environ = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2", "PYTHONPATH": str(checkout)}
    command = [sys.executable, str(checkout / "tests" / "frameworks" / "jax_rank.py")]
    ranks = [
        subprocess.Popen([*command, str(rank), "2", address, str(release)], env=environ, stdout=subprocess.PIPE)
        for rank in range(2)
    ]
    said = [json.loads(process.communicate(timeout=120)[0].splitlines()[-1]) for process in ranks]
    plain = list(islice(Loader(release, batch=8).batches(), 5))
    assert [part["devices"] for part in said] == [2, 2]
    assert said[0]["state"] == said[1]["state"]
    assert all(re.search("holds rows .* one run of rows a process.*make_mesh", part["refused"]) for part in said)
    for step, expected in enumerate(plain):
        assert said[0]["batches"][step][0] + said[1]["batches"][step][0] == expected.samples.tolist()
        assert all(part["batches"][step][1] == expected.tokens.tolist() for part in said)

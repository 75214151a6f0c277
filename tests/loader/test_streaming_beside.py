"""What a stream gives beside its samples is what the release's files say; of these no block comes but those needed."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from file_server import Fault, FileServer, files_served
from streams import data_asked, opened
from written_release import write_release

from warehouse.errors import FormatError, IntegrityError
from warehouse.loader import Fetching, Loader, StreamingLoader
from warehouse.manifest import BLOCK_BYTES, content_id, encode, hash_file, read_manifest, seal

LENGTH = 16_380
"""Tokens of a sample: their bits are no whole bytes, and a sample may lie in two blocks."""
MASK_BYTES = 2048
SIZES = (600, 0, 33)
"""Samples of each shard; the mask of the first has two blocks."""
NAMES = ("web", "code", "mail")

Noted = tuple[bytes, list[str | None]]
"""Of a sample: what is learnt, a byte a token, and the source of each piece."""


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("noted") / "1"
    return write_release(
        folder, SIZES, length=LENGTH, sources=NAMES, masked=True, pieces=lambda number: [100] * (number % 5)
    )


@pytest.fixture
def noted_server(noted: Path) -> Iterator[FileServer]:
    with files_served(noted.parent) as found:
        yield found


def written(path: Path) -> list[Noted]:
    """What the files of a release say of each sample, read by their layout alone."""
    found: list[Noted] = []
    for shard in read_manifest(path).splits["train"].shards:
        index, names = (path / shard.index).read_bytes(), [*NAMES, *[None] * (0xFFFF - len(NAMES) + 1)]
        pieces, _ = struct.unpack_from("<QQ", index, 18)
        firsts = struct.unpack_from(f"<{shard.samples + 1}q", index, 34 + 12 * pieces)
        sources = struct.unpack(f"<{pieces}H", (path / shard.sources).read_bytes())
        bits = np.fromfile(path / shard.mask, "u1").reshape(shard.samples, MASK_BYTES)
        for sample, row in enumerate(bits):
            learnt = (row[:, None] >> np.arange(8) & 1).reshape(-1)[:LENGTH].astype("u1").tobytes()
            found.append((learnt, [names[number] for number in sources[firsts[sample] : firsts[sample + 1]]]))
    return found


def given(loader: StreamingLoader, steps: int | None = None) -> dict[int, Noted]:
    """What a stream gives of the samples of its next steps."""
    found: dict[int, Noted] = {}
    for batch in islice(loader.batches(loss_mask=True, source_ids=True), steps):
        assert batch.loss_mask is not None
        for row, sample in enumerate(batch.samples.tolist()):
            names = [None if number == 0xFFFF else loader.source_names[number] for number in batch.source_ids[row]]
            found[sample] = (batch.loss_mask[row].tobytes(), names)
    return found


@pytest.mark.parametrize("world", [1, 2])
def test_masks_and_sources_are_what_the_files_say_from_a_folder_and_a_server_and_resumed(
    noted: Path, noted_server: FileServer, world: int
) -> None:
    expected = dict(enumerate(written(noted)))
    for location in (noted, f"{noted_server.url}/1"):
        found: dict[int, Noted] = {}
        states = []
        for rank in range(world):
            with opened(location, drop_last=False, world=world, rank=rank) as loader:
                found |= given(loader, 30)
                states.append(loader.state())
        assert len(found) == 240 and all(state == states[0] for state in states)
        with StreamingLoader.resume(location, states[0], batch=9, drop_last=False) as rest:
            after = given(rest)
        assert len(after) == len(expected) - 240
        assert found | after == expected


def test_blocks_of_a_mask_come_as_they_are_needed_and_once_and_no_others(noted_server: FileServer) -> None:
    with opened(f"{noted_server.url}/1", fetching=Fetching(1, 0)) as loader:
        coming = [sample for step in loader.comes_next(2) for sample in step.samples]  # one step is always planned
        runs = [loader.runs[run] for run in np.unique(loader.runs.located(np.array(coming))[0])]
        shares = [
            (f"{run.entry.path.partition('.')[0]}.mask", at // BLOCK_BYTES)
            for run in runs
            for at in range(run.start // (2 * LENGTH) * MASK_BYTES, run.stop // (2 * LENGTH) * MASK_BYTES, MASK_BYTES)
        ]
        batches = loader.batches(loss_mask=True)
        next(batches)
        assert set(data_asked(noted_server, ".mask")) <= set(shares)
        assert len(list(batches)) == len(loader) - 1
        assert sorted(data_asked(noted_server, ".mask")) == [
            ("train-00000-of-00003.mask", 0),
            ("train-00000-of-00003.mask", 1),
            ("train-00002-of-00003.mask", 0),
        ]
        assert not data_asked(noted_server, ".idx") and not data_asked(noted_server, ".sources")


def test_what_is_asked_for_later_comes_from_there_on(noted: Path) -> None:
    with opened(noted) as loader:
        plain = next(loader.batches())
        assert plain.loss_mask is None
        later = given(loader, 3)
        assert [later[sample] for sample in later] == [written(noted)[sample] for sample in later]
        assert not set(plain.samples.tolist()) & set(later)


@pytest.mark.parametrize("kind", ["mask", "sources", "idx"])
def test_a_file_beside_the_shards_that_stays_damaged_is_named(noted_server: FileServer, kind: str) -> None:
    path = f"train-00000-of-00003.{kind}"
    noted_server.fault = lambda asked, _: Fault(flip=5) if asked.endswith(path) else None
    with opened(f"{noted_server.url}/1") as loader, pytest.raises(IntegrityError, match=rf"^{path}: block 0 \(bytes 0"):
        given(loader)


def test_a_release_without_sources_says_so_and_one_without_masks_is_learnt_but_for_padding(straddling: Path) -> None:
    with opened(straddling) as loader:
        assert loader.source_names == ()
        with pytest.raises(FormatError, match="names no source of its pieces"):
            next(loader.batches(source_ids=True))
        batch = next(loader.batches(loss_mask=True))
        assert batch.loss_mask is not None and batch.loss_mask.all()


def test_a_cache_keeps_what_lies_beside_the_samples_too(noted_server: FileServer, tmp_path: Path) -> None:
    fetching, found = Fetching(cache=tmp_path, cache_bytes=64 << 20), []
    for _ in range(2):
        noted_server.asked.clear()
        with opened(f"{noted_server.url}/1", fetching=fetching) as loader:
            found.append(given(loader))
    assert found[0] == found[1]
    assert {each.path for each in noted_server.asked} <= {"1/manifest.json", "1/manifest.sig", "1/revoked.json"}


@pytest.mark.parametrize("loader", [Loader, StreamingLoader])
def test_a_mask_of_another_size_than_its_samples_is_refused(
    loader: type[Loader | StreamingLoader], tmp_path: Path
) -> None:
    path, name = write_release(tmp_path / "1", (40,), masked=True), "train-00000-of-00001.mask"
    (path / name).write_bytes((path / name).read_bytes()[:-1])
    manifest = read_manifest(path)
    files = {**manifest.files, name: hash_file(path, name)}
    forged = replace(manifest, files=files, id=content_id(files.values()), seal="")
    (path / "manifest.json").write_bytes(encode(replace(forged, seal=seal(forged))))
    with pytest.raises(IntegrityError, match=r"\.mask: 79 bytes for 40 samples of 2 bytes"):
        loader(path, batch=8)

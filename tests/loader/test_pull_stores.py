"""A pull from an object store: the same bytes, each checked, faults of the store bounded and told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from stores import Answer, environ, faulty
from written_release import write_release

import warehouse
from warehouse import stores
from warehouse.errors import InputError, IntegrityError, MissingExtra, NetworkError, NotFound, Revoked, UsageError
from warehouse.loader import offered, pull
from warehouse.manifest import BLOCK_BYTES

LENGTH = 1 << 14


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of ten blocks, more than one request takes, and of one and a bit."""
    return write_release(tmp_path_factory.mktemp("made") / "release", (320, 33), length=LENGTH)


@pytest.fixture
def bucket(s3: Any, release: Path) -> str:
    objects = {f"data/made/1/{path.name}": path.read_bytes() for path in release.iterdir()}
    index = {"name": "made", "versions": [{"version": 1, "state": "live", "why": ""}]}
    return str(s3.made({**objects, "data/made/index.json": json.dumps(index).encode()}))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".pull.lock"}


@pytest.mark.parametrize("place", ["data/made/1", "data/made", "data/made@1", "data/made/1/manifest.json"])
def test_what_arrives_from_a_bucket_equals_the_release(bucket: str, release: Path, tmp_path: Path, place: str) -> None:
    done = pull(f"s3://{bucket}/{place}", tmp_path / "to")
    assert contents(tmp_path / "to") == contents(release)
    assert done.fetched == done.bytes
    (tmp_path / "to/train-00000-of-00002.bin").unlink()
    assert pull(f"s3://{bucket}/{place}", tmp_path / "to").fetched == 10 * BLOCK_BYTES


def test_what_is_not_as_recorded_in_a_bucket_is_named(s3: Any, bucket: str, release: Path, tmp_path: Path) -> None:
    key, raw = "data/made/1/train-00000-of-00002.bin", bytearray((release / "train-00000-of-00002.bin").read_bytes())
    raw[9 * BLOCK_BYTES] ^= 1
    s3.put(bucket, {key: bytes(raw)})
    with pytest.raises(IntegrityError, match=rf"^train-00000-of-00002\.bin: block 9 \(.*comes from s3://{bucket}/data"):
        pull(f"s3://{bucket}/data/made/1", tmp_path / "to")
    for size in (len(raw) - 1, 5 * BLOCK_BYTES, 0):
        s3.put(bucket, {key: bytes(raw[:size])})
        with pytest.raises(IntegrityError, match=rf"^train-00000-of-00002\.bin: {size} bytes in s3://"):
            pull(f"s3://{bucket}/data/made/1", tmp_path / f"to-{size}")
    s3.delete(bucket, key)
    with pytest.raises(IntegrityError, match=r"^train-00000-of-00002\.bin: the file is missing in s3://"):
        pull(f"s3://{bucket}/data/made/1", tmp_path / "to")
    s3.put(bucket, {"data/made/1/revoked.json": b'{"why": "a person asked"}'})
    with pytest.raises(Revoked, match="a person asked"):
        pull(f"s3://{bucket}/data/made/1", tmp_path / "to")
    assert contents(tmp_path / "to") == {}


def test_a_store_that_fails_is_tried_again_and_one_that_stays_down_is_one_error(
    s3: Any, bucket: str, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty(s3.url) as server:
        for name, value in environ(server.url).items():
            monkeypatch.setenv(name, value)
        failing = [Answer(500), Answer(reset=True), Answer(cut=BLOCK_BYTES // 2)]
        server.faults = lambda method, target: failing.pop() if failing and target.endswith(".bin") else None
        pull(f"s3://{bucket}/data/made/1", tmp_path / "to", workers=1)
        assert (failing, contents(tmp_path / "to")) == ([], contents(release))
        monkeypatch.setattr(stores, "TRIES", 2)
        server.faults = lambda method, target: Answer(503) if target.endswith(".bin") else None
        with pytest.raises(NetworkError, match=r"\.bin cannot be reached"):
            pull(f"s3://{bucket}/data/made/1", tmp_path / "other", workers=1)


def test_a_place_in_a_store_that_is_none_is_told(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=rf"neither manifest\.json nor index\.json in s3://{bucket}/nowhere"):
        offered(f"s3://{bucket}/nowhere")
    with pytest.raises(InputError, match="no such bucket"):
        offered("s3://bucket-of-nobody/made/1")
    with pytest.raises(UsageError, match="ftp:// as the place of a release"):
        offered("ftp://host/made/1")
    with pytest.raises(UsageError, match="holds credentials") as told:
        offered(f"s3://user:hush@{bucket}/made/1")
    assert "hush" not in str(told.value)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(warehouse, "stores")
    monkeypatch.delitem(sys.modules, "warehouse.stores")
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(MissingExtra, match=r"'obstore'.*pip install 'ml-warehouse\[remote\]'"):
        offered("s3://bucket/made/1")

"""``warehouse pull``: a release of the project by its name, or any by its place, in one line; every refusal is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from file_server import Fault, files_served
from written_release import write_release

from warehouse.manifest import read_any


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the release made@1 on its shelf, which is the working directory."""
    (tmp_path / "warehouse.toml").write_text("")
    write_release(tmp_path / ".warehouse/datasets/made/1", (40, 30))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".pull.lock"}


@pytest.mark.parametrize("release", ["made", "made@1", ".warehouse/datasets/made/1", "channel:train"])
def test_a_release_by_name_path_or_channel_comes_whole(named: Path, warehouse, monkeypatch, release: str) -> None:
    shelved = named / ".warehouse/datasets/made/1"
    monkeypatch.setenv("SM_CHANNEL_TRAIN", str(shelved))
    size = sum(entry.bytes for entry in read_any(shelved).files.values())
    ended = warehouse("pull", release, "to", "--json")
    assert (ended.status, ended.err) == (0, "")
    said = json.loads(ended.out)
    assert said == {"path": "to", "id": read_any(shelved).id, "files": 4, "bytes": size, "fetched": size, "again": []}
    assert files(named / "to") == files(shelved)
    assert warehouse("verify", "to").status == 0
    again = warehouse("pull", release, "to")
    assert again.out == f"to: 4 files, {size / 1000:.1f} kB, was there, every hash is right; id {said['id']}\n"


def test_a_part_and_a_cache_are_asked_for_by_options(named: Path, warehouse) -> None:
    ended = warehouse("pull", "made", "part", "--rank", "1", "--world", "2", "--split", "train")
    assert (ended.status, "2 files" in ended.out, ".1of2" in ended.out) == (0, True, True)
    assert warehouse("verify", "part").status == 0
    assert "part holds a part of a release" in warehouse("trace", "part", "0").err
    ended = warehouse("pull", "made", "cache", "--cache", "1MB")
    assert (ended.status, [path.is_dir() for path in (named / "cache").glob(f"{id_of(named)}")]) == (0, [True])
    ended = warehouse("pull", "made", "cache", "--cache", "1KB", "--rank", "0", "--world", "2")
    assert (ended.status, "nothing was removed" in ended.err) == (1, True)


def id_of(project: Path) -> str:
    return read_any(project / ".warehouse/datasets/made/1").id


def test_what_came_damaged_and_then_right_is_said(named: Path, warehouse) -> None:
    once = [Fault(flip=3)]
    with files_served(named / ".warehouse/datasets") as server:
        server.fault = lambda path, _: once.pop() if once and path.endswith(".bin") else None
        ended = warehouse("pull", f"{server.url}/made/1", "to", "--workers", "1")
    assert ended.out.startswith("came damaged and was fetched again: train-00000-of-00002.bin: block 0\n")


def test_a_refused_release_is_one_line_and_status_1(named: Path, warehouse) -> None:
    (named / ".warehouse/datasets/made/1/revoked.json").write_text('{"why": "a person asked"}')
    for release in ("made@1", ".warehouse/datasets/made/1"):
        ended = warehouse("pull", release, "to")
        assert (ended.status, len(ended.err.splitlines()), "a person asked" in ended.err) == (1, 1, True)


def test_ctrl_c_ends_it_in_one_line_and_the_same_again_completes_it(named: Path, warehouse) -> None:
    with files_served(named / ".warehouse/datasets") as server:
        server.fault = lambda path, _: Fault(wait_s=0.5) if path.endswith(".bin") else None
        command = [sys.executable, "-m", "warehouse.cli", "pull", f"{server.url}/made/1", "to"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as pulling:
            until = time.monotonic() + 20
            while not server.of("made/1/train-00000-of-00002.bin") and time.monotonic() < until:
                time.sleep(0.01)
            os.kill(pulling.pid, 2)
            _, said = pulling.communicate(timeout=30)
        assert (pulling.returncode, "Traceback" in said, "stopped" in said) == (130, False, True)
        assert not (named / "to/manifest.json").exists()
        assert warehouse("pull", f"{server.url}/made/1", "to").status == 0


def test_a_release_of_a_project_in_a_bucket_comes_from_there_and_not_by_the_mirror(
    named: Path, warehouse, s3, monkeypatch
) -> None:
    shelved = named / ".warehouse/datasets/made/1"
    bucket = s3.made({f"w/datasets/made/1/{path.name}": path.read_bytes() for path in shelved.iterdir()})
    monkeypatch.setenv("WAREHOUSE_ROOT", f"s3://{bucket}/w")
    monkeypatch.setenv("WAREHOUSE_STATE", str(named / "state"))
    ended = warehouse("pull", "made@1", "to")
    assert (ended.status, ended.err) == (0, "")
    assert files(named / "to") == files(shelved)
    assert {path.name for path in (named / "state").rglob("made/1/*")} == {"manifest.json"}


def test_a_place_needs_no_project_around(named: Path, warehouse, tmp_path_factory, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    shelved = named / ".warehouse/datasets/made/1"
    assert warehouse("pull", str(shelved), "to").status == 0
    assert files(Path("to")) == files(shelved)


def test_a_key_is_asked_for_by_pull_and_verify(named: Path, warehouse) -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (named / "public.pem").write_bytes(public)
    shelved = named / ".warehouse/datasets/made/1"
    for verb in (("pull", "made", "to"), ("verify", "made")):
        ended = warehouse(*verb, "--key", "public.pem")
        assert (ended.status, "is not signed" in ended.err) == (1, True)
    (shelved / "manifest.sig").write_bytes(private.sign((shelved / "manifest.json").read_bytes()))
    for verb in (("pull", "made", "to"), ("verify", "made"), ("verify", "to")):
        assert warehouse(*verb, "--key", "public.pem").out.endswith("signed by public.pem\n")

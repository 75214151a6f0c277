"""Versions and their states, one writer at a time, and nothing half-written after a kill or on a full disk."""

from __future__ import annotations

import fcntl
import json
import pickle
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from warehouse import mirror
from warehouse.datasets import DatasetRecipe, Release, list_releases, resolve, verify
from warehouse.datasets.shelf import write_index
from warehouse.errors import Busy, IntegrityError, NotFound, Revoked, UsageError


@pytest.fixture(params=["disk", "bucket"])
def shelf(world: Any, recipe: DatasetRecipe, request: pytest.FixtureRequest) -> Path:
    """Two versions of one data set, in a folder or in one that mirrors a bucket."""
    if request.param == "bucket":
        mirror.make(world.folder, f"s3://{request.getfixturevalue('s3').made()}/root")
    for seed in (1, 2):
        world.export(replace(recipe, seed=seed))
    return world.folder / "out"


def test_names_versions_and_paths_resolve(shelf: Path) -> None:
    home = shelf / "tiny"
    assert resolve(shelf, "tiny") == resolve(shelf, "tiny@2") == home / "2"
    assert resolve(shelf, "tiny@1") == resolve(shelf, home / "1") == home / "1"
    listed = list_releases(shelf)
    assert [(one.name, one.version, one.state) for one in listed] == [("tiny", 1, "live"), ("tiny", 2, "live")]
    assert listed[0].run["run_id"] == "run" and list_releases(shelf / "none") == []


def test_what_does_not_resolve_says_what_there_is(shelf: Path) -> None:
    with pytest.raises(NotFound, match=r"no release 'tiny@9'.*Allowed: tiny@1, tiny@2"):
        resolve(shelf, "tiny@9")
    with pytest.raises(NotFound, match=r"no release 'huge'.*Allowed: tiny"):
        resolve(shelf, "huge")
    with pytest.raises(NotFound, match="no release"):
        resolve(shelf, "../out/tiny")
    with pytest.raises(UsageError, match="version 'new'"):
        resolve(shelf, "tiny@new")


def test_a_revoked_version_is_not_handed_out_and_stays_revoked(shelf: Path, world: Any, recipe: DatasetRecipe) -> None:
    index = shelf / "tiny" / "index.json"
    said = json.loads(index.read_text())
    said["versions"][1] |= {"state": "revoked", "why": "takedown 7"}
    index.write_text(json.dumps(said))
    mirror.send(index)
    assert resolve(shelf, "tiny") == shelf / "tiny" / "1"
    with pytest.raises(Revoked, match="was revoked: takedown 7"):
        resolve(shelf, "tiny@2")
    again = world.export(replace(recipe, seed=2))
    assert (again.written, again.version) == (True, 3)
    assert [one.state for one in list_releases(shelf)] == ["live", "revoked", "live"]


def test_a_version_that_a_crash_kept_out_of_the_index_is_live(shelf: Path) -> None:
    (shelf / "tiny" / "index.json").unlink()
    assert resolve(shelf, "tiny") == shelf / "tiny" / "2"
    write_index(shelf / "tiny")
    assert [entry["version"] for entry in json.loads((shelf / "tiny" / "index.json").read_text())["versions"]] == [1, 2]


def test_a_damaged_index_is_refused_not_taken_for_empty(shelf: Path) -> None:
    for text in ("", "{}", '{"versions": 3}', '{"versions": ["1"]}'):
        (shelf / "tiny" / "index.json").write_text(text)
        mirror.send(shelf / "tiny" / "index.json")
        with pytest.raises(IntegrityError, match=r"index\.json is not an index of versions"):
            resolve(shelf, "tiny")


def test_numbers_that_other_machines_claimed_are_passed_over_and_dead_claims_go(
    world: Any, recipe: DatasetRecipe, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.make(world.folder, f"s3://{s3.made()}/root")
    home = world.folder / "out" / recipe.name
    assert mirror.claim(home / "1" / ".building") and not mirror.claim(home / "1" / ".building")
    assert world.export(recipe).version == 2
    assert mirror.names(home) == ["1", "2", "index.json"]
    monkeypatch.setattr(mirror, "STRAY_S", -60)
    assert world.export(replace(recipe, seed=9)).version == 3
    assert mirror.names(home) == ["2", "3", "index.json"]
    assert mirror.names(home / "3") == sorted(path.name for path in (home / "3").iterdir())


def test_a_data_set_is_built_by_one_process_at_a_time(shelf: Path, world: Any) -> None:
    with (shelf / "tiny" / ".lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Busy, match="another process exports tiny"):
            world.export()
    assert world.export().written


HARNESS = """
import os, pickle, signal, sys
sys.path.insert(0, sys.argv[1])
from tiny_world import World
from warehouse.datasets import release, shelf
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
def export(world, recipe, stage, out):
    if stage == "rename": shelf.write_index = die
    if stage == "sync": shelf.sync = die
    seal = release._seal
    if stage == "manifest": release._seal = lambda *given: die(seal(*given))
    world.export(recipe, out=out, progress=die if stage == "shard" else None)
for call in pickle.load(sys.stdin.buffer):
    child = os.fork()
    if child == 0: export(*call)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
STAGES = ("shard", "manifest", "sync", "rename")


@pytest.fixture(scope="module")
def killed(made: tuple[Any, Release], recipe: DatasetRecipe) -> dict[str, int]:
    """How exports into the shelves killed-STAGE ended, each a fork of one process that kills itself at its stage."""
    calls = pickle.dumps([(made[0], recipe, stage, f"killed-{stage}") for stage in STAGES])
    script = [sys.executable, "-c", HARNESS, str(Path(__file__).parent)]
    ended = subprocess.run(script, input=calls, stdout=subprocess.PIPE, check=True)
    return dict(zip(STAGES, map(int, ended.stdout.split()), strict=True))


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_export_leaves_the_shelf_readable_and_the_next_completes_it(
    stage: str, killed: dict[str, int], made: tuple[Any, Release]
) -> None:
    world, release = made
    home = world.folder / f"killed-{stage}" / "tiny"
    assert killed[stage] == -signal.SIGKILL
    assert [one.version for one in list_releases(home.parent)] == ([1] if stage == "rename" else [])
    again = world.export(out=home.parent.name)
    assert (again.version, again.written, again.id) == (1, stage != "rename", release.id)
    verify(again.path)
    left = {path.name for path in home.iterdir()}
    assert left - {"index.json"} == {".lock", "1"}


FULL = """
mkdir -p "$1" && mount -t tmpfs -o size=200k full "$1" && mkdir "$1/home" || exit 99
"$2" -c '
import pickle, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tiny_world import World
from warehouse.errors import StorageFull
world, recipe, folder = pickle.load(sys.stdin.buffer)
try:
    World(folder, world.snapshot, world.rows).export(recipe, out="home")
except StorageFull as error:
    print(error)
    print(sorted(path.name for path in (folder / "home" / "tiny").iterdir()))
' "$3"
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare to mount a small disk")
def test_a_full_disk_is_one_clear_error_and_nothing_is_visible(
    tmp_path: Path, made: tuple[Any, Release], recipe: DatasetRecipe
) -> None:
    folder = tmp_path / "full"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", FULL, "sh", str(folder), sys.executable, str(Path(__file__).parent)],  # noqa: S607
        input=pickle.dumps((made[0], recipe, folder)),
        capture_output=True,
        check=False,
    )
    if done.returncode == 99 or b"unshare:" in done.stderr:
        pytest.skip("this machine does not allow mounting a small disk")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines() == [
        f"no space left at {folder}/home/tiny while the release was written. Allowed: room for the shards and their "
        "indexes. Do: free some space and try again; nothing half-written is visible.",
        "['.lock']",
    ]

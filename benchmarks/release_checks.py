"""Whether releases hold what they promise: the same bytes again, each flipped byte caught, peers' readers content.

Used by datasets.py. A release of whole documents in eight shards, made by 1, 2 and 8 processes and rendered again from
its frozen documents; FLIPS times one byte of one of its files is changed, at random but seeded, and verified; the tests
that read its targets with the projects' own readers are run where their environment is (make test-frameworks).
"""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "datasets"))

from tiny_world import RECIPE, row, write_world

from warehouse.datasets import rebuild, verify
from warehouse.errors import IntegrityError
from warehouse.manifest import NAME

ROOT = Path(__file__).resolve().parents[1]
FLIPS = 200
READERS = {
    ".venv-frameworks": "tests/frameworks/test_target_readers.py",
    ".venv": "tests/datasets/test_targets.py",  # WebDataset's
}


def checked(folder: Path, texts: list[str]) -> dict[str, Any]:
    """The figures by name; peer_readers_ok is None where the environment of make test-frameworks is not there."""
    world = write_world(folder / "world", [row(number, text) for number, text in enumerate(texts)])
    recipe = replace(RECIPE, shards=8, sequence_length=2048)
    made = {count: world.export(recipe, out=str(count), processes=count) for count in (1, 2, 8)}
    again = rebuild(made[1].path, world.snapshot, processes=2)
    return {
        "rebuild_identical": {release.id for release in made.values()} == {again.id},
        "rebuild_processes": [len(release.run["pids"]) for release in made.values()],
        "flipped_bytes": FLIPS,
        "flipped_bytes_caught": sum(flips(made[1].path)),
        "peer_readers_ok": read_by_peers(),
    }


def flips(release: Path) -> list[bool]:
    """For each flip whether verifying named the file."""
    chance = random.Random(5)
    files = sorted(path for path in release.rglob("*") if path.name != "run.json" and path.is_file())
    filled = [path for path in files if path.stat().st_size]
    return [flipped(release, path, chance) for path in chance.choices(filled, k=FLIPS)]


def flipped(release: Path, path: Path, chance: random.Random) -> bool:
    """Whether one changed byte of a file is told, with its name; the file is as before afterwards."""
    whole = path.read_bytes()
    at = chance.randrange(len(whole))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ chance.randint(1, 255)]) + whole[at + 1 :])
    try:
        verify(release)
        return False
    except IntegrityError as error:
        return path.relative_to(release).as_posix() in str(error) or path.name == NAME
    finally:
        path.write_bytes(whole)


def read_by_peers() -> bool | None:
    """Whether every target is read back, sample by sample, by the readers of the projects whose formats they are."""
    if not (ROOT / ".venv-frameworks" / ".installed").is_file():
        return None
    commands = [[ROOT / where / "bin" / "python", "-m", "pytest", "-q", tests] for where, tests in READERS.items()]
    ended = [subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False) for command in commands]
    return all(each.returncode == 0 for each in ended)

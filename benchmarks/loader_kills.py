"""Kills, worlds and resumes of ``loader.py``: what a loader loses and repeats, ours and those of the peers."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from loader_peers import LENGTH
from written_release import write_release

from warehouse.loader import Loader, Mixture, Phase, Source

HERE = Path(__file__).resolve().parent
KILLS = 100  # of each kind
RESUMES, SMALL, LIMIT_S = 5, 8192, 60

Ranks = list[Any]
Row = tuple[int, int]


def train(ranks: Ranks, to: int, leave: int) -> None:
    """Each step of all ranks, once there is leave, as a line of JSON: its rows (source, sample), the state after it."""
    for parts in zip(*(rank.batches() for rank in ranks), strict=True):
        rows = [row for part in parts for row in zip(part.sources.tolist(), part.samples.tolist(), strict=True)]
        os.read(leave, 1)
        os.write(to, (json.dumps([rows, ranks[0].state()]) + "\n").encode())


def killed_run(ranks: Ranks, steps: int) -> list[tuple[list[Row], Any]]:
    """What a process reports that is killed in the step after ``steps`` others; all, if it ends before."""
    reads, writes = os.pipe()
    leave, leaves = os.pipe()
    child = os.fork()
    if not child:
        os.close(reads)
        train(ranks, writes, leave)
        os._exit(0)
    os.close(writes)
    os.write(leaves, bytes(steps + 1))
    with os.fdopen(reads, "rb") as stream:
        lines = list(islice(stream, steps))
        os.kill(child, signal.SIGKILL)
        lines += [line for line in stream if line.endswith(b"\n")]
    os.waitpid(child, 0)
    os.close(leave)
    os.close(leaves)
    return [([tuple(row) for row in rows], state) for rows, state in map(json.loads, lines)]


def runs(opened: Callable[[Any, dict[str, int], random.Random], Any], chance: random.Random) -> list[Row]:
    """What was trained with a kill after each of KILLS random numbers of steps, each time in another world."""
    trained: list[Row] = []
    state = None
    for _ in range(KILLS):
        world = chance.choice([1, 2, 3, 4, 8])
        seed, shape = chance.random(), {"batch": world * chance.randint(1, 4), "world": world}
        ranks = [opened(state, {**shape, "rank": rank}, random.Random(seed)) for rank in range(world)]
        reported = killed_run(ranks, chance.randint(0, 12))
        trained += [row for rows, _ in reported for row in rows]
        state = reported[-1][1] if reported else state
    rest = opened(state, {"batch": 1, "world": 1, "rank": 0}, random.Random(0))
    if isinstance(rest, Loader):
        trained += [(0, int(batch.samples[0])) for batch in rest.batches()]
    return trained


def killed(folder: Path) -> dict[str, int]:
    """Samples lost and duplicated over all kills."""
    chance, whole = random.Random(11), write_release(folder / "killed", (9_000, 6_001))
    parts = [
        Source(write_release(folder / f"part-{size}", (size,), name=f"part-{size}")) for size in (5_003, 1_009, 211)
    ]

    def loader(state: Any, shape: dict[str, int], _: random.Random) -> Loader:
        return Loader.resume(whole, state, **shape) if state else Loader(whole, **shape)

    def mixture(state: Any, shape: dict[str, int], own: random.Random) -> Mixture:
        at = state["samples"] if state else 0
        phases = [Phase(weights=(5, 3, 2)), Phase(at + own.randint(1, 300), weights=[own.randint(1, 9) for _ in parts])]
        return Mixture.resume(parts, state, phases=phases, **shape) if state else Mixture(parts, phases=phases, **shape)

    single, mixed = runs(loader, chance), runs(mixture, chance)
    found = [misses([number for _, number in single], 15_001)]
    found += [
        misses([number for source, number in mixed if source == part], size)
        for part, size in enumerate((5_003, 1_009, 211))
    ]
    lost, twice = (sum(each) for each in zip(*found, strict=True))
    print(
        f"{2 * KILLS} kills: {len(single):,} and {len(mixed):,} samples trained, {lost} lost, {twice} duplicated",
        flush=True,
    )
    return {"lost_after_200_kills": lost, "duplicated_after_200_kills": twice}


def misses(numbers: list[int], size: int) -> tuple[int, int]:
    """Samples of whole epochs that are missing, and those that come twice in one epoch."""
    lost = twice = 0
    for first in range(0, len(numbers), size):
        epoch = Counter(numbers[first : first + size])
        twice += sum(count - 1 for count in epoch.values())
        lost += size - len(epoch) if first + size <= len(numbers) else 0
    return lost, twice


def worlds(folder: Path) -> bool:
    """Whether the first 100 global batches of a release and of a mixture are the same in 1, 2, 4 and 8 ranks."""
    sources = [Source(folder / name) for name in ("part-5003", "part-1009", "part-211")]

    def rows(opened: Callable[[dict[str, int]], Any], world: int) -> Iterator[list[tuple[Any, ...]]]:
        ranks = [opened({"batch": 64, "world": world, "rank": rank}).batches() for rank in range(world)]
        for parts in islice(zip(*ranks, strict=True), 100):
            yield [
                row for part in parts for row in zip(part.sources, part.samples, map(bytes, part.tokens), strict=True)
            ]

    openings: list[Callable[[dict[str, int]], Any]] = [
        lambda shape: Loader(folder / "killed", **shape),
        lambda shape: Mixture(sources, phases=[Phase(weights=(5, 3, 2)), Phase(1000, temperature=3)], **shape),
    ]
    return all(len({repr(list(rows(opened, world))) for world in (1, 2, 4, 8)}) == 1 for opened in openings)


def resumed(folder: Path, samples: int, torch: str | None) -> dict[str, Any]:
    """Milliseconds from ``Loader.resume`` to a batch, and what peers lose, repeat and take."""
    state = Loader(folder / "release", batch=64).state() | {"samples": samples // 2}
    spent = []
    for _ in range(RESUMES):
        begun = time.perf_counter()
        loader = Loader.resume(folder / "release", state, batch=64)
        next(iter(loader))
        spent.append(1e3 * (time.perf_counter() - begun))
    print(f"resume at half an epoch: {median(spent):.1f} ms to the first batch", flush=True)
    found: dict[str, Any] = {"resume_ms": round(median(spent), 1)}
    if torch is None:
        return found
    small = folder / "small"
    write_release(small / "release", (SMALL,), length=LENGTH)
    shutil.copyfile(next((small / "release").glob("*.bin")), small / "tokens.bin")
    subprocess.run(
        [torch, "-P", HERE / "loader_peers.py", "write_torch", small],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for peer in ("mds", "litdata"):
        found |= {f"{peer}_{kind}": of_peer(peer, torch, small, kind) for kind in ("resumed", "other_workers")}
    return found


def of_peer(peer: str, python: str, small: Path, kind: str) -> dict[str, Any]:
    """Kills after 20 and 30 steps of an epoch with two workers, the rest with two or three."""
    log = small / f"{peer}-{kind}.log"
    for steps, workers in ((20, 2), (30, 2), (SMALL, 2 if kind == "resumed" else 3)):
        before = len(complete(log))
        done = until_killed([python, "-P", HERE / "loader_resume.py", peer, small, str(workers), log], log, steps)
    lines = [json.loads(line) for line in complete(log)]
    numbers = [number for line in lines for number in line["samples"]]
    first = round(lines[before]["s"], 2) if len(lines) > before else None
    found = {"lost": SMALL - len({*numbers}), "duplicated": len(numbers) - len({*numbers})}
    found |= {"first_batch_s": first, "ended": done}
    print(f"{peer} {kind}: {found}", flush=True)
    return found


def until_killed(command: list[Any], log: Path, steps: int) -> bool:
    """Run it until it has written so many more lines; whether it came to its end before, within LIMIT_S."""
    wanted, limit = len(complete(log)) + steps, time.monotonic() + LIMIT_S
    with log.with_suffix(".err").open("a") as told:
        child = subprocess.Popen(command, stdout=told, stderr=told, start_new_session=True)
        while child.poll() is None and time.monotonic() < limit and len(complete(log)) < wanted:
            time.sleep(0.01)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # its workers too, which outlive one that failed
        return child.wait() == 0


def complete(log: Path) -> list[str]:
    """Its whole lines."""
    return [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")] if log.exists() else []

"""The loader beside numpy and peers: pace, first batch and memory at 10^9 samples, kills, worlds.

    make bench AREA=loader
    make bench AREA=loader ARGS="--own"              without the peers
    make bench AREA=loader ARGS="--samples 20000"    100,000 else: 205 MB of tokens, five times on the disk

Pace: 1,024 uint16 a sample, shuffled, batches of 64, files in the page cache. Ours reads seven shards and compares each
block with its hash at its first touch; memmap_take and memmap_rows are numpy on one file without hashes or resume,
the others read what ``loader_peers.py`` wrote of the same tokens. Each in a process of its own over one epoch, at most
three seconds, in turns, five rounds: medians of samples a second and of CPU us a sample, opening counted, imports not.
Peers that need torch (MDS, litdata, Megatron-LM) are not run. loader_vs_best_peer and loader_vs_bare_numpy: their CPU a
sample over ours.

10^9 samples: a sparse file of 2 TB in place of the shards, and 2 million hashes that are computed, not stored; checked
as ever. The first batch is timed from the opened loader, by a second process that finds the same blocks in the page
cache. Memory is what is neither file nor shared (RssAnon) after 20 batches, at 10^9 less at 10^6 samples.

Kills: a process that trains all ranks in turn and reports each step with its state is killed (SIGKILL) after random
steps, and the next goes on from the last report in another world: 100 times an epoch of a release, 100 times a mixture
of three sources whose phases change. Lost and duplicated are samples, counted by source and epoch. Streaming: see
``loader_stream.py``. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import peers
import xxhash
from loader_peers import IN_PEERS, LENGTH, READERS
from loader_stream import streamed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from written_release import write_release

from warehouse.loader import Loader, Mixture, Phase, Source
from warehouse.loader.course import Course
from warehouse.loader.shards import Mapped, Samples
from warehouse.manifest import BLOCK_BYTES, FileEntry

HERE = Path(__file__).resolve().parent
PEERS = ("webdataset==1.0.2", "datasets==5.0.1", "grain==0.2.18", "array-record==0.8.6")
ROUNDS, SECONDS, BATCH = 5, 3.0, 64
KILLS = 100  # of each kind


def main() -> None:
    """Everything above, a line each, and all of it as JSON in the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--own", action="store_true", help="without the peers")
    parser.add_argument("--simulated", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--sparse", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.simulated:
        return print(json.dumps(simulated(asked.simulated, asked.sparse)))
    with tempfile.TemporaryDirectory(prefix="bench-loader-") as name:
        folder = Path(name)
        found = pace(folder, asked.samples, [] if asked.own else IN_PEERS) | at_10_9(folder)
        found |= killed(folder) | {"worlds_identical": worlds(folder)} | streamed(folder, asked.samples)
    return print(json.dumps(found))


def pace(folder: Path, samples: int, foreign: Sequence[str]) -> dict[str, Any]:
    """Medians of the readers."""
    write_tokens(folder, samples)
    python = peers.interpreter(whole=PEERS, bare=(), name=".venv-bench-loader") if foreign else sys.executable
    if foreign:
        subprocess.run([python, HERE / "loader_peers.py", "write", folder], check=True)
    names = [name for name in READERS if name in foreign or name not in IN_PEERS]
    rounds = [
        {name: one_pace(python if name in foreign else sys.executable, name, folder) for name in names}
        for _ in range(ROUNDS)
    ]
    found = {}
    for name in names:
        runs = [each[name] for each in rounds]
        speeds = sorted(run["samples"] / run["wall_s"] for run in runs)
        cpu = median(1e6 * run["cpu_s"] / run["samples"] for run in runs)
        first = median(run["first_batch_ms"] for run in runs)
        found[name] = {
            "samples_per_s": round(median(speeds)),
            "cpu_us": round(cpu, 2),
            "first_batch_ms": round(first, 1),
        }
        print(
            f"{name:16} {median(speeds):10,.0f} samples/s ({speeds[0]:,.0f} to {speeds[-1]:,.0f})  {cpu:8.2f} CPU us a "
            f"sample  first batch {first:8.1f} ms",
            flush=True,
        )
    own, bare = found["ours"]["cpu_us"], found["memmap_take"]["cpu_us"]
    best = min((found[name]["cpu_us"] for name in foreign), default=None)
    return {
        "readers": found,
        "loader_shuffled_samples_per_s": found["ours"]["samples_per_s"],
        "loader_shuffled_samples_per_cpu_s": round(1e6 / own),
        "loader_vs_best_peer": best and round(best / own, 2),
        "loader_vs_bare_numpy": round(bare / own, 2),
    }


def write_tokens(folder: Path, samples: int) -> None:
    """A release of seven shards, the same tokens flat, and in two halves."""
    sizes = tuple(samples // 7 + (number < samples % 7) for number in range(7))
    write_release(folder / "release", sizes, length=LENGTH)
    write_release(folder / "first", (samples // 2,), length=LENGTH)
    write_release(folder / "second", (samples - samples // 2 + 1,), length=LENGTH)
    with (folder / "tokens.bin").open("wb") as flat:
        for shard in sorted((folder / "release").glob("*.bin")):
            with shard.open("rb") as part:
                shutil.copyfileobj(part, flat)


def one_pace(python: str, name: str, folder: Path) -> dict[str, float]:
    command = [python, HERE / "loader_peers.py", name, folder, str(SECONDS)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


class Alike(Sequence[str]):
    """``count`` times the hash of a block of zeros."""

    def __init__(self, count: int) -> None:
        self.count, self.digest = count, xxhash.xxh3_64_hexdigest(bytes(BLOCK_BYTES))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: Any) -> Any:
        return self.digest


def simulated(samples: int, sparse: Path) -> dict[str, float]:
    """Milliseconds to the first batch of an opened epoch of ``samples``, and memory after 20."""
    flat = np.asarray(np.memmap(sparse, np.uint8, "r"))[: samples * 2 * LENGTH]
    blocks = -(-flat.size // BLOCK_BYTES)
    entry = FileEntry(sparse.name, flat.size, "", Alike(blocks))
    opened = Samples([Mapped(entry, flat.view("<u2").reshape(samples, LENGTH), flat)], checked=True)
    course, out = Course("simulated", "train", samples, batch=BATCH), np.empty((BATCH, LENGTH), "<u2")
    before, begun, cpu = anonymous_mb(), time.perf_counter(), time.process_time()
    opened.gather(course.numbers(), out)
    first, first_cpu = time.perf_counter() - begun, time.process_time() - cpu
    for _ in range(19):
        course.advance()
        opened.gather(course.numbers(), out)
    return {"first_ms": 1e3 * first, "first_cpu_ms": 1e3 * first_cpu, "grown_mb": anonymous_mb() - before}


def anonymous_mb() -> float:
    """Memory of this process that is no file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("RssAnon"))


def at_10_9(folder: Path) -> dict[str, Any]:
    """First batch and memory at 10^9 samples."""
    sparse = folder / "sparse.bin"
    with sparse.open("wb") as stream:
        stream.truncate(10**9 * 2 * LENGTH)

    def run(samples: int) -> dict[str, float]:
        command = [sys.executable, __file__, "--simulated", str(samples), "--sparse", sparse]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    run(10**9)
    large, small = [run(10**9) for _ in range(ROUNDS)], [run(10**6) for _ in range(ROUNDS)]
    first = [each["first_ms"] for each in large]
    found = {
        "first_batch_ms_1e9": round(median(first), 1),
        "first_batch_cpu_ms_1e9": round(median(each["first_cpu_ms"] for each in large), 1),
        "rss_growth_mb_1e9": round(median(e["grown_mb"] for e in large) - median(e["grown_mb"] for e in small), 1),
    }
    print(
        f"10^9 samples: first batch {found['first_batch_ms_1e9']} ms ({min(first):.1f} to {max(first):.1f}; "
        f"{found['first_batch_cpu_ms_1e9']} of CPU), {found['rss_growth_mb_1e9']} MB more than at 10^6",
        flush=True,
    )
    return found


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


if __name__ == "__main__":
    main()

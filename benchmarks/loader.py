"""The loader beside numpy and peers: pace, first batch and memory at 10^9 samples, kills, worlds.

    make bench AREA=loader
    make bench AREA=loader ARGS="--own"              without the peers
    make bench AREA=loader ARGS="--samples 20000"    40,000 else: 82 MB of tokens, twelve times on the disk

Pace: 1,024 uint16 a sample, shuffled, batches of 64, files in the page cache. Ours reads seven shards and compares each
block with its hash at its first touch; memmap_take and memmap_rows are numpy on one file without hashes or resume,
the others read what ``loader_peers.py`` wrote of the same tokens, MDS and litdata by their own writers. In processes of
their own over one epoch, at most two seconds, in turns, five rounds: medians of samples a second and of CPU us a
sample, opening counted, imports not. MDS and litdata run in the environment of make test-frameworks (another:
FRAMEWORKS=its Python) and are left out without it. Megatron-LM is no package: what its IndexedDataset does is written
out in numpy. ours_over_mds and so on: our loader over the peers' files. loader_vs_best_peer and loader_vs_bare_numpy:
the CPU a sample of the best shuffling peer, and of numpy, over ours.

Write: MB of tokens a CPU second, and bytes on disk over those of the tokens: by the peers' own writers, one sample a
call, and the same formats by our export targets, a shard at once.

Resume: MDS and litdata under their own DataLoader, 8,192 samples, killed twice in an epoch and resumed from the last
state that was written; the third time with other workers. Ours: from ``Loader.resume`` to the first batch, at half an
epoch.

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
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import peers
import pyarrow as pa
import pyarrow.parquet as pq
from loader_peers import IN_PEERS, IN_TORCH, LENGTH, OVER_TORCH, READERS
from loader_stream import streamed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from loader_kills import killed, resumed, worlds
from loader_large import BATCH, ROUNDS, at_10_9
from written_foreign import write_megatron
from written_release import write_release

from warehouse.contracts import Snapshot
from warehouse.datasets.targets import WRITE, TargetTask

HERE = Path(__file__).resolve().parent
PEERS = ("webdataset==1.0.2", "datasets==5.0.1", "grain==0.2.18", "array-record==0.8.6")
SECONDS = 2.0
NOTHING = Snapshot("documents", 0, (), pa.schema([]), 0, 1)
"""For the targets that read tokens alone."""
TARGETS = ("mds", "litdata", "webdataset", "parquet")


def main() -> None:
    """Everything above, a line each, and all of it as JSON in the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=40_000)
    parser.add_argument("--own", action="store_true", help="without the peers")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-loader-") as name:
        folder = Path(name)
        pythons = {} if asked.own else environments()
        found = written(folder, asked.samples, pythons) | pace(folder, pythons) | at_10_9(folder)
        found |= killed(folder) | {"worlds_identical": worlds(folder)} | streamed(folder, asked.samples)
        found |= resumed(folder, asked.samples, pythons.get(IN_TORCH[0]))
    print(json.dumps(found))


def environments() -> dict[str, str]:
    """The Python that has each of IN_PEERS and IN_TORCH; without the latter where there is none."""
    python = peers.interpreter(whole=PEERS, bare=(), name=".venv-bench-loader")
    torch = os.environ.get("FRAMEWORKS", str(HERE.parent / ".venv-frameworks" / "bin" / "python"))
    if Path(torch).exists():
        return dict.fromkeys(IN_PEERS, python) | dict.fromkeys(IN_TORCH, torch)
    print("MDS and litdata are left out: make test-frameworks makes their environment", file=sys.stderr)
    return dict.fromkeys(IN_PEERS, python)


def written(folder: Path, samples: int, pythons: dict[str, str]) -> dict[str, Any]:
    """MB a CPU second and size of each writer; all files that are read later."""
    write_tokens(folder, samples)
    found = {f"ours_{target}": by_target(folder / "release", target) for target in TARGETS}
    for name, environment in (("write", IN_PEERS), ("write_torch", IN_TORCH)):
        if environment[0] in pythons:
            found |= called(pythons[environment[0]], name, folder)[0]
    size = (folder / "tokens.bin").stat().st_size
    for name, each in found.items():
        each["mb_per_cpu_s"], each["size"] = round(size / 1e6 / each["cpu_s"], 1), round(each["bytes"] / size, 2)
        print(f"write {name:16} {each['mb_per_cpu_s']:8,.0f} MB a CPU s, {each['size']:.2f} of the tokens", flush=True)
    return {"write": {name: {key: each[key] for key in ("mb_per_cpu_s", "size")} for name, each in found.items()}}


def by_target(release: Path, target: str) -> dict[str, float]:
    """CPU seconds and bytes of an export target over all shards of the release."""
    made = partial(TargetTask, release, "train")
    shards = sorted(release.glob("*.bin"))
    form = {
        "sequence_length": LENGTH,
        "dtype": "<u2",
        "wanted": pa.table({}),
        "documents": NOTHING,
        "batch_rows": BATCH,
    }
    begun = time.process_time()
    for number, shard in enumerate(shards):
        WRITE[target](made(number, len(shards), shard.name, 0, **form))
    files = [path for path in (release / "targets" / target).rglob("*") if path.is_file()]
    return {"cpu_s": time.process_time() - begun, "bytes": sum(path.stat().st_size for path in files)}


def pace(folder: Path, pythons: dict[str, str]) -> dict[str, Any]:
    """Medians of the readers."""
    foreign = {*IN_PEERS, *IN_TORCH}
    left_out = set() if IN_TORCH[0] in pythons else set(OVER_TORCH)
    names = [name for name in READERS if name in pythons or name not in foreign | left_out]
    rounds = [one_round(names, pythons, folder) for _ in range(ROUNDS)]
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
            f"{name:20} {median(speeds):10,.0f} samples/s ({speeds[0]:,.0f} to {speeds[-1]:,.0f})  {cpu:8.2f} CPU us a "
            f"sample  first batch {first:8.1f} ms",
            flush=True,
        )
    own, bare = found["ours"]["cpu_us"], found["memmap_take"]["cpu_us"]
    shuffling = [name for name in names if name in foreign | {"megatron"} and not name.endswith("_in_order")]
    best = min(found[name]["cpu_us"] for name in shuffling)
    return {
        "readers": found,
        "loader_shuffled_samples_per_s": found["ours"]["samples_per_s"],
        "loader_shuffled_samples_per_cpu_s": round(1e6 / own),
        "loader_vs_best_peer": round(best / own, 2),
        "loader_vs_bare_numpy": round(bare / own, 2),
    }


def one_round(names: Sequence[str], pythons: dict[str, str], folder: Path) -> dict[str, dict[str, float]]:
    """Each reader once, in a process of its own; those of IN_TORCH in one, for it takes seconds to import."""
    alone = [name for name in names if name not in IN_TORCH]
    found = {name: called(pythons.get(name, sys.executable), name, folder)[0] for name in alone}
    together = [name for name in names if name in IN_TORCH]
    if together:
        runs = called(pythons[together[0]], ",".join(together), folder)
        found |= dict(zip(together, runs, strict=True))
    return found


def write_tokens(folder: Path, samples: int) -> None:
    """A release of seven shards, the same tokens flat, for Megatron and in plain Parquet, and in two halves."""
    sizes = tuple(samples // 7 + (number < samples % 7) for number in range(7))
    write_release(folder / "release", sizes, length=LENGTH)
    write_release(folder / "first", (samples // 2,), length=LENGTH)
    write_release(folder / "second", (samples - samples // 2 + 1,), length=LENGTH)
    with (folder / "tokens.bin").open("wb") as flat:
        for shard in sorted((folder / "release").glob("*.bin")):
            with shard.open("rb") as part:
                shutil.copyfileobj(part, flat)
    rows = np.fromfile(folder / "tokens.bin", "<u2").reshape(-1, LENGTH)
    write_megatron(folder / "megatron" / "tokens", rows, range(len(rows) + 1))
    plain = pa.FixedSizeBinaryArray.from_buffers(pa.binary(2 * LENGTH), len(rows), [None, pa.py_buffer(rows)])
    pq.write_table(pa.table({"tokens": plain}), folder / "tokens.parquet", compression="none", use_dictionary=False)


def called(python: str, name: str, folder: Path) -> list[dict[str, Any]]:
    """What ``loader_peers.py`` prints of these readers or of a kind of writing."""
    command = [python, "-P", HERE / "loader_peers.py", name, folder, str(SECONDS)]  # -P: datasets.py is beside it
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]


if __name__ == "__main__":
    main()

"""The streamed loader: pace over HTTP and from its cache, the first sample of a cold store, quality of the shuffle.

    make bench AREA=loader
    python benchmarks/loader_stream.py      this part alone, the last line JSON

Pace: a release of 1,024 uint16 a sample in shards of 8 MiB, batches of 64, the window as it is by default, every block
checked. http: from a server in a process of its own on loopback, nothing kept; cache: the same again where the disk
keeps all; folder: from the files themselves; loader: ``Loader`` on them, for comparison. Each reads an epoch in a
process of its own, imports left out, in turns, ROUNDS rounds, medians; CPU is that of the reader.

Store: moto's server of S3, in a process of its own; it copies a whole object for each range. From nothing to the first
sample (a batch of 1), and to the first batch of 64: opened and given, imports left out.

Quality: 4 GiB simulated, eight sources one after the other, as a corpus in shards by source. chi: chi-square of the
sources in a batch of 64 over its mean in an exact shuffle, (S - 1); pairs: of a batch, share that lie in one block, by
which chi must be 1 + 63 * pairs; apart: samples between neighbours of the files, median. exact: numpy's permutation.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from stores import served
from written_release import write_release

from warehouse.loader import Fetching, Loader, StreamingLoader, Window
from warehouse.loader.windows import Runs, Windows
from warehouse.manifest import FileEntry

LENGTH, BATCH, ROUNDS = 1024, 64, 5
SHARD = 4096
"""Samples of a shard: 8 MiB."""


def streamed(folder: Path, samples: int) -> dict[str, Any]:
    """Everything above, a line each."""
    sizes = [min(SHARD, samples - first) for first in range(0, samples, SHARD)]
    release = write_release(folder / "streamed", tuple(sizes), length=LENGTH)
    found = {"stream": paces(folder), **from_store(folder, release), "stream_quality": quality()}
    return found


def paces(folder: Path) -> dict[str, Any]:
    """Medians of samples a second and CPU us a sample."""
    server = subprocess.Popen([sys.executable, __file__, "serve", folder], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        cache = folder / "kept"
        run("cache", f"{url}/streamed", cache)
        kinds = {"http": url, "cache": url, "folder": str(folder), "loader": str(folder)}
        rounds = [{kind: run(kind, f"{at}/streamed", cache) for kind, at in kinds.items()} for _ in range(ROUNDS)]
    finally:
        server.kill()
        server.wait()
    found = {}
    for kind in kinds:
        runs = [each[kind] for each in rounds]
        found[kind] = {name: round(median(each[name] for each in runs), 2) for name in runs[0]}
        print(f"stream {kind:8} {json.dumps(found[kind])}", flush=True)
    return found


def run(kind: str, location: str, cache: Path) -> dict[str, float]:
    """One epoch in a process of its own."""
    command = [sys.executable, __file__, "read", kind, location, cache]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def read(kind: str, location: str, cache: Path) -> dict[str, float]:
    """What ``run`` gives."""
    kept = Fetching(cache=cache, cache_bytes=1 << 40) if kind == "cache" else None
    begun, cpu, samples = time.perf_counter(), time.process_time(), 0
    loader = (
        Loader(location, batch=BATCH) if kind == "loader" else StreamingLoader(location, batch=BATCH, fetching=kept)
    )
    opened = time.perf_counter()
    for batch in loader.batches(reuse=True):
        samples += batch.samples.size
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    fetched = 0 if isinstance(loader, Loader) else loader.counters.fetched
    return {
        "samples_per_s": samples / wall,
        "cpu_us": 1e6 * cpu / samples,
        "open_ms": 1e3 * (opened - begun),
        "first_batch_ms": 1e3 * loader.counters.first_s,
        "stalls": loader.counters.stalls,
        "fetched_mb": fetched / 1e6,
    }


class Ranges(BaseHTTPRequestHandler):
    """Files of a folder, by ranges."""

    protocol_version = "HTTP/1.1"
    folder = Path()

    def do_GET(self) -> None:
        """A range of a file, or all of it."""
        path = self.folder / self.path.lstrip("/")
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        size = path.stat().st_size if path.is_file() else 0
        start, stop = (int(asked[1]), min(int(asked[2]) + 1, size)) if asked else (0, size)
        self.send_response((206 if asked else 200) if path.is_file() else 404)
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if size:
            with path.open("rb") as stream:
                self.connection.sendfile(stream, start, stop - start)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


def serve(folder: Path) -> None:
    """A server of the folder; says its URL."""
    Ranges.folder = folder
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


FIRST = """
import json, sys, time
from warehouse.loader import StreamingLoader
import warehouse.stores
begun = time.perf_counter()
next(StreamingLoader(sys.argv[1], batch=int(sys.argv[2])).batches())
print(json.dumps(1e3 * (time.perf_counter() - begun)))
"""


def from_store(folder: Path, release: Path) -> dict[str, float]:
    """Milliseconds to the first sample, and to the first batch, of a release in a bucket."""
    (folder / "s3").mkdir()
    with served(folder / "s3") as buckets:
        bucket = buckets.made({f"made/{path.name}": path.read_bytes() for path in release.iterdir()})
        environment = {**os.environ, **buckets.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}

        def first(batch: int) -> float:
            command = [sys.executable, "-c", FIRST, f"s3://{bucket}/made", str(batch)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
            return float(done.stdout)

        found = {
            name: round(median(first(batch) for _ in range(ROUNDS)))
            for name, batch in (("first_sample_cold_store_ms", 1), ("first_batch_cold_store_ms", BATCH))
        }
    print(json.dumps(found), flush=True)
    return found


def quality() -> dict[str, Any]:
    """The statistics of windows of several sizes, and of an exact shuffle."""
    runs = Runs([(FileEntry("a", 0, "", ()), 4096 * 512)], 2 * LENGTH, 1)
    positions = np.arange(runs.total)
    orders = {
        str(blocks): Windows("simulated/train/0", runs, Window(blocks, 1)).samples(0, positions)
        for blocks in (16, 64, 256, 1024)
    }
    orders["exact"] = np.random.default_rng(0).permutation(runs.total)
    found = {}
    for name, order in orders.items():
        found[name] = mixed(order, runs)
        print(f"window of {name:5} MiB {json.dumps(found[name])}", flush=True)
    return found


def mixed(order: np.ndarray, runs: Runs) -> dict[str, float]:
    """How a shuffle mixes what lies side by side."""
    batches, sources = order.reshape(-1, BATCH), 8
    counts = np.stack([(batches // (runs.total // sources) == source).sum(axis=1) for source in range(sources)], axis=1)
    chi = ((counts - BATCH / sources) ** 2 / (BATCH / sources)).sum(axis=1).mean() / (sources - 1)
    owners = np.sort(runs.located(order)[0].reshape(-1, BATCH), axis=1)
    same = sum(int((owners[:, lag:] == owners[:, :-lag]).sum()) for lag in range(1, BATCH))
    places = np.empty(runs.total, np.int64)
    places[order] = np.arange(runs.total)
    return {
        "chi": round(float(chi), 3),
        "pairs": round(same / len(batches) / (BATCH * (BATCH - 1) / 2), 5),
        "apart": int(np.median(np.abs(np.diff(places)))),
    }


def main() -> None:
    """This part alone, or one of the processes that it starts."""
    if sys.argv[1:2] == ["serve"]:
        return serve(Path(sys.argv[2]))
    if sys.argv[1:2] == ["read"]:
        return print(json.dumps(read(sys.argv[2], sys.argv[3], Path(sys.argv[4]))))
    with tempfile.TemporaryDirectory(prefix="bench-stream-") as name:
        return print(json.dumps(streamed(Path(name), 100_000)))


if __name__ == "__main__":
    main()

"""A peer killed and resumed: python loader_resume.py PEER FOLDER WORKERS LOG, in the environment of the frameworks.

Reads the samples of FOLDER through the peer's own DataLoader with so many workers, from the last state in LOG on if
there is any, and appends to LOG a line for each step: the seconds from opening to it, its samples, the state after it.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

BATCH = 64


def mds(folder: Path, workers: int) -> Any:
    """mosaicml-streaming: epoch, sample in it and seed are its state."""
    streaming = importlib.import_module("streaming")
    streaming.base.util.clean_stale_shared_memory()
    found = streaming.StreamingDataset(local=str(folder / "mds"), shuffle=True, batch_size=BATCH)
    return streaming.StreamingDataLoader(found, batch_size=BATCH, num_workers=workers)


def litdata(folder: Path, workers: int) -> Any:
    """litdata with TokensLoader."""
    module = importlib.import_module("litdata")
    found = module.StreamingDataset(
        str(folder / "litdata"), item_loader=module.TokensLoader(block_size=1024), shuffle=True
    )
    return module.StreamingDataLoader(found, batch_size=BATCH, num_workers=workers)


def run(peer: str, folder: Path, workers: int, log: Path) -> None:
    """To the end of the epoch."""
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    importlib.import_module("streaming" if peer == "mds" else "litdata")
    begun = time.perf_counter()
    loader = {"mds": mds, "litdata": litdata}[peer](folder, workers)
    if lines:
        loader.load_state_dict(lines[-1]["state"])
    with log.open("a") as stream:
        for batch in loader:
            rows = batch["tokens"] if isinstance(batch, dict) else batch
            numbers = [(int(row[0]) << 16) + int(row[1]) for row in rows]
            line = {"s": time.perf_counter() - begun, "samples": numbers, "state": loader.state_dict()}
            stream.write(json.dumps(line) + "\n")
            stream.flush()


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))

"""One process of several: the whole global batches that all of them see together, as JSON in the last line."""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path

import jax
import numpy as np
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from warehouse.errors import UsageError
from warehouse.loader import Loader
from warehouse.loader.jax import laid_out, rows_of


def main(rank: int, world: int, address: str, release: Path) -> None:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, num_processes=world, process_id=rank)
    sharding = NamedSharding(jax.make_mesh((jax.device_count(),), ("data",)), PartitionSpec("data"))
    loader = Loader(release, batch=8, **rows_of(sharding, batch=8))
    batches = islice(laid_out(loader, sharding, labels=True), 5)
    found = [(batch.samples.tolist(), process_allgather(batch.tokens, tiled=True).tolist()) for batch in batches]
    said = {"devices": jax.local_device_count(), "batches": found, "state": loader.state()}
    try:
        rows_of(NamedSharding(Mesh(np.array(jax.devices())[[0, 2, 1, 3]], ("data",)), PartitionSpec("data")), batch=8)
    except UsageError as error:
        said["refused"] = str(error)
    print(json.dumps(said))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))

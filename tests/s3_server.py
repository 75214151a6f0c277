"""``python s3_server.py FILE``: moto's S3 server on loopback, until it or who started it ends; FILE gets its port."""

from __future__ import annotations

import gc
import os
import sys
import time
from functools import lru_cache
from pathlib import Path
from unittest import mock

from moto import backends
from moto.core import serialize
from moto.server import ThreadedMotoServer


def serve(port: Path, parent: int) -> None:
    worked_out_once()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    beside = port.with_suffix(".part")
    beside.write_text(str(server.get_host_and_port()[1]))
    beside.replace(port)
    while os.getppid() == parent:  # the tests may be killed
        time.sleep(1)


def worked_out_once() -> None:
    """Half the CPU of a request and of a listing: for each it looks for the folders of its 170 services, twice, and
    reads the time of each object from a text.
    """
    services = tuple(backends.list_of_moto_modules())
    mock.patch.object(backends, "list_of_moto_modules", lambda: services).start()
    read = lru_cache(maxsize=100_000)(serialize.parse_to_aware_datetime)
    mock.patch.object(serialize, "parse_to_aware_datetime", read).start()
    gc.freeze()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), os.getppid())

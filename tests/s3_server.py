"""``python s3_server.py FILE``: moto's S3 server on loopback, until it or who started it ends; FILE gets its port."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from moto.server import ThreadedMotoServer


def serve(port: Path, parent: int) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    beside = port.with_suffix(".part")
    beside.write_text(str(server.get_host_and_port()[1]))
    beside.replace(port)
    while os.getppid() == parent:  # the tests may be killed
        time.sleep(1)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), os.getppid())

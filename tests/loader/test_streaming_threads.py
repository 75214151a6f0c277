"""Threads of a stream end with it, and keep nobody waiting."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from file_server import Fault, FileServer
from killing import with_tests
from streams import data_asked, opened

from warehouse.errors import UsageError
from warehouse.loader import Fetching


def streaming(*, but: Collection[threading.Thread] = ()) -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "stream"} - set(but)


def until(settled: Callable[[], bool]) -> bool:
    """Whether it is so within ten seconds."""
    end = time.monotonic() + 10
    while not settled() and time.monotonic() < end:
        time.sleep(0.01)
    return settled()


def test_a_loader_that_is_closed_or_let_go_of_leaves_no_thread(large: Path) -> None:
    gc.collect()
    others = streaming()  # of other tests, that wait for a store which is gone
    loader = opened(large)
    assert not streaming(but=others)
    batches = loader.batches()
    next(batches)
    assert len(streaming(but=others)) == 8
    loader.close()
    assert until(lambda: not streaming(but=others))
    with pytest.raises(UsageError, match="closed"):
        next(batches)
    for batch in opened(large).batches(boundaries=True):
        assert batch.samples.size == 8 and len(streaming(but=others)) == 8
        break
    del batch
    assert until(lambda: not streaming(but=others))


def test_a_loader_that_is_closed_while_it_waits_says_so(server: FileServer) -> None:
    server.fault = lambda asked, _: Fault(wait_s=2) if asked.endswith(".bin") else None
    loader = opened(f"{server.url}/made/1", fetching=Fetching(1, 0))
    closing = threading.Thread(target=lambda: until(lambda: bool(data_asked(server))) and loader.close())
    closing.start()
    with pytest.raises(UsageError, match="the loader is closed"):
        next(loader.batches())
    closing.join()


WAITING = """
import sys, time
from warehouse.loader import StreamingLoader, Window
loader = StreamingLoader(sys.argv[1], batch=8, window=Window(4, 1, 2))
print("opened", flush=True)
try:
    next(loader.batches())
except KeyboardInterrupt:
    sys.exit("interrupted")
"""


def test_a_network_that_says_nothing_can_be_interrupted(server: FileServer) -> None:
    server.fault = lambda asked, _: Fault(wait_s=60) if asked.endswith(".bin") else None
    command = [sys.executable, "-c", WAITING, f"{server.url}/made/1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=with_tests()) as process:
        assert process.stdout is not None and process.stdout.readline() == b"opened\n"
        assert until(lambda: bool(data_asked(server)))
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (1, b"interrupted\n")
    assert time.monotonic() - begun < 10

"""The command ``warehouse`` of a page, forked from one process that has imported everything: 5 s of CPU saved each.

``forks.py SOCKET`` serves: a request is the arguments, folder and environment of a command line with its three
streams, and the answer its exit status. ``client`` writes the program that asks.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import traceback
from importlib import import_module
from pathlib import Path

from warehouse.cli import main
from warehouse.kernels.__main__ import warm

LOADED = ("pipelines.run", "warehouse.cli.app")
"""What a command line imports when it needs it."""

_CLIENT = """\
#!{python} -ISE
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    server.sendmsg([b"%9d" % len(request)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
    server.sendall(request)
    sys.exit(int(server.recv(9) or 70))
"""


def client(path: Path, address: str) -> None:
    """Write the program that asks the server at ``address``."""
    path.write_text(_CLIENT.format(python=sys.executable, address=address))
    path.chmod(0o755)


def serve(address: str) -> None:
    """Answer requests, each in a child, until killed."""
    for name in LOADED:
        import_module(name)
    warm()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        while True:
            asked, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _answer(asked)
            asked.close()


def _answer(asked: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, streams, *_ = socket.recv_fds(asked, 9, 3)
    arguments, folder, environment = json.loads(asked.makefile("rb").read(int(length)))
    child = os.fork()
    if child == 0:
        asked.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
        sys.stderr = os.fdopen(2, "w", buffering=1)
        _command(arguments)
    for stream in streams:
        os.close(stream)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    asked.sendall(b"%9d" % (status if status >= 0 else 128 - status))
    os._exit(0)


def _command(arguments: list[str]) -> None:
    sys.argv = ["warehouse", *arguments]
    status = 70
    try:
        main()
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])

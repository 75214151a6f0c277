"""A parser in a process of its own: answers requests on its input until that ends. Imports nothing of the library.

``python -P serving.py CPU_S MODULE.py FUNCTION`` calls ``FUNCTION(raw, **asked)``.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

MAX_MEMORY = 4 << 30

Parsed = dict[str, str | bool | None]


def serve(parsed: Callable[..., Parsed], requests: BinaryIO, answers: BinaryIO, *, cpu_s: int) -> None:
    """Answer each request until the requests end.

    A request is a line of JSON, ``{"size", ...}``, and as many bytes; an answer is a line of JSON, ``parsed``'s or
    ``{"error", "message"}``. The kernel ends this process where a request takes more than cpu_s.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in requests:
        asked = json.loads(line)
        raw = requests.read(asked.pop("size"))
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + cpu_s
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        try:
            said = parsed(raw, **asked)
        except Exception as error:  # noqa: BLE001 # the parser's, told to the process that asked
            said = {"error": type(error).__name__, "message": str(error)[:300]}
        answers.write(json.dumps(said).encode() + b"\n")
        answers.flush()


def _loaded(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("served", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    serve(getattr(_loaded(sys.argv[2]), sys.argv[3]), sys.stdin.buffer, sys.stdout.buffer, cpu_s=int(sys.argv[1]))

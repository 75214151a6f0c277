"""Compiled loops over Arrow buffers: addresses and arrays in, arrays out. The only package that imports numba.

Won: one pass over text at some tens of MB/s a core without a compiler on the machine. Lost: the first use of a machine
compiles (``python -m warehouse.kernels`` does it at install time), and the cache is bound to its CPU and numba version,
so it is never shipped. Many small functions compile in 1.6-1.9 s each where one inlined kernel took 124 s.

numba fixes its cache folder when it is first imported, and a function with ``cache=True`` fails at import without a
writable one; so the folder is chosen here, before any decorator: NUMBA_CACHE_DIR where it is set, else a folder of the
user's cache. The version stands in the path because an edit in another module does not invalidate numba's cache.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from warehouse import __version__


def _cache_folder() -> str:
    """The first folder that can be written: NUMBA_CACHE_DIR, the user's cache, a temporary one."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named:
        return named
    base = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    folder = base / "ml-warehouse" / f"numba-{__version__}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return tempfile.mkdtemp(prefix="ml-warehouse-numba-")
    return str(folder) if os.access(folder, os.W_OK) else tempfile.mkdtemp(prefix="ml-warehouse-numba-")


os.environ["NUMBA_CACHE_DIR"] = _cache_folder()

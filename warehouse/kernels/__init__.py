"""Compiled loops over Arrow buffers: addresses and arrays in, arrays out. The only package that imports numba, and
LLVM without it (``blake2b``).

Won: one pass over text at some tens of MB/s a core without a compiler on the machine. Lost: the first use of a machine
compiles (``python -m warehouse.kernels`` does it at install time), and the cache is bound to its CPU and numba version,
so it is never shipped. Many small functions compile in 1.6-1.9 s each where one inlined kernel took 124 s.

numba fixes its cache folder when it is first imported, and a function with ``cache=True`` fails at import without a
writable one; so the folder is chosen here, before any decorator: below NUMBA_CACHE_DIR where that is set, else below
the user's cache folder. Its last part names the version and a digest of this package's sources, because numba compares
only a function's own file: an edit of a callee in another module would go unseen.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from warehouse import __version__


def _edition() -> str:
    """The version and a digest of every source file of this package."""
    state = hashlib.blake2b(digest_size=6)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        state.update(path.read_bytes())
    return f"kernels-{__version__}-{state.hexdigest()}"


def _cache_folder() -> str:
    """A folder that can be written: below NUMBA_CACHE_DIR, the user's cache, else a temporary one."""
    edition = _edition()
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named and Path(named).name == edition:
        return named
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ml-warehouse"
    folder = (Path(named) if named else users).absolute() / edition
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder)
    except OSError:
        return tempfile.mkdtemp(prefix="ml-warehouse-numba-")


os.environ["NUMBA_CACHE_DIR"] = _cache_folder()

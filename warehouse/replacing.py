"""The two changes that a takedown makes to files below the root: one takes the place of another, one goes.

Of a root that is a bucket's mirror the bucket is changed too: what goes, goes there first.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from warehouse import mirror


def replace(draft: Path, path: Path) -> None:
    """Let a whole file take the place of ``path``, in one step."""
    os.replace(draft, path)
    mirror.send(path)


def remove(path: Path) -> None:
    """Take a file or a folder away; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        mirror.remove_below(path)
        shutil.rmtree(path)
    else:
        mirror.remove(path)

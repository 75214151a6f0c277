"""The two changes that a takedown makes to files below the root: one takes the place of another, one goes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def replace(draft: Path, path: Path) -> None:
    """Let a whole file take the place of ``path``, in one step."""
    os.replace(draft, path)


def remove(path: Path) -> None:
    """Take a file or a folder away; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""Where a project lies and where its data lives: a folder with ``warehouse.toml``, found upwards from the working directory.

Built-in ``sql/``, ``expectations/`` and ``recipes/`` travel with the package; a file of the project with the same relative
path takes the place of a built-in one. Nothing here reads data.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from warehouse.errors import FormatError, NotFound, RecipeError

MARKER = "warehouse.toml"
FORMAT_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Project:
    """A project's folder, its data root and its local state.

    name: of the project; folder: holds warehouse.toml; root: the data (``WAREHOUSE_ROOT``, default ``<folder>/.warehouse``);
    state: always local (``WAREHOUSE_STATE``, default ``<root>/state``): Dagster's home and caches.
    """

    name: str
    folder: Path
    root: Path
    state: Path
    builtin: bool = True

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def repository(self) -> Path:
        return self.root / "repository"

    @property
    def published(self) -> Path:
        return self.root / "published"

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    def files(self, kind: str, pattern: str) -> list[Path]:
        """Files of ``kind`` (``sql``, ``expectations``, ``recipes/sources``...) in order of relative path, project over built-in."""
        found: dict[str, Path] = {}
        for base in _bases(self, kind):
            for path in sorted(base.rglob(pattern)):
                found[path.relative_to(base).as_posix()] = path
        return [found[name] for name in sorted(found)]


def builtin_folder() -> Path:
    """The folder that holds the built-in sql/ and expectations/: the package data, or the checkout itself."""
    packaged = Path(__file__).parent / "builtin"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent


def _bases(project: Project, kind: str) -> list[Path]:
    own = project.folder / kind
    if kind.startswith("recipes") or not project.builtin:
        return [own]
    built_in = builtin_folder() / kind
    return [built_in] if built_in.resolve() == own.resolve() else [built_in, own]


def find(start: Path | None = None) -> Project:
    """The project that ``start`` (default: the working directory) lies in.

    Raises NotFound when no folder upwards holds warehouse.toml, RecipeError when that file is not as it should be.
    """
    begin = (start or Path.cwd()).resolve()
    for folder in (begin, *begin.parents):
        if (folder / MARKER).is_file():
            return load(folder)
    raise NotFound(
        f"no {MARKER} in {begin} or above it",
        do="run 'warehouse init' to make a project here, or name one with --project DIR",
    )


def load(folder: Path) -> Project:
    """The project in ``folder``; environment variables WAREHOUSE_ROOT and WAREHOUSE_STATE override its places."""
    marker = folder / MARKER
    try:
        values = tomllib.loads(marker.read_text("utf-8")) if marker.stat().st_size else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{marker}: {error}", allowed="TOML with the keys name, root, state, builtin") from None
    unknown = sorted(set(values) - {"name", "root", "state", "builtin"})
    if unknown:
        raise RecipeError(f"{marker}: unknown key {unknown[0]!r}", allowed="name, root, state, builtin")
    root = folder / (os.environ.get("WAREHOUSE_ROOT") or values.get("root", ".warehouse"))
    state = os.environ.get("WAREHOUSE_STATE") or values.get("state")
    local = folder / state if state else root / "state"
    return Project(
        values.get("name", folder.name), folder, root.absolute(), local.absolute(), values.get("builtin", True)
    )


def prepare(project: Project) -> None:
    """Make the data root, or check that it was made by this format version. Raises FormatError if by another."""
    stamp = project.root / "format_version"
    if not stamp.exists():
        project.root.mkdir(parents=True, exist_ok=True)
        stamp.write_text(FORMAT_VERSION + "\n")
    came = stamp.read_text().strip()
    if came != FORMAT_VERSION:
        raise FormatError(
            f"{project.root} has format version {came!r}",
            allowed=FORMAT_VERSION,
            do="use the release of ml-warehouse that wrote it, or another WAREHOUSE_ROOT",
        )
    project.state.mkdir(parents=True, exist_ok=True)

"""Documents that every machine with Python has: what the installed packages and the standard library ship as text.

Prose files (README, CHANGES, LICENSE, .rst, .md, .txt), the descriptions in METADATA, and the docstrings of modules,
found by parsing and never by importing. A uri names the place in the environment, not on the disk, and which files
are taken depends on their names and sizes alone: prose, then metadata, then modules, each in the order of
blake2b(uri), until the bytes are used up. Licences come from each distribution's own metadata; the standard library
is PSF-2.0.
"""

from __future__ import annotations

import ast
import gc
import os
import re
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import compat32
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa

from warehouse.contracts import Reject
from warehouse.sources import text
from warehouse.sources.containers import Member
from warehouse.sources.records import Documents

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
MAX_FILE_BYTES = 2_000_000
OURS = "ml-warehouse"
PROSE_SUFFIXES = (".md", ".rst", ".txt")
PROSE_NAMES = re.compile(
    r"(readme|changes|changelog|history|news|license|licence|copying|notice|authors|contributing)", re.I
)
SKIPPED_FOLDERS = {"__pycache__", "site-packages", "dist-packages", "node_modules", "config-3"}
SKIPPED_FILES = {"top_level.txt", "entry_points.txt", "requires.txt", "SOURCES.txt", "dependency_links.txt"}
CLASSIFIERS = {
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "zlib/libpng License": "Zlib",
}
SPELLINGS = {
    "mit license": "MIT",
    "the mit license": "MIT",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "mpl 2.0": "MPL-2.0",
}  # of the free-text field License; what is ambiguous ("BSD") stays as its authors wrote it


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file of the environment; rank 0 prose, 1 metadata, 2 module."""

    uri: str
    path: Path
    size: int
    rank: int
    licence: str | None


def candidates(*, max_bytes: int) -> list[Candidate]:
    """The files to read, in order of uri: together at most ``max_bytes`` large."""
    chosen, left = [], max_bytes
    for item in sorted(_all(), key=lambda item: (item.rank, blake2b(item.uri.encode(), digest_size=16).digest())):
        if item.size <= left:
            chosen.append(item)
            left -= item.size
    return sorted(chosen, key=lambda item: item.uri)


def _all() -> Iterator[Candidate]:
    paths = sysconfig.get_paths()
    seen: set[Path] = set()
    for label, key in (("site-packages", "purelib"), ("site-packages", "platlib"), ("stdlib", "stdlib")):
        root = Path(paths[key]).resolve()
        if root in seen or not root.is_dir():
            continue
        seen.add(root)
        owners = _owners(root) if label == "site-packages" else {}
        default = "PSF-2.0" if label == "stdlib" else None
        yield from _files(root, label, owners, default)


def _files(root: Path, label: str, owners: dict[str, str], default: str | None) -> Iterator[Candidate]:
    base = str(root)
    for folder, folders, names in os.walk(base):
        folders[:] = [name for name in folders if not _skipped(name)]
        inside = folder[len(base) + 1 :].replace(os.sep, "/")
        for name in names:
            rank = _rank(name, inside)
            relative = f"{inside}/{name}" if inside else name
            if rank is None or (owner := owners.get(relative, "")) == OURS:
                continue
            path = Path(folder, name)
            size = path.stat().st_size if not path.is_symlink() else 0
            if 0 < size <= MAX_FILE_BYTES:
                yield Candidate(f"python-env:/{label}/{relative}", path, size, rank, owner or default)


def _skipped(name: str) -> bool:
    return name in SKIPPED_FOLDERS or name.startswith(("config-3", "ml_warehouse-", "."))


def _rank(name: str, inside: str) -> int | None:
    """0 for prose, 1 for a distribution's METADATA, 2 for a module, None for what is not read."""
    if name == "METADATA" and inside.endswith(".dist-info"):
        return 1
    if name.endswith(".py"):
        return 2
    named = bool(PROSE_NAMES.match(name)) and ("." not in name or name.lower().endswith(PROSE_SUFFIXES))
    return 0 if (named or name.lower().endswith(PROSE_SUFFIXES)) and name not in SKIPPED_FILES else None


def _owners(root: Path) -> dict[str, str]:
    """Path below ``root`` -> licence of the distribution whose RECORD lists it (OURS for this package's own files)."""
    owners: dict[str, str] = {}
    for folder in sorted(root.glob("*.dist-info")):
        record = folder / "RECORD"
        if not record.is_file():
            continue
        licence = OURS if folder.name.startswith("ml_warehouse-") else _licence(folder)
        if licence is None:
            continue
        for line in record.read_text("utf-8", "replace").splitlines():
            owners[line.rsplit(",", 2)[0].strip('"')] = licence
    return owners


def _licence(folder: Path) -> str | None:
    """The distribution's licence: its SPDX expression, a short free text, or a classifier's SPDX identifier."""
    metadata = folder / "METADATA"
    if not metadata.is_file():
        return None
    headers = BytesParser(policy=compat32).parsebytes(metadata.read_bytes().split(b"\n\n", 1)[0], headersonly=True)
    stated = str(headers.get("License-Expression") or headers.get("License") or "").strip()
    if stated and len(stated) <= 60 and "\n" not in stated and stated.upper() != "UNKNOWN":
        return SPELLINGS.get(stated.lower(), stated)
    lines = [str(value).rsplit(" :: ", 1)[-1] for value in headers.get_all("Classifier", [])]
    return next((CLASSIFIERS[line] for line in lines if line in CLASSIFIERS), None)


def read_documents(member: Member, documents: Documents) -> Iterator[pa.RecordBatch | Reject]:
    """The document of one file of the environment; none where it has no text, such as a module without docstrings."""
    if member.name.endswith(".py"):
        yield from _module(member, documents)
    elif member.name == "METADATA":
        yield from _description(member, documents)
    else:
        yield from text.read_documents(member, documents)


def _module(member: Member, documents: Documents) -> Iterator[pa.RecordBatch | Reject]:
    raw = text.load(member, max_bytes=documents.source.limits.max_record_bytes)
    found = raw if isinstance(raw, Reject) else docstrings(raw, member.uri)
    if isinstance(found, Reject):
        yield found
    elif found.strip():
        yield from documents.batch([0], text.document(found, module_name(member.uri)))


def docstrings(raw: bytes, uri: str) -> str | Reject:
    """Docstrings of the module, its classes and functions in the order of the source, a blank line between them."""
    if b'"""' not in raw and b"'''" not in raw:
        return ""
    try:
        with warnings.catch_warnings(), _uncollected():
            warnings.simplefilter("ignore")
            return "\n\n".join(found for found in _docstrings(ast.parse(raw)) if found)
    except (SyntaxError, ValueError, RecursionError) as error:
        return Reject(uri, "0", "syntax_error", str(error)[:300], 0, type(error).__name__, raw[:200])


@contextmanager
def _uncollected() -> Iterator[None]:
    """A block without garbage collection: a syntax tree has no cycles, and looking for them takes half the time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _docstrings(node: ast.AST) -> Iterator[str]:
    stack: list[ast.AST] = [node]
    while stack:
        here = stack.pop()
        if isinstance(here, DOCUMENTED):
            yield ast.get_docstring(here) or ""
        stack += reversed([item for item in getattr(here, "body", []) if isinstance(item, ast.stmt)])


def module_name(uri: str) -> str:
    """``python-env:/stdlib/json/__init__.py`` -> ``json``."""
    parts = uri.split("/", 2)[2].removesuffix(".py").removesuffix("/__init__")
    return parts.replace("/", ".")


def _description(member: Member, documents: Documents) -> Iterator[pa.RecordBatch | Reject]:
    raw = text.load(member, max_bytes=documents.source.limits.max_record_bytes)
    whole = raw if isinstance(raw, Reject) else text.decoded(raw, member.uri)
    if isinstance(whole, Reject):
        yield whole
        return
    head, _, body = whole.partition("\n\n")
    fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line and not line.startswith(" "))
    if body.strip():
        yield from documents.batch(
            [0], text.document(body, f"{fields.get('Name', '')} {fields.get('Version', '')}".strip())
        )

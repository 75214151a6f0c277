"""Copies of the first objects that a URL names, by which ``warehouse ingest`` tells what they are."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from warehouse.errors import InputError, UsageError

if TYPE_CHECKING:
    from warehouse.sources import Located

DELTA_LOG = "_delta_log"
COPIED = 10
"""Objects that are copied, until a reader takes one."""
MAX_BYTES = 256 << 20
"""Of one of them; where it is cut off, a format whose end tells what it holds cannot be read."""


def is_remote(uri: str) -> bool:
    """Whether a uri is a URL that is fetched."""
    from warehouse.sources.recipe import is_url
    from warehouse.stores import is_store

    return is_url(uri) or is_store(uri)


def copies(uri: str, folder: Path) -> list[Path]:
    """The first object of a URL that a reader takes, in a folder of its own below ``folder``, under its own name; all
    of the first COPIED where none does; of a Delta table an empty one.

    Raises UsageError for a URL that matches nothing or is refused, NetworkError.
    """
    from warehouse.sources import Source, guess_reader, locate

    try:
        located = list(locate(Source("first", (uri,)), folder))
        made: list[Path] = []
        for each in islice(located, COPIED):
            made.append(_copy(each, Path(mkdtemp(dir=folder))))
            with suppress(InputError):
                if each.table or guess_reader(made[-1]):
                    return [made[-1]]
    except InputError as error:
        raise UsageError(error.came, allowed=error.allowed, do=error.do) from None
    return made


def _copy(located: Located, folder: Path) -> Path:
    from warehouse.sources import Source, fetched, stored
    from warehouse.sources.recipe import file_name

    path = folder / (file_name(located.uri) or "index")
    if located.table:
        (path / DELTA_LOG).mkdir(parents=True)
        return path
    opened = stored if located.entry else fetched
    with opened(Source("first", (located.uri,)), located) as answer, path.open("wb") as copy:
        for chunk in answer.chunks if answer else ():
            copy.write(chunk)
            if copy.tell() >= MAX_BYTES:
                break
    return path


def name_of(uri: str, first: Path) -> Path:
    """What a source of this URL is called after: its folder, or the file it names."""
    last = uri.rstrip("/").rpartition("/")[2]
    return first if any(sign in last for sign in "*?[") or not last else Path(last)

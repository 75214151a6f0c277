"""An object of a store: its bytes in chunks, or word that it is still what it was, which the listing says.

The bytes are those of the version that was listed, asked for range by range (RFC 9110, 13.1.1: If-Match): one that
changed meanwhile is a NetworkError and begins anew in the next try. A range that does not come, after the store's own
tries, is asked for again as the rest of a body is over HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from warehouse.errors import InputError, NetworkError, NotFound
from warehouse.sources.buckets import told
from warehouse.sources.http import RESUME_WAIT_S, RESUMES, Response
from warehouse.sources.locate import Located
from warehouse.sources.recipe import Source
from warehouse.stores import Entry, opened


@contextmanager
def stored(source: Source, located: Located, *, version: str | None = None) -> Iterator[Response | None]:
    """The object of ``located.entry``; None where it still is ``version``.

    Raises InputError for more than ``limits.max_object_bytes`` and for what the store refuses, NetworkError for what
    may pass.
    """
    entry = located.entry
    if entry is None:
        raise InputError(f"{located.uri} is of no object store")
    if _version(entry) == version:
        yield None
        return
    if entry.size > source.limits.max_object_bytes:
        limit = source.limits.max_object_bytes
        raise InputError(f"{located.uri} is longer than {limit:,} bytes", allowed="limits.max_object_bytes")
    yield Response(_version(entry), entry.modified, _chunks(source, located, entry))


def _version(entry: Entry) -> str:
    """ETag, else the time and size, of a store that gives none."""
    return entry.version or f"{entry.modified.isoformat()}/{entry.size}"


def _chunks(source: Source, located: Located, entry: Entry) -> Iterator[bytes]:
    until = time.monotonic() + source.http.max_fetch_s
    size = tries = 0
    while size < entry.size:
        try:
            for chunk in _from(located, entry, size):
                size += len(chunk)
                if time.monotonic() > until:
                    allowed = "http.max_fetch_s"
                    raise NetworkError(f"{located.uri} took longer than {source.http.max_fetch_s} s", allowed=allowed)
                yield chunk
        except NetworkError as error:
            wait_s = RESUME_WAIT_S * 2**tries
            tries += 1
            if tries > RESUMES or error.values.get("changed") or time.monotonic() + wait_s > until:
                raise
            time.sleep(wait_s)


def _from(located: Located, entry: Entry, start: int) -> Iterator[bytes]:
    """The bytes from ``start`` on."""
    with told(located.uri):
        store = opened((located.url or "").removesuffix(f"/{entry.key}"))
        try:
            yield from store.chunks(entry, start=start)
        except NotFound:
            raise NetworkError(f"{located.uri} is gone since it was listed", do="run it again", changed=True) from None

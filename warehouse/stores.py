"""Objects of a bucket, or of a prefix in one: S3, Google Cloud Storage, Azure. The one door to obstore.

Credentials and endpoints come from the environment alone, under each vendor's own names (``AWS_*``, ``GOOGLE_*``,
``AZURE_*``); delta-rs reads the same ones. Every request is bounded: TRIES of it, REQUEST_S each, so a dead network
ends in a NetworkError. Large objects are read in ranges of CHUNK under one version, so that a body that breaks off
costs one range, and an object that changes meanwhile is seen. Writes are whole or not at all; one that must be the
first, or instead of a known version, is a conditional PUT (If-None-Match, If-Match: RFC 9110, 13.1).
"""

from __future__ import annotations

import http
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from obstore import exceptions as errors
from obstore.store import ObjectStore, from_url

from warehouse.errors import InputError, NetworkError, NotFound, UsageError

if TYPE_CHECKING:
    from obstore import GetOptions

SCHEMES = ("s3", "gs", "az", "abfs", "abfss")
URL = re.compile(rf"(?:{'|'.join(SCHEMES)})://", re.IGNORECASE)
CHUNK = 8 << 20
WHOLE = 64 << 20
"""Bytes up to which an object is written in one request; larger ones are sent in parts."""
TRIES, TRY_FOR_S, REQUEST_S, CONNECT_S = 4, 60, 60, 10
SIDE_BY_SIDE = 8
STATUS = re.compile(r"status code: (\d{3})")
REFUSALS = frozenset(range(400, 500)) - {408, 425, 429}
WRONG_REGION = "redirect without LOCATION"
REQUEST = re.compile(r"(Error performing list request: )?Error performing [A-Z]+ .*?( - |$)")


@dataclass(frozen=True, slots=True)
class Entry:
    """An object: its key below the store's URL, bytes, the version that the store knows it by, and when it was
    written, in UTC.
    """

    key: str
    size: int
    version: str | None
    modified: datetime


def is_store(url: str) -> bool:
    """Whether a location is one of an object store, by its scheme."""
    return URL.match(url) is not None


def opened(url: str) -> Store:
    """The store at ``scheme://bucket`` or ``scheme://bucket/prefix``; nothing is asked of it yet.

    Raises UsageError for what is no such URL, or one with credentials.
    """
    parts = urlsplit(url)
    if not is_store(url) or not parts.hostname or parts.query or parts.fragment:
        named = ", ".join(f"{scheme}://BUCKET/PREFIX" for scheme in SCHEMES)
        raise UsageError(f"{_shown(url)} is no location of an object store", allowed=named)
    if "@" in parts.netloc and not parts.scheme.lower().startswith("abfs"):
        raise UsageError(
            f"{_shown(url)} holds credentials",
            allowed="the URL without them",
            do="state them in the environment (AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_KEY)",
        )
    return Store(url.rstrip("/"), _backend(url.rstrip("/")))


def _shown(url: str) -> str:
    """The URL without what stands before its host."""
    return re.sub(r"//[^/@]*@", "//", url)


def _backend(url: str) -> ObjectStore:
    try:
        return from_url(
            url,
            client_options={
                "timeout": timedelta(seconds=REQUEST_S),
                "connect_timeout": timedelta(seconds=CONNECT_S),
                "allow_http": True,  # where the environment names an endpoint without TLS
            },
            retry_config={"max_retries": TRIES - 1, "retry_timeout": timedelta(seconds=TRY_FOR_S)},
        )
    except (errors.BaseError, ValueError) as error:
        raise UsageError(f"{url} cannot be opened: {_said(error)}", do="check the environment's settings") from None


@dataclass(frozen=True, slots=True)
class Store:
    """A bucket, or a prefix in one. ``url`` shows no credentials. All methods raise NetworkError for what may pass,
    InputError for what will not (access denied, no such bucket).
    """

    url: str
    backend: ObjectStore

    def list(self, prefix: str = "", *, after: str | None = None) -> Iterator[Entry]:
        """The objects below a prefix (whole path segments), in order of key; those after a key alone."""
        with self._told(prefix):
            for batch in obstore.list(self.backend, prefix=prefix or None, offset=after):
                yield from (_entry(found) for found in batch)

    def children(self, prefix: str) -> tuple[Sequence[str], Sequence[Entry]]:
        """Names of the folders right below a prefix, and the objects there; nothing deeper is listed."""
        with self._told(prefix):
            found = obstore.list_with_delimiter(self.backend, prefix=prefix or None)
        names = [each.rstrip("/").rpartition("/")[2] for each in found["common_prefixes"]]
        return names, [_entry(each) for each in found["objects"]]

    def head(self, key: str) -> Entry | None:
        """The object, None where there is none."""
        try:
            with self._told(key):
                return _entry(obstore.head(self.backend, key))
        except NotFound:
            return None

    def get(self, key: str) -> tuple[bytes, str | None] | None:
        """The bytes of a small object and its version; None where there is none."""
        try:
            with self._told(key):
                answer = obstore.get(self.backend, key)
                return bytes(answer.bytes()), answer.meta["e_tag"]
        except NotFound:
            return None

    def chunks(self, entry: Entry, *, start: int = 0) -> Iterator[bytes]:
        """The bytes of one version of an object from ``start`` on, at most CHUNK at a time.

        Raises NetworkError where the object became another meanwhile, NotFound where it is gone.
        """
        while start < entry.size:
            end = min(start + CHUNK, entry.size)
            yield self.part(entry.key, start, end, version=entry.version)
            start = end

    def part(self, key: str, start: int, stop: int, *, version: str | None = None) -> bytes:
        """Bytes start to stop of an object, of this version where one is named; raises as ``chunks``."""
        with self._told(key):
            options: GetOptions = {"range": (start, stop)}
            if version is not None:
                options["if_match"] = version
            data = bytes(obstore.get(self.backend, key, options=options).bytes())
        if len(data) != stop - start:
            raise NetworkError(f"{self.url}/{key} broke off", do="run it again")
        return data

    def put(self, key: str, content: bytes | Path, *, new: bool = False, instead_of: str | None = None) -> bool:
        """Write an object whole. new: only where there is none; instead_of: only where this is its version.

        False where that was not so; a conditional object must fit in memory.
        """
        conditional = new or instead_of is not None
        mode: Any = "create" if new else {"e_tag": instead_of} if instead_of is not None else "overwrite"
        large = isinstance(content, Path) and not conditional and content.stat().st_size > WHOLE
        with self._told(key):
            try:
                obstore.put(self.backend, key, content, mode=mode, use_multipart=large)
            except (errors.AlreadyExistsError, errors.PreconditionError, errors.NotModifiedError):
                if conditional:
                    return False
                raise
        return True

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; one that is not there is none the less deleted."""
        for key in keys:
            try:
                with self._told(key):
                    obstore.delete(self.backend, key)
            except NotFound:
                continue

    def each(self, action: Any, items: Iterable[Any]) -> None:
        """Do something with each item, SIDE_BY_SIDE at once; the first error ends it."""
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for _ in pool.map(action, items):
                pass

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """The library's errors as ours; its messages hold addresses, never credentials."""
        place = f"{self.url}/{key}" if key else self.url
        if _asking() != os.getpid():
            raise UsageError(
                f"{place} is asked for in a process that was forked after another request, which would wait for ever",
                allowed="requests in processes of their own",
                do="start it by spawn: DataLoader(..., multiprocessing_context='spawn')",
            )
        try:
            yield
        except (errors.AlreadyExistsError, errors.NotModifiedError):
            raise
        except errors.PreconditionError:
            raise NetworkError(f"{place} changed while it was read", do="run it again", changed=True) from None
        except (errors.NotFoundError, FileNotFoundError) as error:
            if "NoSuchBucket" in str(error):
                raise self._no_bucket() from None
            raise NotFound(f"no object {place}", do="check the location") from None
        except (errors.PermissionDeniedError, errors.UnauthenticatedError, PermissionError):
            raise _denied(place) from None
        except (errors.InvalidPathError, ValueError) as error:
            raise InputError(f"{place} is no name that can be asked for: {_said(error)}", do="rename it") from None
        except errors.BaseError as error:
            raise self._unlisted(place, error) from None

    def _unlisted(self, place: str, error: Exception) -> InputError | NetworkError:
        """What the library has no error of its own for: every answer to a listing, and what is no answer."""
        found = STATUS.search(str(error))
        status = int(found[1]) if found else 0
        if status == http.HTTPStatus.NOT_FOUND:
            return self._no_bucket()
        if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            return _denied(place)
        if status in REFUSALS or WRONG_REGION in str(error):
            return InputError(f"{place} is refused: {_said(error)}", do="check the environment's settings")
        return NetworkError(f"{place} cannot be reached: {_said(error)}", do="run it again later")

    def _no_bucket(self) -> InputError:
        return InputError(f"{self.url} cannot be reached: no such bucket", do="check the name")


@cache
def _asking() -> int:
    """The process of the first request: obstore's threads begin there, and do not pass a fork."""
    return os.getpid()


def _entry(found: Any) -> Entry:
    return Entry(found["path"], found["size"], found["e_tag"], found["last_modified"])


def _denied(place: str) -> InputError:
    return InputError(f"{place} is refused to this account", do="check the credentials in the environment")


def _said(error: Exception) -> str:
    """The first line of what a library says, shortened: without the request, whose target may show a secret."""
    return REQUEST.sub("", str(error).partition("\n")[0])[:200].rstrip(". ")

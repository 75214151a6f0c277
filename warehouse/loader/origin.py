"""Where a release is pulled from: a folder, a web server, or an object store, all read by ranges of bytes.

A folder and a web server need the standard library alone, a store the extra ``ml-warehouse[remote]``. Requests are
bounded in time; what may pass is a NetworkError, which ``pull`` tries again. Secrets of a URL (its user and password,
its query) go into requests, never into a message. A server that knows no ranges is read through from the start.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from warehouse.errors import (
    InputError,
    IntegrityError,
    MissingExtra,
    NetworkError,
    NotFound,
    UsageError,
    WarehouseError,
)
from warehouse.manifest import BLOCK_BYTES, NAME
from warehouse.web import Redirects, is_plain, is_private, refused, request, told

if TYPE_CHECKING:
    from warehouse.stores import Store

SMALL_BYTES = 1 << 30
"""A manifest may have so many bytes: one of 40 TB of data has."""
TIMEOUT_S = 30.0
WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
SHORTEST_SECRET = 4
"""Characters of a word that is worth hiding: shorter ones are in many words that say nothing."""
GONE = (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE)
STORES = ("s3", "gs", "az", "abfs", "abfss")
CHANNEL = "channel:"
CHANNELS = re.compile(r"SM_CHANNEL_\w+|AIP_\w+_DATA_URI")
MOUNTS = Path("/gcs")
"""Where Vertex AI mounts the buckets of a job."""
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
VERSIONED = re.compile(r"(.*[^/@])@(\d{1,9})")


class Origin(Protocol):
    """A place that holds files by relative path. shown: what messages call it; tries: of a request, before it is said
    that it cannot be had; ranged: whether it gives any range of a file for the price of that range.
    """

    @property
    def shown(self) -> str: ...

    @property
    def tries(self) -> int: ...

    @property
    def ranged(self) -> bool: ...

    def below(self, name: str) -> Origin:
        """The folder of that name in this one."""

    def small(self, path: str) -> bytes | None:
        """The bytes of a small file; None where there is none."""

    def read(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        """Bytes start to stop of a file in pieces, fewer where it ends before.

        Raises NotFound where there is none, NetworkError for what may pass, InputError for what will not.
        """

    def size(self, path: str) -> int | None:
        """Bytes of a file; None where there is none, or where the origin does not say."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine, or one that is mounted."""

    root: Path
    tries: int = 2
    ranged: bool = True

    @property
    def shown(self) -> str:
        return str(self.root)

    def below(self, name: str) -> Folder:
        return Folder(self.root / name)

    def small(self, path: str) -> bytes | None:
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        try:
            with (self.root / path).open("rb") as stream:
                stream.seek(start)
                while start < stop and (piece := stream.read(min(BLOCK_BYTES, stop - start))):
                    start += len(piece)
                    yield piece
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"no file {self.root / path}", do="check the location") from None

    def size(self, path: str) -> int | None:
        try:
            return (self.root / path).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None


@dataclass(frozen=True)
class Web:
    """A folder of a web server. url: without user and password; query: of every request; headers: sent to the URL's
    own host alone; private: whether a redirect to a private address is followed; secrets: what no message may repeat
    after a server.
    """

    url: str
    query: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    private: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)
    tries: int = 5

    @property
    def shown(self) -> str:
        return self.url

    @cached_property
    def ranged(self) -> bool:
        """Asked once: servers that give no ranges answer 200 to one."""
        try:
            with self._asked(NAME, {"Range": "bytes=0-0"}) as answer:
                return answer.status == http.HTTPStatus.PARTIAL_CONTENT
        except NotFound:
            return True

    def below(self, name: str) -> Web:
        return replace(self, url=self._named(name))

    def small(self, path: str) -> bytes | None:
        tries = 0
        while True:
            try:
                return self._whole(path)
            except NetworkError as error:
                tries += 1
                if tries == self.tries:
                    raise
                time.sleep(wait_s(tries, error))

    def _whole(self, path: str) -> bytes | None:
        try:
            with self._asked(path, {}) as answer:
                body = b"".join(_pieces(self._named(path), answer, SMALL_BYTES + 1))
                stated = answer.length
        except NotFound:
            return None
        if stated:
            raise NetworkError(f"{self._named(path)} broke off", do="run it again")
        if len(body) > SMALL_BYTES:
            raise InputError(f"{self._named(path)} goes on and on", allowed=f"{SMALL_BYTES:,} bytes")
        return body

    def read(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        with self._asked(path, {"Range": f"bytes={start}-{stop - 1}"}) as answer:
            skipped = 0 if answer.status == http.HTTPStatus.PARTIAL_CONTENT else start
            left = stop - start
            for piece in _pieces(self._named(path), answer, skipped + left):
                kept = piece[skipped:]
                skipped -= len(piece) - len(kept)
                if kept:
                    left -= len(kept)
                    yield kept
            if left and answer.length:
                raise NetworkError(f"{self._named(path)} broke off", do="run it again")

    def size(self, path: str) -> int | None:
        try:
            with self._asked(path, {}, method="HEAD") as answer:
                size = answer.headers.get("Content-Length", "")
                return int(size) if size.isdecimal() else None
        except (NotFound, InputError):
            return None

    def _named(self, path: str) -> str:
        return f"{self.url}/{quote(path)}"

    def _asked(self, path: str, headers: Mapping[str, str], method: str = "GET") -> http.client.HTTPResponse:
        shown = self._named(path)
        url = f"{shown}?{self.query}" if self.query else shown
        asked = request(url, headers, method)
        for name, value in self.headers.items():
            asked.add_unredirected_header(name, value)
        redirects = Redirects(private=self.private or is_private(url), allowed_by="allow_private")
        with _hidden(self.secrets), told(shown):
            try:
                opener = urllib.request.build_opener(redirects)
                answer: http.client.HTTPResponse = opener.open(asked, timeout=TIMEOUT_S)
                return answer
            except urllib.error.HTTPError as error:
                with error:
                    if error.code in GONE:
                        raise NotFound(f"no file {shown}", do="check the location") from None
                    raise refused(shown, error, do="check the location, and who may read it") from None


@contextmanager
def _hidden(secrets: tuple[str, ...]) -> Iterator[None]:
    """A block whose errors show none of these words."""
    try:
        yield
    except WarehouseError as error:
        came = error.came
        for secret in secrets:
            came = came.replace(secret, "...")
        raise type(error)(came, allowed=error.allowed, do=error.do, **error.values) from None


def wait_s(tries: int, error: NetworkError) -> float:
    """Seconds to wait after so many tries: twice as long each time, or as the server asked."""
    return min(max(WAIT_S * float(1 << (tries - 1)), error.asked_wait_s), LONGEST_WAIT_S)


def _pieces(shown: str, answer: http.client.HTTPResponse, most: int) -> Iterator[bytes]:
    """The body as it comes, ``most`` bytes of it."""
    while most:
        with told(shown):
            piece = answer.read1(min(BLOCK_BYTES, most))
        if not piece:
            return
        most -= len(piece)
        yield piece


@dataclass(frozen=True, slots=True)
class Bucket:
    """A prefix in an object store, with the credentials of the environment; the store tries again by itself."""

    store: Store
    tries: int = 2
    ranged: bool = True

    @property
    def shown(self) -> str:
        return self.store.url

    def below(self, name: str) -> Bucket:
        return _bucket(f"{self.store.url}/{name}")

    def small(self, path: str) -> bytes | None:
        found = self.store.get(path)
        return None if found is None else found[0]

    def read(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        try:
            yield self.store.part(path, start, stop)
        except NetworkError:
            size = self.size(path)
            if size is not None and size < stop:
                raise InputError(f"{self.shown}/{path} has {size:,} bytes", allowed=f"{stop:,} or more") from None
            raise

    def size(self, path: str) -> int | None:
        entry = self.store.head(path)
        return None if entry is None else entry.size


def _bucket(url: str) -> Bucket:
    try:
        from warehouse import stores
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"the package {error.name!r}, by which {urlsplit(url).scheme}:// is read, is not installed",
            do="pip install 'ml-warehouse[remote]'",
        ) from None
    return Bucket(stores.opened(url))


@dataclass(frozen=True, slots=True)
class Found:
    """A release in an origin, with the bytes of its manifest; why: what an index beside it says that it was revoked
    for, else None.
    """

    origin: Origin
    manifest: bytes
    why: str | None = None


def find(
    location: Path | str, *, headers: Mapping[str, str] | None = None, private: bool = False, mounts: Path = MOUNTS
) -> Found:
    """The release at a location: a folder or URL (http, https, s3, gs, az, abfs) of a release, of a data set (its last
    live version) or of one with a version, ``.../datasets/NAME@3``; or ``channel:NAME``, see ``channel``.

    headers, private: of requests over HTTP, as in ``Web``. Raises NotFound where there is none, naming what there is.
    """
    text = str(location)
    if text.startswith(CHANNEL):
        text = channel(text.removeprefix(CHANNEL), os.environ, mounts=mounts)
    head, mark, query = text.partition("?") if URL.match(text) else (text, "", "")
    trimmed = head.rstrip("/").removesuffix(f"/{NAME}")
    named = VERSIONED.fullmatch(trimmed)
    trimmed, version = (named[1], int(named[2])) if named else (trimmed or "/", None)
    origin = _opened(trimmed + mark + query, headers or {}, private)
    raw = origin.small(NAME) if version is None else None
    return _listed(origin, version) if raw is None else Found(origin, raw)


def channel(name: str, environ: Mapping[str, str], *, mounts: Path = MOUNTS) -> str:
    """Where a training service says that the data of a channel lie: ``SM_CHANNEL_<NAME>`` (SageMaker: a folder), else
    ``AIP_<NAME>_DATA_URI`` (Vertex AI: gs://BUCKET/..., taken from below /gcs/BUCKET where it is mounted there).

    Raises NotFound where the environment names none.
    """
    keys = [f"SM_CHANNEL_{name.upper()}", f"AIP_{name.upper()}_DATA_URI"]
    stated = next((environ[key] for key in keys if environ.get(key)), None)
    if stated is None:
        there = sorted(key for key in environ if CHANNELS.fullmatch(key))
        raise NotFound(
            f"no channel {name!r}", allowed=", ".join(there) or " or ".join(keys), do="check the job's input"
        )
    mounted = mounts / stated.removeprefix("gs://")
    return str(mounted) if stated.startswith("gs://") and mounted.is_dir() else stated


def _opened(location: str, headers: Mapping[str, str], private: bool) -> Origin:
    if not URL.match(location):
        return Folder(Path(location).expanduser())
    scheme = location.partition("://")[0].lower()
    if scheme == "file":
        return Folder(Path(unquote(urlsplit(location).path)))
    if scheme in ("http", "https"):
        return _web(location, headers, private)
    if scheme not in STORES:
        raise UsageError(
            f"{scheme}:// as the place of a release",
            allowed=f"a folder, {', '.join(f'{each}://' for each in ('http', 'https', *STORES))}",
        )
    return _bucket(location)


def _web(url: str, headers: Mapping[str, str], private: bool) -> Web:
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    shown = urlunsplit((parts.scheme, host, parts.path, "", ""))
    if not is_plain(url) or parts.fragment:
        raise UsageError(f"{shown} is no URL", allowed="http:// or https://, a host, ASCII without blanks and #")
    if login:
        encoded = base64.b64encode(unquote(login).encode()).decode()
        headers = {"Authorization": f"Basic {encoded}", **headers}
    words = {parts.query, *(value for _, value in parse_qsl(parts.query)), *login.split(":"), *headers.values()}
    words |= {form for word in words for form in (unquote(word), quote(word), quote(word, safe=""))}
    secrets = sorted((word for word in words if len(word) >= SHORTEST_SECRET), key=len, reverse=True)
    return Web(shown.rstrip("/"), parts.query, headers, private, tuple(secrets))


def _listed(origin: Origin, version: int | None) -> Found:
    raw = origin.small("index.json")
    if raw is None:
        raise NotFound(
            f"neither {NAME} nor index.json in {origin.shown}",
            do="name a release, <datasets>/<name>/<version>, or a data set, <datasets>/<name>[@VERSION]",
        )
    try:
        listed = {int(entry["version"]): entry for entry in json.loads(raw)["versions"]}
        live = [number for number in sorted(listed) if listed[number]["state"] == "live"]
        wanted = version if version is not None else live[-1] if live else None
        if wanted not in listed:
            allowed = ", ".join(f"@{number}" for number in live) or "none"
            raise NotFound(f"no release {version or ''} of {origin.shown}", allowed=allowed)
        why = str(listed[wanted]["why"]) if listed[wanted]["state"] != "live" else None
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{origin.shown}/index.json lists no versions: {error!r}", do="check the location"
        ) from None
    release = origin.below(str(wanted))
    if (manifest := release.small(NAME)) is None:
        raise NotFound(f"no {NAME} in {release.shown}", do="check the location")
    return Found(release, manifest, why)

"""An object fetched by HTTP: its bytes in chunks as they come, or word that it is still what it was.

A server that gives an ETag or Last-Modified is asked with it the next time, so that an unchanged object costs one
request of some 300 bytes. What may pass (a refused or broken connection, a timeout, a cut body, 408, 425, 429, 5xx)
is a NetworkError, which a run tries again. A body that breaks off is gone on with from there (Range with If-Range,
RFC 9110, 13.1.5 and 14), RESUMES times at most, if the server gave a strong ETag or Last-Modified; one that changed
meanwhile is a NetworkError, and begins anew in the next try. Not won: a server that names the same bytes anew each
time sends them each time. No content coding is asked for; a .gz or .zst stays one. The proxies of the environment are
used; redirects are followed as ``warehouse.web`` says.
"""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from warehouse.contracts import Reject
from warehouse.errors import InputError, NetworkError, WarehouseError
from warehouse.sources.locate import Located
from warehouse.sources.patterns import as_stated, expanded
from warehouse.sources.recipe import Source
from warehouse.sources.rights import lines_of
from warehouse.web import Redirects, is_plain, is_private, refused, request, told

CHUNK = 1 << 18
RESUMES, RESUME_WAIT_S = 4, 1.0
ETAG = re.compile(r'(W/)?"[^"]*"')
RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered: ``chunks`` are to be taken once, before the connection is closed.

    version: ETag, else Last-Modified as it came, else None; modified: Last-Modified in UTC; headers: lines that say
    what may be done with it, see ``rights``.
    """

    version: str | None
    modified: datetime | None
    chunks: Iterator[bytes]
    headers: str | None = None


@contextmanager
def fetched(source: Source, located: Located, *, version: str | None = None) -> Iterator[Response | None]:
    """The object at ``located.url``, open; None where the server says that it still is ``version``.

    Raises NetworkError for what may pass, InputError for what will not: 404, an untrusted certificate, a body of more
    than ``limits.max_object_bytes``. Messages name the uri as the source states it, never what ``${NAME}`` stands for.
    """
    until = time.monotonic() + source.http.max_fetch_s
    with _unshown(source):
        with told(located.uri):
            answer = _opened(source, located, version)
        if answer is None:
            yield None
            return
        transfer = _Transfer(source, located, answer, until)
        etag, modified = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified")
        try:
            version = etag if ETAG.fullmatch(etag) else modified
            yield Response(version, _moment(modified), transfer.chunks(), lines_of(answer.headers))
        finally:
            transfer.answer.close()


@contextmanager
def _unshown(source: Source) -> Iterator[None]:
    """A block whose errors say nothing that a server repeats of what ``${NAME}`` stands for."""
    try:
        yield
    except WarehouseError as error:
        came = as_stated(error.came, *source.uri, *source.http.headers.values())
        raise type(error)(came, allowed=error.allowed, do=error.do, **error.values) from None


def not_fetched(uri: str, error: WarehouseError) -> Reject:
    """The Reject of an object that could not be fetched."""
    return Reject(uri, "", "not_fetched", error.came, exception=type(error).__name__)


def _opened(
    source: Source, located: Located, version: str | None, ask: Mapping[str, str] = MappingProxyType({})
) -> http.client.HTTPResponse | None:
    """The answer, None for one that is not modified; ask: further headers."""
    url = _checked(located)
    asked = request(url, {**_conditional(version), **ask})
    for name, value in source.http.headers.items():
        asked.add_unredirected_header(name, expanded(value))  # a redirect may lead to another host
    try:
        redirects = Redirects(private=source.http.allow_private or is_private(url), allowed_by="http.allow_private")
        opener = urllib.request.build_opener(redirects)
        answer: http.client.HTTPResponse = opener.open(asked, timeout=source.http.timeout_s)
        return answer
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.HTTPStatus.NOT_MODIFIED and version is not None:
                return None
            raise refused(located.uri, error, do="check uri and http.headers in the source's YAML") from None


def _checked(located: Located) -> str:
    url = located.url or ""
    if not is_plain(url):
        raise InputError(f"{located.uri} is no URL", allowed="http:// or https://, a host, ASCII without blanks")
    return url


def _conditional(version: str | None) -> Mapping[str, str]:
    if version is None:
        return {}
    return {"If-None-Match" if ETAG.fullmatch(version) else "If-Modified-Since": version}


@dataclass(slots=True)
class _Transfer:
    """A body as it comes, neither longer nor shorter than it may be. until: when it must have come, monotonic."""

    source: Source
    located: Located
    answer: http.client.HTTPResponse
    until: float
    size: int = 0
    tries: int = 0

    def chunks(self) -> Iterator[bytes]:
        uri, limit = self.located.uri, self.source.limits.max_object_bytes
        stated, validator = self.answer.length, _validator(self.answer)  # None where the server does not say
        while True:
            try:
                chunk = _next(uri, self.answer)
                if not chunk and stated is not None and self.size != stated:
                    raise NetworkError(f"{uri} ended after {self.size:,} of {stated:,} bytes", do="run it again")
            except NetworkError as error:
                self._go_on(validator, stated, error)
                continue
            self.size += len(chunk)
            if self.size > limit:
                raise InputError(
                    f"{uri} is longer than {limit:,} bytes", allowed="limits.max_object_bytes of the source"
                )
            if time.monotonic() > self.until:
                allowed = "http.max_fetch_s"
                raise NetworkError(f"{uri} took longer than {self.source.http.max_fetch_s} s", allowed=allowed)
            if not chunk:
                return
            yield chunk

    def _go_on(self, validator: str | None, stated: int | None, error: NetworkError) -> None:
        """Ask for the rest, after a wait that doubles. Raises ``error`` where it cannot be had."""
        self.answer.close()
        while validator is not None and self.tries < RESUMES:
            wait_s = RESUME_WAIT_S * 2**self.tries
            self.tries += 1
            if time.monotonic() + wait_s > self.until:
                break
            time.sleep(wait_s)
            try:
                with told(self.located.uri):
                    rest = {"Range": f"bytes={self.size}-", "If-Range": validator}
                    answer = _opened(self.source, self.located, None, rest)
            except NetworkError:
                continue
            except InputError:
                break
            if answer is not None and _is_rest(answer, self.size, stated):
                self.answer = answer
                return
            if answer is not None:
                answer.close()
            break
        raise error


def _validator(answer: http.client.HTTPResponse) -> str | None:
    """What names these very bytes, for If-Range: a strong ETag, else Last-Modified; None where ranges are refused."""
    etag, modified = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified")
    if answer.headers.get("Accept-Ranges", "").strip().lower() == "none":
        return None
    return etag if ETAG.fullmatch(etag) and not etag.startswith("W/") else modified


def _is_rest(answer: http.client.HTTPResponse, size: int, stated: int | None) -> bool:
    """Whether an answer is what follows the first ``size`` bytes of a body of ``stated`` bytes."""
    found = RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT or found is None or int(found[1]) != size:
        return False
    return found[2] == "*" or stated is None or int(found[2]) == stated


def _next(uri: str, answer: http.client.HTTPResponse) -> bytes:
    with told(uri):
        return answer.read1(CHUNK)


def _moment(text: str | None) -> datetime | None:
    """A date of HTTP in UTC; None for none, or one that is not as it should be."""
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)

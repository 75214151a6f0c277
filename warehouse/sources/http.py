"""An object fetched by HTTP: its bytes in chunks as they come, or word that it is still what it was.

A server that gives an ETag or Last-Modified is asked with it the next time, so that an unchanged object costs one
request of some 300 bytes. What may pass (a refused or broken connection, a timeout, a cut body, 408, 425, 429, 5xx)
is a NetworkError, which a run tries again. A body that breaks off is gone on with from there (Range with If-Range,
RFC 9110, 13.1.5 and 14), RESUMES times at most, if the server gave a strong ETag or Last-Modified; one that changed
meanwhile is a NetworkError, and begins anew in the next try. Not won: a server that names the same bytes anew each
time sends them each time. No content coding is asked for; a .gz or .zst stays one. The proxies of the environment are
used. A redirect is looked up before it is followed: a server that names another address between the two (DNS
rebinding), and a name that only a proxy knows, are not seen through.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from urllib.parse import urlsplit

from warehouse.contracts import Reject
from warehouse.errors import InputError, NetworkError, WarehouseError
from warehouse.sources.locate import Located
from warehouse.sources.patterns import as_stated, expanded
from warehouse.sources.recipe import Source
from warehouse.sources.rights import lines_of

TRANSIENT = frozenset((408, 425, 429))
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
        with _told(located.uri):
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
    request = urllib.request.Request(url, headers={"User-Agent": "ml-warehouse", **_conditional(version), **ask})  # noqa: S310 # checked
    for name, value in source.http.headers.items():
        request.add_unredirected_header(name, expanded(value))  # a redirect may lead to another host
    try:
        redirects = _Redirects(private=source.http.allow_private or _is_private(url))
        opener = urllib.request.build_opener(redirects)
        answer: http.client.HTTPResponse = opener.open(request, timeout=source.http.timeout_s)
        return answer
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.HTTPStatus.NOT_MODIFIED and version is not None:
                return None
            raise _refused(located.uri, error) from None


def _checked(located: Located) -> str:
    url = located.url or ""
    parts = urlsplit(url)
    if (
        parts.scheme.lower() not in ("http", "https")
        or not parts.hostname
        or re.search(r"[\x00-\x20\x7f-\U0010ffff]", url)
    ):
        raise InputError(f"{located.uri} is no URL", allowed="http:// or https://, a host, ASCII without blanks")
    return url


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Followed to http and https only, never from https to http, to a private address only where that is allowed."""

    def __init__(self, *, private: bool) -> None:
        self.private = private

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def] # noqa: PLR0917 # urllib's own
        if urlsplit(newurl).scheme not in ("https", urlsplit(req.full_url).scheme):
            raise urllib.error.HTTPError(req.full_url, code, "a redirect away from https", headers, fp)
        if not self.private and _is_private(newurl):
            said = "a redirect to a private address, which http.allow_private would follow"
            raise urllib.error.HTTPError(req.full_url, code, said, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_private(url: str) -> bool:
    """Whether an address of the URL's host is not one of the public internet: private, loopback, link-local and the
    like (IANA's special-purpose registries, as Python's ipaddress has them). A host that has no address here is not.
    """
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return False
    addresses = [ipaddress.ip_address(str(where[0]).partition("%")[0]) for *_, where in found]
    plain = [getattr(address, "ipv4_mapped", None) or address for address in addresses]
    return any(not address.is_global or address.is_multicast for address in plain)


def _conditional(version: str | None) -> Mapping[str, str]:
    if version is None:
        return {}
    return {"If-None-Match" if ETAG.fullmatch(version) else "If-Modified-Since": version}


def _refused(uri: str, error: urllib.error.HTTPError) -> WarehouseError:
    came = f"{uri} answers {error.code} {error.reason}"
    if error.code in TRANSIENT or error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = error.headers.get("Retry-After", "")
        return NetworkError(
            came, do="run it again later", retry_after_s=int(wait) if re.fullmatch(r"\d{1,6}", wait) else None
        )
    return InputError(came, allowed="200 OK", do="check uri and http.headers in the source's YAML", status=error.code)


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """What the network raises within the block as a NetworkError, and an untrusted certificate as an InputError."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise InputError(
                f"{uri}: {reason.verify_message}", allowed="a certificate that this machine trusts"
            ) from None
        said = str(reason) or type(reason).__name__
        raise NetworkError(f"{uri} cannot be fetched: {said}", do="check the network, then run it again") from None


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
                with _told(self.located.uri):
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
    with _told(uri):
        return answer.read1(CHUNK)


def _moment(text: str | None) -> datetime | None:
    """A date of HTTP in UTC; None for none, or one that is not as it should be."""
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)

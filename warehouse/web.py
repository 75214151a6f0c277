"""What every request over HTTP keeps to: which redirects are followed, and which error an answer is.

A redirect is followed to http and https only, never from https to http, and from a public address to a private one only
where that is allowed. It is looked up before it is followed: a server that names another address between the two (DNS
rebinding), and a name that only a proxy knows, are not seen through. Needs the standard library alone: a training job
pulls with it.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from warehouse.errors import InputError, NetworkError, WarehouseError

TRANSIENT = frozenset((408, 425, 429))
"""Answers below 500 that another try may not get."""


def request(url: str, headers: Mapping[str, str], method: str = "GET") -> urllib.request.Request:
    """A request that says who asks. Raises InputError for a URL of another scheme than http and https."""
    if urlsplit(url).scheme.lower() not in ("http", "https"):
        raise InputError("a URL of another scheme", allowed="http:// or https://")
    named = {"User-Agent": "ml-warehouse", **headers}
    return urllib.request.Request(url, headers=named, method=method)  # noqa: S310 # the scheme is checked above


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects by the rules above. private: to private addresses too; allowed_by: the option that says so."""

    def __init__(self, *, private: bool, allowed_by: str) -> None:
        self.private, self.allowed_by = private, allowed_by

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def] # noqa: PLR0917 # urllib's own
        if urlsplit(newurl).scheme not in ("https", urlsplit(req.full_url).scheme):
            raise urllib.error.HTTPError(req.full_url, code, "a redirect away from https", headers, fp)
        if not self.private and is_private(newurl):
            said = f"a redirect to a private address, which {self.allowed_by} would follow"
            raise urllib.error.HTTPError(req.full_url, code, said, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def is_private(url: str) -> bool:
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


def is_plain(url: str) -> bool:
    """Whether this is http or https with a host, ASCII without blanks."""
    parts = urlsplit(url)
    odd = re.search(r"[\x00-\x20\x7f-\U0010ffff]", url)
    return parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and not odd


def refused(shown: str, error: urllib.error.HTTPError, *, do: str) -> WarehouseError:
    """The error for an answer: a NetworkError for what may pass (408, 425, 429, 5xx), else an InputError.

    shown: the address without its secrets; do: what to look at where it will not pass.
    """
    came = f"{shown} answers {error.code} {error.reason}"
    if error.code in TRANSIENT or error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = error.headers.get("Retry-After", "")
        return NetworkError(
            came, do="run it again later", retry_after_s=int(wait) if re.fullmatch(r"\d{1,6}", wait) else None
        )
    return InputError(came, allowed="200 OK", do=do, status=error.code)


@contextmanager
def told(shown: str) -> Iterator[None]:
    """What the network raises within the block as a NetworkError, and an untrusted certificate as an InputError."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise InputError(
                f"{shown}: {reason.verify_message}", allowed="a certificate that this machine trusts"
            ) from None
        said = str(reason) or type(reason).__name__
        raise NetworkError(f"{shown} cannot be fetched: {said}", do="check the network, then run it again") from None

"""Objects of Google Cloud Storage and of Azure, from a server that answers as their XML interfaces do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from warehouse import stores
from warehouse.errors import InputError, NetworkError
from warehouse.sources import Source, locate, stored

OBJECTS = {"in/a b.csv": b"hall,mw\n1,2\n" * 9, "in/k=%2F/é&.csv": b"hall,mw\n3,4\n", "other.csv": b"x\n"}
TIME = formatdate(1770091506, usegmt=True)
GOOGLE = (
    "<ListBucketResult><Contents><Key>{key}</Key><LastModified>2026-02-03T04:05:06Z</LastModified>"
    '<ETag>"{tag}"</ETag><Size>{size}</Size></Contents></ListBucketResult>'
)
AZURE = (
    "<EnumerationResults><Blobs><Blob><Name>{key}</Name><Properties><Last-Modified>{time}</Last-Modified>"
    "<Etag>{tag}</Etag><Content-Length>{size}</Content-Length><Content-Type>text/csv</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
    "</Blobs></EnumerationResults>"
)


class Vendor(BaseHTTPRequestHandler):
    """Objects of the one bucket ``box``; a listing has a tag of each, which If-Match must name."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        _, bucket, key = (*unquote(parts.path).split("/", 2), "")[:3]
        if bucket != "box" or (key and key not in OBJECTS):
            self.answer(404, b"<Error><Code>ContainerNotFound</Code></Error>")
        elif not key:
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.answer(200, listing(AZURE if "comp" in asked else GOOGLE, asked.get("prefix", "")).encode())
        else:
            self.object(OBJECTS[key])

    do_HEAD = do_GET

    def object(self, body: bytes) -> None:
        tag, asked = f'"{tag_of(body)}"', self.headers.get("Range")
        if self.headers.get("If-Match", tag).strip('"') != tag.strip('"'):
            self.answer(412, b"")
        elif asked:
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            said = {"ETag": tag, "Content-Range": f"bytes {first}-{last}/{len(body)}"}
            self.answer(206, body[first : last + 1], said)
        else:
            self.answer(200, body, {"ETag": tag})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Last-Modified": TIME, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


def tag_of(body: bytes) -> str:
    return f"0x{len(body):x}"


def listing(template: str, prefix: str) -> str:
    """The template's entry for each object below a prefix."""
    entry = next(word for word in ("Contents", "Blob") if f"<{word}>" in template)
    before, inside, after = (
        template.partition(f"<{entry}>")[0],
        *template.partition(f"<{entry}>")[2].rsplit(f"</{entry}>"),
    )
    found = {key: body for key, body in OBJECTS.items() if key.startswith(prefix)}
    entries = [
        f"<{entry}>{inside}</{entry}>".format(key=escape(key), tag=tag_of(body), size=len(body), time=TIME)
        for key, body in sorted(found.items())
    ]
    return f'<?xml version="1.0" encoding="utf-8"?>{before}{"".join(entries)}{after}'


@pytest.fixture(params=["gs", "az"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    account = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
    environ = {
        "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps({"gcs_base_url": url, "disable_oauth": True, **account}),
        "AZURE_STORAGE_ACCOUNT_NAME": "account",
        "AZURE_SKIP_SIGNATURE": "true",
        "AZURE_STORAGE_ENDPOINT": url,
        "AZURE_ALLOW_HTTP": "true",
        "no_proxy": "127.0.0.1",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(stores, "CHUNK", 50)
    yield f"{request.param}://box"
    server.shutdown()
    thread.join()
    server.server_close()


def test_objects_of_another_vendor_are_found_and_fetched_by_the_same_code(bucket):
    stated = Source("feed", (f"{bucket}/in/",), table="feed")
    found = {}
    for located in locate(stated, Path("/")):
        with stored(stated, located) as answer:
            assert answer is not None and answer.modified is not None and answer.modified.year == 2026
            found[located.uri] = b"".join(answer.chunks)
        with stored(stated, located, version=answer.version) as answer:
            assert answer is None, "it has not changed"
    assert found == {f"{bucket}/{key}": body for key, body in OBJECTS.items() if key.startswith("in/")}
    (one,) = locate(Source("feed", (f"{bucket}/other.csv",)), Path("/"))
    assert one.size == 2


def test_a_bucket_of_another_vendor_that_is_not_there_is_said_so(bucket):
    with pytest.raises(InputError, match="no such bucket"):
        list(locate(Source("feed", (f"{bucket}es/in/",)), Path("/")))


def test_a_key_that_would_stand_in_the_address_is_in_no_message(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_SAS_KEY", "sv=2024&sig=hush")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("AZURE_ALLOW_HTTP", "true")
    for uri in ("az://box/in/", "az://box/a.csv"):
        with pytest.raises(NetworkError) as caught:
            list(locate(Source("feed", (uri,)), Path("/")))
        assert "hush" not in f"{caught.value}{caught.value!r}"

"""Objects over HTTP, from a real server: what comes, what it costs when nothing changed, what fails and how."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from loopback import Answer, Loopback, loopback

from warehouse.errors import InputError, NetworkError, WarehouseError
from warehouse.sources import Http, KnownAt, Limits, Source, fetched, http, locate, plan_known_at, reader_id

BODY = bytes(range(256)) * 4000
SINCE = "Tue, 03 Feb 2026 04:05:06 GMT"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with loopback(Answer(body=BODY, headers={"ETag": '"first"', "Last-Modified": SINCE})) as made:
        yield made


def source(server: Loopback, **options: object) -> Source:
    return Source("feed", (f"{server.url}/feed.csv",), table="feed", **options)


def fetch(stated: Source, version: str | None = None) -> tuple[bytes, str | None] | None:
    """The body and its version, None where it has not changed."""
    (located,) = locate(stated, Path("/"))
    with fetched(stated, located, version=version) as answer:
        return (b"".join(answer.chunks), answer.version) if answer else None


@pytest.mark.parametrize("chunked", [False, True])
def test_the_bytes_are_those_that_the_server_sends(server, chunked):
    server.always = replace(server.always, chunked=chunked)
    assert fetch(source(server)) == (BODY, '"first"')


def test_an_unchanged_object_costs_one_conditional_request(server):
    found = fetch(source(server))
    assert found is not None
    assert fetch(source(server), found[1]) is None
    assert server.seen[-1]["if-none-match"] == '"first"'
    assert len(server.seen) == 2


def test_without_an_etag_the_time_of_its_change_is_asked_with(server):
    server.always = Answer(body=b"x", headers={"Last-Modified": SINCE, "ETag": "not quoted"})
    found = fetch(source(server))
    assert found == (b"x", SINCE)
    fetch(source(server), SINCE)
    assert server.seen[-1]["if-modified-since"] == SINCE


PASSING = [Answer(status) for status in (408, 425, 429, 500, 502, 503, 504)]
PASSING += [Answer(reset=True), Answer(body=BODY, cut=1000), Answer(body=BODY, cut=1000, chunked=True)]


@pytest.mark.parametrize("answer", PASSING, ids=str)
def test_what_may_pass_is_a_network_error(server, answer):
    server.answers = [replace(answer, headers={"Retry-After": "7"} if answer.status == 429 else {})]
    with pytest.raises(NetworkError, match=r"/feed\.csv") as caught:
        fetch(source(server))
    assert caught.value.values.get("retry_after_s") == (7 if answer.status == 429 else None)
    assert len(server.seen) == 1, "nothing is tried again here"


NAMED = [{"ETag": '"first"'}, {"Last-Modified": SINCE}, {"ETag": 'W/"weak"', "Last-Modified": SINCE}]


@pytest.mark.parametrize("headers", NAMED, ids=str)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_breaks_off_is_gone_on_with_where_it_did(server, headers, chunked, monkeypatch):
    monkeypatch.setattr(http, "RESUME_WAIT_S", 0.01)
    whole = Answer(body=BODY, headers=headers, chunked=chunked)
    server.always = whole
    server.answers = [replace(whole, cut=300_000), Answer(503), replace(whole, cut=1), Answer(reset=True)]
    found = fetch(source(server))
    assert found is not None and found[0] == BODY
    starts = [int(seen["range"].removeprefix("bytes=")[:-1]) for seen in server.seen if "range" in seen]
    assert starts == sorted(starts) and len(starts) == 4
    assert 0 <= starts[0] <= 300_000 and starts[2] <= starts[0] + 1
    assert {seen["if-range"] for seen in server.seen if "range" in seen} == {headers.get("Last-Modified", '"first"')}


OTHERWISE = {
    "it has changed": Answer(body=BODY[::-1], headers={"ETag": '"second"'}),
    "ranges are not known": Answer(body=BODY, headers={"ETag": '"first"'}, ranges=False),
    "another length": Answer(206, BODY[9:], {"ETag": '"first"', "Content-Range": "bytes 1000-1999/2000"}),
    "another place": Answer(206, BODY, {"ETag": '"first"', "Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"}),
    "no place": Answer(206, BODY, {"ETag": '"first"'}),
    "gone": Answer(404),
    "not satisfiable": Answer(416),
}


@pytest.mark.parametrize("otherwise", OTHERWISE)
def test_what_is_not_the_rest_of_these_very_bytes_is_never_joined_to_them(server, otherwise, monkeypatch):
    monkeypatch.setattr(http, "RESUME_WAIT_S", 0.01)
    server.answers = [replace(server.always, cut=1000), OTHERWISE[otherwise]]
    with pytest.raises(NetworkError, match=r"/feed\.csv"):
        fetch(source(server))
    assert len(server.seen) == 2


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}, {"ETag": '"a"', "Accept-Ranges": "none"}], ids=str)
def test_bytes_without_a_name_and_servers_that_refuse_ranges_are_not_asked_for_the_rest(server, headers):
    server.answers = [Answer(body=BODY, headers=headers, cut=1000)]
    with pytest.raises(NetworkError, match="ended after"):
        fetch(source(server))
    assert len(server.seen) == 1


def test_a_body_that_breaks_off_again_and_again_is_given_up(server, monkeypatch):
    monkeypatch.setattr(http, "RESUME_WAIT_S", 0.01)
    server.always = replace(server.always, cut=1000)
    with pytest.raises(NetworkError):
        fetch(source(server))
    assert len(server.seen) == 1 + http.RESUMES
    monkeypatch.setattr(http, "RESUME_WAIT_S", 100.0)
    with pytest.raises(NetworkError):
        fetch(source(server, http=Http(max_fetch_s=50)))
    assert len(server.seen) == 2 + http.RESUMES, "no wait goes beyond the time that a fetch may take"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418])
def test_what_will_not_pass_is_an_input_error_that_is_no_network_error(server, status):
    server.answers = [Answer(status)]
    with pytest.raises(InputError, match=rf"feed\.csv answers {status}"):
        fetch(source(server))


def test_a_server_that_says_nothing_or_is_not_there_is_a_network_error(server):
    server.answers = [Answer(wait_s=3)]
    with pytest.raises(NetworkError, match="timed out"):
        fetch(source(server, http=Http(timeout_s=1)))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NetworkError, match="refused"):
        fetch(Source("feed", (f"http://127.0.0.1:{port}/x",)))


def test_a_body_beyond_its_limit_is_refused_before_it_is_read_whole(server):
    limit = len(BODY) // 3
    (located,) = locate(source(server), Path("/"))
    taken = 0
    stated = source(server, limits=Limits(max_object_bytes=limit))
    with pytest.raises(InputError, match="longer than"), fetched(stated, located) as answer:
        assert answer is not None
        for chunk in answer.chunks:
            taken += len(chunk)
    assert taken <= limit


def test_stated_headers_are_sent_to_the_stated_host_only_and_secrets_are_never_shown(server, monkeypatch):
    monkeypatch.setenv("FEED_TOKEN", "s3cret")
    monkeypatch.setenv("FEED_KEY", "hidden")
    stated = Source(
        "feed",
        (server.url + "/feed.csv?key=${FEED_KEY}",),
        http=Http(headers={"Authorization": "Bearer ${FEED_TOKEN}"}),
    )
    with loopback(Answer(body=b"elsewhere")) as other:
        server.answers = [Answer(302, headers={"Location": f"{other.url}/moved"})]
        assert fetch(stated) == (b"elsewhere", None)
        assert "authorization" not in other.seen[0]
    assert (server.seen[0]["authorization"], server.seen[0]["path"]) == ("Bearer s3cret", "/feed.csv?key=hidden")
    server.answers = [Answer(404)]
    with pytest.raises(WarehouseError) as caught:
        fetch(stated)
    assert "${FEED_KEY}" in str(caught.value)
    assert "hidden" not in f"{caught.value!r}{caught.value}"
    (located,) = locate(stated, Path("/"))
    assert located.uri.endswith("?key=${FEED_KEY}")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/feed.csv"])
def test_a_redirect_that_leads_away_from_http_or_nowhere_is_refused(server, target):
    server.answers = [Answer(302, headers={"Location": target})] * 20
    with pytest.raises(InputError, match="answers 302"):
        fetch(source(server))


INSIDE = ["127.0.0.1", "localhost", "2130706433", "127.1", "0", "[::ffff:127.0.0.1]"]


@pytest.fixture
def public(server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A public address, which the server answers for as its proxy."""
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", ",".join(INSIDE))
    return "http://93.184.216.34/feed.csv"


@pytest.mark.parametrize("host", INSIDE)
def test_a_redirect_from_a_public_address_to_a_private_one_is_followed_only_where_that_is_allowed(server, public, host):
    with loopback(Answer(body=b"inside")) as inner:
        location = f"http://{host}:{inner.url.rpartition(':')[2]}/secrets"
        server.answers = [Answer(302, headers={"Location": location})] * 2
        with pytest.raises(InputError, match=r"a redirect to a private address.*allow_private"):
            fetch(Source("feed", (public,)))
        assert not inner.seen
        assert server.seen[-1]["path"] == public, "it was asked as the proxy"
        if host != "[::ffff:127.0.0.1]":
            assert fetch(Source("feed", (public,), http=Http(allow_private=True))) == (b"inside", None)


@pytest.mark.parametrize("host", ["10.1.2.3", "192.168.0.1", "172.16.5.5", "169.254.169.254", "[fd00::1]", "[fe80::1]"])
def test_a_redirect_into_any_private_net_is_refused_also_after_a_public_one(server, public, host):
    target = Answer(302, headers={"Location": f"http://{host}/latest"})
    server.answers = [Answer(302, headers={"Location": "http://93.184.216.35/"}), target]
    with pytest.raises(InputError, match="a redirect to a private address"):
        fetch(Source("feed", (public,)))
    assert [seen["path"] for seen in server.seen] == [public, "http://93.184.216.35/"]


def test_a_private_source_may_redirect_within_its_net_and_a_public_one_to_a_public_one(server, public):
    server.answers = [Answer(302, headers={"Location": "/moved"}), Answer(body=b"moved")]
    assert fetch(source(server)) == (b"moved", None)
    server.answers = [Answer(302, headers={"Location": "http://93.184.216.35/"}), Answer(body=b"public")]
    assert fetch(Source("feed", (public,))) == (b"public", None)


def test_known_at_is_the_servers_own_where_the_source_says_so(server):
    stated = source(server, known_at=KnownAt(header="Last-Modified"))
    (located,) = locate(stated, Path("/"))
    with fetched(stated, located) as answer:
        assert answer is not None
        assert plan_known_at(stated, located, modified=answer.modified) == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    with pytest.raises(InputError, match="came without Last-Modified"):
        plan_known_at(stated, located)


def test_the_format_is_told_by_the_path_of_the_url(tmp_path):
    (tmp_path / "fetched").write_bytes(b"a,b\n")
    stated = Source("feed", ("https://example.org/a/b.csv.gz?x=1.json",), table="feed")
    (located,) = locate(stated, Path("/"))
    assert reader_id(stated, located, tmp_path / "fetched").startswith("csv/")

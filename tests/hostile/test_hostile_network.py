"""Credentials and redirects of a URL, on the command line: what the user sees, and what is left on the disk."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from commanding import one_line, warehouse
from loopback import Answer, loopback

KEY, TOKEN = "k3y/hidden+1", "Bearer s3cret"


def test_a_secret_of_a_url_is_in_no_line_no_table_no_log_and_no_file_though_the_server_repeats_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FEED_KEY", quote(KEY, safe=""))
    monkeypatch.setenv("FEED_TOKEN", TOKEN)
    with loopback(Answer(body=b"a,b\n1,2\n", headers={"ETag": '"1"'})) as server:
        recipe = here / "recipes" / "sources" / "feed.yaml"
        recipe.write_text(
            f"uri: ['{server.url}/a.csv?api_key=${{FEED_KEY}}', '{server.url}/b.csv?api_key=${{FEED_KEY}}']\n"
            "table: feed\nmax_reject_share: 1.0\nhttp: {headers: {Authorization: '${FEED_TOKEN}'}}\n"
        )
        told = [warehouse("run", "sources/feed")]
        assert (told[0].status, server.seen[0]["authorization"]) == (0, TOKEN)
        assert server.seen[0]["path"].endswith(quote(KEY, safe=""))
        server.answers = [Answer(404, reason=f"no {KEY} of {quote(KEY, safe='')} for {TOKEN}"), Answer(404)]
        told.append(warehouse("run", "sources/feed"))
        server.answers = [Answer(302, headers={"Location": f"file:///{KEY}"})] * 2
        told += [warehouse("run", "sources/feed"), warehouse("rejects", "feed"), warehouse("status", "--json")]
        told += [warehouse("run", "published/snapshot"), warehouse("sql", "SELECT DISTINCT _uri FROM repository.feed")]
    assert told[1].status == 1 and "a.csv?api_key=${FEED_KEY} answers 404 no ${FEED_KEY} of ${FEED_KEY}" in told[1].err
    assert "api_key=${FEED_KEY}" in told[3].out and "api_key=${FEED_KEY}" in told[-1].out
    said = "".join(each.out + each.err for each in told) + "".join(capfd.readouterr())
    stored = b"".join(path.read_bytes() for path in here.rglob("*") if path.is_file())
    for secret in (KEY, quote(KEY, safe=""), "s3cret"):
        assert secret not in said
        assert secret.encode() not in stored


REFUSED = {
    "https://example.org/a.csv?sig=abcdef": "the value of 'sig' in a URL",
    "https://me:word@example.org/a.csv": "a user or password in a URL",
    "postgresql://me:word@example.org/base": "a password in the address of a database",
}


@pytest.mark.parametrize("uri", REFUSED)
def test_a_secret_that_is_written_out_is_refused_with_its_line_and_not_repeated(here: Path, uri: str) -> None:
    (here / "recipes" / "sources" / "feed.yaml").write_text(f"table: feed\nuri: {uri}\n")
    for verb in (["run"], ["status"], ["ingest", uri, "--as", "feed"]):
        ended = warehouse(*verb)
        assert one_line(ended, 2), ended.err
        assert REFUSED[uri] in ended.err or "a URL that no file is fetched from" in ended.err
        assert "abcdef" not in ended.err and "word@" not in ended.err
    assert re.search(r"feed\.yaml:2: ", warehouse("run").err)
    assert not any(b"abcdef" in path.read_bytes() for path in here.rglob("*.sqlite*"))


def test_a_redirect_to_a_private_address_is_refused_and_followed_where_the_recipe_allows_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loopback(Answer(body=b"a,b\n1,2\n")) as proxy, loopback(Answer(body=b"a,b\n3,4\n")) as inner:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        proxy.always = Answer(302, headers={"Location": f"{inner.url}/latest/meta-data"})
        recipe = here / "recipes" / "sources" / "feed.yaml"
        recipe.write_text("uri: http://93.184.216.34/feed.csv\ntable: feed\n")
        ended = warehouse("run", "sources/feed")
        assert one_line(ended, 1), ended.err
        assert "http://93.184.216.34/feed.csv answers 302 a redirect to a private address" in ended.err
        assert "http.allow_private" in ended.err
        assert inner.seen == []
        assert "not_fetched" in warehouse("rejects", "feed").out
        recipe.write_text(recipe.read_text() + "http: {allow_private: true}\n")
        assert warehouse("run", "sources/feed").status == 0
        assert [seen["path"] for seen in inner.seen] == ["/latest/meta-data"]

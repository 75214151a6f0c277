"""Recipes of sources, where their objects are, and the figures that the demo ships."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
import yaml
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from warehouse.contracts import Contract, Freshness, Reject
from warehouse.errors import InputError, RecipeError
from warehouse.sources import (
    Column,
    DeltaStart,
    Dialect,
    Environment,
    Http,
    KnownAt,
    Limits,
    Located,
    Partitions,
    Source,
    dump_source,
    guess_reader,
    load_source,
    locate,
    plan_known_at,
    read,
    reader_id,
    sniff_table,
)
from warehouse.sources.recipe import ANSWERS, READER_NAMES, TYPES
from warehouse.sources.schema import source_schema, written

WRONG = {
    "uri: a\nreadr: csv": (2, "did you mean 'reader'?"),
    "uri: a\nreader: cvs": (2, "did you mean 'csv'?"),
    "reader: csv": (1, "no uri"),
    "": (1, "empty"),
    "- a": (1, "not a mapping"),
    "uri: a\nuri: b": (2, "stands twice"),
    "uri: a\ntable: No Table": (2, "lower-case"),
    "uri: a\ntable: rejects": (2, "warehouse itself"),
    "uri: a\ntable: t\ncolumns:\n  x: {type: int}": (4, "did you mean 'int64'?"),
    "uri: a\ntable: t\ncolumns:\n  x: {type: int64, format: '%Y'}": (4, "date and timestamp"),
    "uri: a\ntable: t\ncolumns:\n  x: {rename: 'A B'}": (4, "rename"),
    "uri: a\ncolumns:\n  x: int64": (3, "fields for documents"),
    "uri: a\nfields:\n  txt: body": (3, "did you mean 'text'?"),
    "uri: a\nknown_at:\n  path: '(?P<date>x'": (3, "bad regular expression"),
    "uri: a\nknown_at:\n  path: 'x'": (3, "no group 'date'"),
    "uri: a\nknown_at: {format: '%Y'}": (2, "column and path"),
    "uri: a\nknown_at: {header: Last-Modified}": (2, "without a URL"),
    "uri: http://h/x\nknown_at: {header: Date}": (2, "unknown header 'Date'"),
    "uri: [a, ftp://bucket/x]": (1, "ftp:// is not read"),
    "uri: https://user:word@h/x": (1, "a user or password"),
    "uri: https:///x": (1, "names no host"),
    "uri: https://h/x?a=1&API_Key=s": (1, "API_Key=${NAME}"),
    "uri:\n- a\n- https://h/x?a=1;token=s": (3, "token=${NAME}"),
    "uri: https://h/x?X-Amz%2DSignature=s": (1, "X-Amz-Signature"),
    "uri: https://h/x?sig=s${NAME}": (1, "sig=${NAME}"),
    "uri: https://h/x#access_token=s": (1, "access_token"),
    "uri: http://h/x\nhttp: {allow_private: maybe}": (2, "true, false"),
    "uri: a\npartitions: {kind: dynamic}": (2, "without path"),
    "uri: a\npartitions: {path: 'x', kind: dynamic}": (2, "no group 'key'"),
    "uri: a\npartitions:\n  path: '(?P<key>x)'\n  kind: dialy": (4, "did you mean 'daily'?"),
    "uri: a\npartitions: {path: '(?P<key>x)', kind: daily}": (2, "without start"),
    "uri: a\npartitions: {path: '(?P<key>x)', kind: daily, start: 2026-02-30}": (2, "is no date"),
    "uri: a\npartitions: {path: '(?P<key>x)', kind: static}": (2, "without keys"),
    "uri: a\npartitions: {path: '(?P<key>x)', kind: static, keys: [a, a]}": (2, "each once"),
    "uri: a\npartitions: {path: '(?P<key>x)', kind: static, keys: [a, 'b...c']}": (2, "'b...c'"),
    "uri: a\npartitions:\n  path: '(?P<key>x)'\n  kind: dynamic\n  start: 2026-01-01": (5, "start for dynamic"),
    "uri: a\nfresh_within: soon": (2, "36h"),
    "uri: a\nfresh_within: 59s": (2, "a minute or more"),
    "uri: a\nfresh_within: {warn: 2h, fail: 1h}": (2, "the warning first"),
    "uri: a\ninbox: 'in/*'": (2, "a folder"),
    "uri: a\nhttp: {timeout_s: 0}": (2, "from 1"),
    'uri: a\nhttp:\n  headers: {A: "x\\ny"}': (3, "header 'A'"),
    "uri: a\nmax_reject_share: 2": (2, "from 0 to 1"),
    "uri: a\nmax_reject_share: few": (2, "not a number"),
    "uri: a\nlimits: {max_ratio: 1.5}": (2, "a whole number"),
    "uri: a\nlimits: {ratio: 1}": (2, "max_ratio"),
    "uri: a\ndelta: {start: soon}": (2, "a version such as 12"),
    "uri: a\ndelta: {start: 2026-01-31}": (2, "a version such as 12"),
    "uri: a\ndialect: {delimiter: ';;'}": (2, "one character"),
    "uri: a\ndialect: {encoding: utf-9}": (2, "unknown encoding"),
    "uri: [a, {b: c}]": (1, "a path or a glob"),
    "uri: ": (1, "a path or a glob"),
    "uri: a\nname: My Source": (2, "lower-case"),
    "uri: a\nlicence:\n  - MIT": (3, "not plain text"),
    "uri: a\ntable: t\nmode: merge\nkeys: [k]": (3, "append, upsert, snapshot, scd2"),
    "uri: a\ntable: t\nmode: upsert": (3, "without keys"),
    "uri: a\ntable: t\nkeys: [k]": (3, "keys of mode append"),
    "uri: a\ntable: t\nmode: upsert\nkeys: [System]": (4, "'System'"),
    "uri: a\ntable: t\nmode: upsert\nkeys: [k, k]": (4, "each once"),
    "uri: a\nmode: upsert\nkeys: [k]": (2, "for the table documents"),
    "uri: a\ntable: t\nmode: scd2\nkeys: [k]\nknown_at: {column: at}": (5, "one time for a whole vintage"),
    "uri: a\ntable: t\nreader: delta\nkeys: [k]\nmode: snapshot": (5, "mode snapshot of a Delta table"),
    "uri: a\ntable: t\ndelta: {start: 3}\nmode: upsert\nkeys: [k]": (4, "append"),
    "uri: a\ntable: t\ncontract: {column: freeze}": (3, "did you mean 'columns'?"),
    "uri: a\ntable: t\ncontract: {columns: ignore}": (3, "evolve, freeze, discard"),
    "uri: a\ncontract: {columns: freeze}": (2, "a typed table"),
    "uri: a\nfields: [": (2, "YAML"),
    "uri: 'a": (1, "YAML"),
    "uri: a\n\tx: b": (2, "YAML"),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_recipe_is_refused_with_its_file_and_line_and_what_is_allowed(tmp_path: Path, text):
    path = tmp_path / "src.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_source(path)
    line, said = WRONG[text]
    assert re.match(rf"{re.escape(str(path))}:{line}:", str(caught.value)), str(caught.value)
    assert said in str(caught.value) and caught.value.allowed


SECRETS = """key api_key apikey API-Key subscription-key token access_token auth_token auth password passwd secret
client_secret sig signature X-Amz-Signature x-amz-credential X-Amz-Security-Token X-Goog-Signature"""
SECRET_NAMES = st.sampled_from(SECRETS.split()).flatmap(lambda name: st.sampled_from([name, name.upper()]))


@given(SECRET_NAMES, st.from_regex(r"[A-Za-z0-9]{8,20}", fullmatch=True), st.sampled_from("?&"))
def test_a_credential_in_a_url_is_refused_unshown_and_a_variable_in_its_place_is_kept(name, secret, before):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "src.yaml"
        start = "https://h/x?" if before == "?" else "https://h/x?page=2&"
        path.write_text(f"uri: {start}{name}={secret}")
        with pytest.raises(RecipeError) as caught:
            load_source(path)
        assert f"={secret}" not in str(caught.value)
        path.write_text(f"uri: {start}{name}=${{NAME}}")
        assert load_source(path).uri == (f"{start}{name}=${{NAME}}",)


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
WORDS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=12)
PATHS = WORDS.filter(lambda text: "://" not in text)
COLUMNS = st.builds(Column, st.sampled_from(TYPES), st.none(), st.none() | NAMES) | st.builds(
    Column, st.sampled_from(["date", "timestamp"]), st.none() | WORDS, st.none()
)
SOURCES = st.builds(
    Source,
    name=NAMES,
    uri=st.lists(PATHS, min_size=1, max_size=3).map(tuple),
    description=st.just("") | WORDS,
    reader=st.none() | st.sampled_from(READER_NAMES),
    licence=st.none() | WORDS,
    origin=st.none() | WORDS,
    fields=st.dictionaries(st.sampled_from(["title", "uri"]), WORDS).map(lambda extra: {"text": "text"} | extra),
    known_at=st.builds(KnownAt, column=st.none() | WORDS)
    | st.builds(KnownAt, path=st.just("(?P<date>.*)"), format=st.just("%Y")),
    max_reject_share=st.floats(0, 1),
    limits=st.builds(Limits, max_ratio=st.integers(1, 9999)),
    dialect=st.builds(Dialect, delimiter=st.sampled_from([None, ";", "\t"]), header=st.booleans()),
    environment=st.builds(Environment, max_bytes=st.integers(1, 10**9)),
    delta=st.builds(DeltaStart, st.sampled_from([None, "7", "2026-01-31T00:00:00Z"])),
    partitions=st.none()
    | st.just(Partitions("(?P<key>.*)", "dynamic"))
    | st.builds(Partitions, st.just("(?P<key>.*)"), st.sampled_from(["daily", "monthly"]), st.just("2026-01-31"))
    | st.builds(
        Partitions,
        st.just("(?P<key>.*)"),
        st.just("static"),
        keys=st.lists(st.sampled_from("abc"), min_size=1, unique=True).map(tuple),
    ),
    fresh_within=st.none()
    | st.builds(Freshness, st.integers(61, 10**6))
    | st.integers(62, 10**6).flatmap(lambda fail: st.builds(Freshness, st.just(fail), st.integers(60, fail - 1))),
    inbox=st.none() | PATHS.filter(lambda text: not re.search(r"[*?\[]", text)),
    contract=st.builds(Contract, st.sampled_from(ANSWERS), types=st.sampled_from(ANSWERS)),
    http=st.builds(Http, st.integers(1, 99), headers=st.dictionaries(st.just("Accept"), st.just("text/csv; q=1"))),
)


@settings(max_examples=100, deadline=None)
@given(SOURCES, st.dictionaries(WORDS, COLUMNS, max_size=3))
def test_a_dumped_source_loads_as_an_equal_one_and_travels_to_another_process(tmp_path_factory, source, columns):
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    keyed = replace(source, known_at=KnownAt(), table="things", mode="scd2", keys=("k", "l"))
    keyed = replace(keyed, reader="csv" if keyed.reader == "delta" else keyed.reader, delta=DeltaStart())
    for one in (replace(source, contract=Contract()), replace(source, table="things", columns=columns), keyed):
        path.write_text(dump_source(one), "utf-8")
        assert load_source(path) == one == pickle.loads(pickle.dumps(one))  # noqa: S301 - our own bytes


SCHEMA = Draft202012Validator(source_schema())
LOADER_ALONE = (
    "uri: b",
    "'(?P<date>x'",
    "uri: a\nknown_at: {header: Last",
    "https://h/x",
    "2026-02-30",
    "59s",
    "warn: 2h",
    "utf-9",
)
"""Parts of wrong recipes that only load_source refuses: keys twice, expressions, URLs, the calendar, spans, codecs."""


def plain(text: str) -> object:
    """The YAML as an editor's language server has it: dates are text."""
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)
    return loader(text).get_single_data()


@pytest.mark.parametrize("text", [text for text, (_, said) in WRONG.items() if said != "YAML"])
def test_what_the_loader_refuses_the_schema_of_editors_refuses_too(text):
    assert SCHEMA.is_valid(plain(text)) == any(part in text for part in LOADER_ALONE)


@settings(max_examples=100, deadline=None)
@given(SOURCES, st.dictionaries(WORDS, COLUMNS, max_size=3))
def test_the_schema_of_editors_allows_every_source(source, columns):
    for one in (replace(source, contract=Contract()), replace(source, table="things", columns=columns)):
        if one.uri or one.inbox:
            SCHEMA.validate(plain(dump_source(one)))


def test_the_schema_of_editors_is_that_of_the_code_and_allows_the_recipes_that_there_are(checkout: Path):
    shipped = checkout / "warehouse" / "cli" / "template" / "recipes" / "source.schema.json"
    assert shipped.read_bytes() == written()
    found = [*checkout.glob("recipes/sources/*.yaml"), *shipped.parent.glob("sources/*.yaml")]
    assert len(found) > 5
    for path in found:
        SCHEMA.validate(plain(path.read_text("utf-8")))
        assert load_source(path).name == path.stem


def files(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def uris(folder: Path, *patterns: str) -> list[str]:
    return [item.uri for item in locate(Source("s", patterns), folder)]


def test_objects_come_once_in_order_of_uri_with_uris_relative_to_the_project(tmp_path: Path):
    project, outside = tmp_path / "p", tmp_path / "o"
    files(project, "b.txt", "a/c.txt", "a/d/e.txt", "a/.hidden/x.txt", "z.csv", "a b[1].txt")
    files(outside, "q.txt")
    assert uris(project, "**/*.txt") == ["a b[1].txt", "a/c.txt", "a/d/e.txt", "b.txt"]
    assert uris(project, "a", "a/*.txt", "b.txt") == ["a/c.txt", "a/d/e.txt", "b.txt"]
    assert uris(project, "a b[1].txt") == ["a b[1].txt"]
    assert uris(project, str(outside)) == uris(project, "../o/*.txt") == [(outside / "q.txt").as_uri()]


@pytest.mark.parametrize("pattern", ["*.nothing", "missing.txt", "missing/**/*.txt"])
def test_a_pattern_that_matches_nothing_is_refused_by_name(tmp_path: Path, pattern):
    with pytest.raises(InputError, match=re.escape(pattern)):
        uris(tmp_path, pattern)


def _is_a_name(text: str) -> bool:
    return text not in (".", "..") and not text.startswith(".") and text == text.strip()


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20).filter(_is_a_name))
@settings(max_examples=40, deadline=None)
def test_a_project_may_lie_in_a_folder_of_any_name(name: str):
    with TemporaryDirectory() as above:
        folder = Path(above) / name
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "a.txt").write_text("a")
        for uri in ("data/a.txt", "data", "data/*.txt", "*/a.*"):
            assert [item.uri for item in locate(Source("s", (uri,)), folder)] == ["data/a.txt"]


def test_a_name_that_is_not_utf_8_is_spelt_in_a_file_uri_and_any_other_as_it_is(tmp_path: Path):
    names = [b"\xff.txt", b"%FF.txt", b"new\nline.txt", "\u2028.txt".encode(), b"a=b:c d.txt"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_text("text")
    uris = [item.uri for item in locate(Source("s", ("*.txt",)), tmp_path)]
    assert sorted(uris) == sorted([f"{tmp_path.as_uri()}/%FF.txt", *(name.decode() for name in names[1:])])


def test_symlinks_that_lead_out_of_a_globbed_folder_are_said_and_not_followed(tmp_path: Path):
    files(tmp_path, "in/a.txt", "out/secret.txt")
    (tmp_path / "in" / "link.txt").symlink_to(tmp_path / "out" / "secret.txt")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "same.txt").symlink_to(tmp_path / "in" / "a.txt")
    (tmp_path / "in" / "nowhere.txt").symlink_to("missing")
    source = Source("s", ("in",))
    found = list(locate(source, tmp_path))
    led = {"folder": "out", "link.txt": "out/secret.txt", "nowhere.txt": "in/missing"}
    assert [item.uri for item in found if item.link is None] == ["in/a.txt", "in/same.txt"]
    assert {item.uri: item.link for item in found if item.link} == {
        f"in/{name}": str(tmp_path / target) for name, target in led.items()
    }
    assert uris(tmp_path, "in/**/*.txt") == ["in/a.txt", "in/link.txt", "in/nowhere.txt", "in/same.txt"]
    for item in found:
        if item.link is not None:
            (said,) = read(source, item, item.path)
            assert (said.uri, said.reason, reader_id(source, item, item.path)) == (item.uri, "link_outside", "link/1")
            assert item.link in said.message


def test_what_is_reached_through_a_link_out_of_the_folder_is_said_too(tmp_path: Path):
    files(tmp_path, "in/a/x.txt", "out/x.txt")
    (tmp_path / "in" / "b").symlink_to(tmp_path / "out")
    found = {item.uri: item.link for item in locate(Source("s", ("in/*/x.txt",)), tmp_path)}
    assert found == {"in/a/x.txt": None, "in/b/x.txt": str(tmp_path / "out" / "x.txt")}


BOOKKEEPING = (".git/config", "sub/.DS_Store", "__MACOSX/._a.csv", "__MACOSX/sub/b.csv", "sub/.cache/c.csv")


def test_what_programs_keep_for_themselves_is_no_object_and_no_member(tmp_path: Path, reading):
    files(tmp_path, "in/a.csv", "in/sub/b.csv", *(f"in/{name}" for name in BOOKKEEPING))
    for pattern in ("in", "in/**/*", "in/**/*.csv"):
        assert uris(tmp_path, pattern) == ["in/a.csv", "in/sub/b.csv"]
    assert uris(tmp_path, "in/__MACOSX/sub/b.csv") == ["in/__MACOSX/sub/b.csv"], "named by itself"
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as made:
        for name in ("a.csv", "sub/b.csv", *BOOKKEEPING):
            made.writestr(name, "text\nx\n")
    found = reading(tmp_path / "z.zip", "z.zip")
    assert found.column("uri") == ["z.zip!/a.csv", "z.zip!/sub/b.csv"] and not found.rejects


@pytest.mark.parametrize("pattern", [".", "**/*.parquet", "*/p=1/*.parquet", "t/p=1/*.parquet", "t/p=1", "t/p=1/{}"])
def test_a_delta_table_is_refused_however_it_is_met(tmp_path: Path, pattern):
    write_deltalake(tmp_path / "t", pa.table({"p": [1, 1], "x": [5, 6]}), partition_by=["p"])
    DeltaTable(tmp_path / "t").delete("x = 5")
    files(tmp_path, "other/a.parquet")
    name = next((tmp_path / "t" / "p=1").glob("*.parquet")).name
    with pytest.raises(InputError, match=r"leads into a Delta table.*Allowed: .*Do: state the folder"):
        uris(tmp_path, pattern.format(name))
    assert uris(tmp_path, "other") == ["other/a.parquet"]


def test_a_delta_table_in_an_inbox_is_refused_and_in_a_zip_it_is_a_reject(tmp_path: Path, reading):
    write_deltalake(tmp_path / "inbox" / "s" / "t", pa.table({"text": ["a"]}))
    for path in (tmp_path / "inbox").rglob("*.parquet"):
        os.utime(path, (1e9, 1e9))
    files(tmp_path, "a.txt")
    with pytest.raises(InputError, match="the inbox of s leads into a Delta table, inbox/s/t"):
        uris(tmp_path, "a.txt")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as made:
        for path in sorted((tmp_path / "inbox").rglob("*.*")):
            made.write(path, path.relative_to(tmp_path))
    found = reading(tmp_path / "z.zip", "z.zip")
    assert (found.reasons, found.rows) == ({"delta_table": 1}, [])


def test_environment_variables_in_a_uri_are_expanded_and_never_shown(tmp_path: Path, monkeypatch):
    files(tmp_path, "tok3n/a.txt")
    source = Source("s", ("${PLACE}/a.txt", "${PLACE}/none.txt"))
    monkeypatch.setenv("PLACE", "tok3n")
    with pytest.raises(InputError) as caught:
        list(locate(source, tmp_path))
    assert "tok3n" not in str(caught.value) and "tok3n" not in dump_source(source)
    assert uris(tmp_path, "${PLACE}/a.txt") == ["tok3n/a.txt"]
    monkeypatch.delenv("PLACE")
    with pytest.raises(InputError, match="PLACE is not set"):
        list(locate(source, tmp_path))


def test_known_at_comes_from_the_path_in_utc_and_a_uri_without_it_is_refused():
    source = Source("s", ("x",), known_at=KnownAt(path=r"/(?P<date>\d{8}T\d{4}[+-]\d{4})\.", format="%Y%m%dT%H%M%z"))
    place = Located("a/20240131T0100+0200.csv", Path("x"), 0)
    assert plan_known_at(source, place) == datetime(2024, 1, 30, 23, 0, tzinfo=UTC)
    assert plan_known_at(Source("s", ("x",)), place) is None
    for uri in ("a/other.csv", "a/20249931T0100+0200.csv"):
        with pytest.raises(InputError, match=re.escape(uri)):
            plan_known_at(source, replace(place, uri=uri))


def test_readers_and_tables_are_guessed_from_name_then_content(tmp_path: Path):
    cases = {
        "a.jsonl.gz": (b'{"text": "x"}\n', "jsonl", "documents"),
        "b.csv": (b"text,n\nhello,1\n", "csv", "documents"),
        "Web Traffic.csv": (b"n\n1\n", "csv", "web_traffic"),
        "nothing": (b'{"a": 1}\n', "jsonl", "nothing"),
        "c.md": (b"# x", "text", "documents"),
        "empty.csv": (b"", "csv", "empty"),
        "9 lives.csv": (b"a\nb\n", "csv", "c9_lives"),
    }
    for name, (data, reader, table) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert (guess_reader(path), sniff_table(path)) == (reader, table), name
    for name, inside in {"m.zip": {"LICENSE.txt": "x", "n.csv": "a\n1\n"}, "d.zip": {"a.md": "x"}}.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member, text in inside.items():
                archive.writestr(member, text)
    assert (sniff_table(tmp_path / "m.zip"), sniff_table(tmp_path / "d.zip")) == ("m", "documents")
    assert (guess_reader(tmp_path / "m.zip"), guess_reader(tmp_path / "d.zip")) == ("text", "text")
    (tmp_path / "x.bin").write_bytes(b"\0\1")
    with pytest.raises(InputError, match=r"\.parquet"):
        guess_reader(tmp_path / "x.bin")


def test_a_reader_has_a_name_and_a_version(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"a,b\n")
    place = Located("a.csv.gz", tmp_path / "x", 4)
    assert reader_id(Source("s", ("x",)), place, place.path) == "csv/4"
    assert reader_id(Source("s", ("x",), reader="jsonl"), place, place.path) == "jsonl/2"
    assert reader_id(Source("s", ("x",)), replace(place, uri="a.zip"), place.path).startswith("mixed/")


ROWS = {
    "ai_chips": 352,
    "cloud_carbon": 40,
    "cpu_power": 4899,
    "grid_carbon": 213,
    "inference_trace": 6418,
    "infrastructure_facts": 15,
}


@pytest.mark.parametrize("name", ROWS)
def test_the_projects_own_figures_are_read_whole(checkout: Path, name):
    source = load_source(checkout / "recipes" / "sources" / f"{name}.yaml")
    rows, rejects, schemas = 0, Counter(), []
    for item in locate(source, checkout):
        lines = item.path.read_bytes().count(b"\n") - 1 + (not item.path.read_bytes().endswith(b"\n"))
        before = rows + rejects.total()
        for found in read(source, item, item.path):
            if isinstance(found, Reject):
                rejects[found.reason] += 1
            else:
                rows += found.num_rows
                schemas.append(found.schema)
        assert rows + rejects.total() - before == lines, item.uri
    assert rows == ROWS[name]
    assert rejects == ({"type_mismatch": 4} if name == "cpu_power" else {})  # its file says 27.29.5 and the like
    kinds = {(item.name, item.type) for schema in schemas for item in schema}
    assert len(kinds) == len({column for column, _ in kinds})


def test_vintages_of_the_chip_figures_are_those_that_their_notes_state(checkout: Path):
    source = load_source(checkout / "recipes" / "sources" / "ai_chips.yaml")
    for item in locate(source, checkout):
        stated = set(re.findall(r"generated on: (\d\d-\d\d-\d{4})", item.path.read_text("utf-8")))
        assert {f"{plan_known_at(source, item):%m-%d-%Y}"} == stated, item.uri


def test_every_sample_file_is_small_and_stands_in_the_readme_with_its_licence(checkout: Path):
    folder = checkout / "sample"
    readme = (folder / "README.md").read_text("utf-8")
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in ("README.md", "LICENSE"):
            assert path.stat().st_size <= 400_000 and f"| {path.relative_to(folder).as_posix()} |" in readme
            assert not re.search(rb"[\w.]+@[\w-]+\.\w+", path.read_bytes())
    for licence in re.findall(r"(\S+/LICENSE) ", readme):
        assert (folder / licence).is_file()

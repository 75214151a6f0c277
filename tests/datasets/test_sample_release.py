"""Releases of samples of any columns: every byte of a column is the source's, in MDS and in each target beside it."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_world import export_rows

from warehouse import query
from warehouse.answers.proof import readable
from warehouse.datasets import Release, TableManifest, TableRecipe, load_recipe, read_row, rebuild, verify
from warehouse.datasets import samples as mds
from warehouse.datasets.table_recipe import SAMPLE_TARGETS, resolved_table
from warehouse.errors import FormatError, IntegrityError, NotFound, RecipeError
from warehouse.loader import RecordLoader, TableLoader, pull
from warehouse.manifest import CARDS, read_manifest

SELECT = """SELECT range AS number, 'page ' || range || ' ünï' AS caption, md5(range::VARCHAR)::BLOB AS image,
       CASE WHEN range % 5 = 0 THEN ''::BLOB ELSE repeat(chr(0) || 'PNG', range * 40)::BLOB END AS sound,
       range(range % 4) AS steps, [range / 3, 'nan'::DOUBLE] AS vector, ['a', 'ü' || range] AS words,
       range % 2 = 0 AS even, range::UTINYINT AS small, range / 8 AS share, DATE '2026-01-01' + range::INTEGER AS day,
       TIMESTAMPTZ '2026-01-01' + to_minutes(range) AS moment, TIMESTAMP '2026-01-01' AS plain,
       ['MIT', 'CC-BY-4.0'][1 + range % 2] AS licence, 'https://a.org/' || range AS uri
FROM range(90)"""
RECIPE = TableRecipe(
    "pages", SELECT, ("number",), splits=(("train", 0.7), ("test", 0.3)), shards=3, kind="samples", time="moment"
)
LEFT_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""webdataset leaves its tar files to be closed by the garbage collector."""

Make = Callable[..., Release[TableManifest]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(recipe: TableRecipe = RECIPE, *, out: str = "out") -> Release[TableManifest]:
        return export_rows(recipe, tmp_path / out)

    return made


def selected() -> dict[int, dict[str, Any]]:
    with query.connect() as con:
        return {row["number"]: row for row in query.arrow(con, SELECT).to_pylist()}


def decoded(raw: bytes, encoding: str) -> Any:
    """A value by the description of its encoding (mosaicml-streaming, streaming/base/format/mds/encodings.py)."""
    if encoding == "bytes":
        return raw
    if encoding in ("str", "json"):
        return raw.decode() if encoding == "str" else json.loads(raw)
    if encoding.startswith("ndarray:"):
        sides, width = divmod(raw[0], 4)
        end = 1 + sides * 2**width
        shape = np.frombuffer(raw[1:end], f"<u{2**width}")
        return np.frombuffer(raw[end:], encoding.removeprefix("ndarray:")).reshape(shape).tolist()
    return np.frombuffer(raw, encoding)[0].item()


def read_mds(path: Path) -> Iterator[dict[str, Any]]:
    """The samples of a file by the description of MDS 2."""
    held = path.read_bytes()
    (count,) = struct.unpack_from("<I", held)
    ends = struct.unpack_from(f"<{count + 1}I", held, 4)
    stated = json.loads(held[4 * (count + 2) : ends[0]])
    for start in ends[:-1]:
        sizes, at = [], start
        for size in stated["column_sizes"]:
            sizes.append(size or struct.unpack_from("<I", held, at)[0])
            at += 0 if size else 4
        sample = {}
        for name, encoding, size in zip(stated["column_names"], stated["column_encodings"], sizes, strict=True):
            sample[name] = decoded(held[at : at + size], encoding)
            at += size
        yield sample
    assert not count or at == len(held)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as MDS has it: times as text, booleans as numbers."""
    texts = {name: value.isoformat() for name, value in row.items() if isinstance(value, date)}
    return {**row, **texts, "even": int(row["even"]), "vector": [row["vector"][0], None]}


def test_every_selected_row_is_a_sample_of_one_split_with_its_bytes(make: Make) -> None:
    release = make()
    found = [sample for path in sorted(release.path.glob("*/*.mds")) for sample in read_mds(path)]
    for sample in found:
        assert np.isnan(sample["vector"].pop())
        sample["vector"].append(None)
    expected = selected()
    assert sorted(found, key=lambda sample: sample["number"]) == [plain(expected[number]) for number in range(90)]
    for split, value in release.manifest.splits.items():
        entries = json.loads((release.path / split / "index.json").read_text())["shards"]
        assert value.samples == sum(entry["samples"] for entry in entries)


VALUES = st.fixed_dictionaries({
    "a": st.binary(max_size=300),
    "b": st.text(max_size=20),
    "c": st.integers(-(1 << 63), (1 << 63) - 1),
    "d": st.lists(st.integers(0, 255), max_size=300),
    "e": st.lists(st.text(max_size=5), max_size=4),
    "f": st.floats(width=32),
    "g": st.datetimes(timezones=st.just(UTC)),
    "h": st.booleans(),
})  # fmt: skip
KINDS = pa.schema([
    ("b", pa.string()), ("a", pa.binary()), ("c", pa.int64()), ("d", pa.large_list(pa.uint8())),
    ("e", pa.list_(pa.string())), ("f", pa.float32()), ("g", pa.timestamp("us", "Europe/Paris")), ("h", pa.bool_()),
])  # fmt: skip


@given(st.lists(VALUES, max_size=12))
@settings(max_examples=30, deadline=None)
def test_what_a_shard_holds_is_what_was_written_by_two_readers(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("shard")
    table = mds.releasable(pa.Table.from_pylist(rows, schema=KINDS), at="here")
    path = folder / mds.shard_name("train", 0)
    mds.write_shard(path, table, at="here")
    again = mds.read_shard(path, mds.layout(table))
    assert mds.holds(path, table) and not mds.holds(path, table.slice(1) if rows else table.drop_columns(["b"]))
    assert again.schema == table.schema
    np.testing.assert_equal(again.to_pylist(), table.to_pylist())
    expected = [{**row, "g": row["g"].isoformat(), "h": int(row["h"])} for row in rows]
    np.testing.assert_equal(list(read_mds(path)), expected)
    for at in range(len(rows)):
        one = mds.read_shard(path, mds.layout(table), slice(at, at + 1))
        np.testing.assert_equal(one.to_pylist(), table.slice(at, 1).to_pylist())


def test_the_order_of_the_select_changes_no_byte(make: Make) -> None:
    one, other = make(), make(replace(RECIPE, select=f"FROM ({SELECT}) ORDER BY random()"), out="other")
    content = [
        {p: f.sha256 for p, f in r.manifest.files.items() if not p.startswith(("recipe", *CARDS))} for r in (one, other)
    ]
    assert content[0] == content[1]


def test_a_release_of_samples_verifies_and_comes_out_the_same_again(make: Make) -> None:
    release = make(replace(RECIPE, targets=SAMPLE_TARGETS))
    assert verify(release.path).id == rebuild(release.path).id == release.id
    assert load_recipe(release.path / "recipe" / "recipe.yaml").kind == "samples"
    path = release.path / "train" / "shard.00000.mds"
    raw = path.read_bytes()
    path.write_bytes(raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:])
    with pytest.raises(IntegrityError, match=r"shard\.00000\.mds: block 0"):
        verify(release.path)


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_record_loader_gives_every_sample_of_a_release_once_by_its_id(make: Make, split: str) -> None:
    release = make()
    loader = RecordLoader(release.path, split=split, batch=4, drop_last=False)
    rows = selected()
    for batch in loader.batches():
        for number, record in zip(batch.samples, batch.records, strict=True):
            row = rows.pop(record["number"])
            assert (record["caption"], record["image"], record["sound"]) == (row["caption"], row["image"], row["sound"])
            assert read_row(release.path, split, int(number))["number"] == row["number"]
    assert len(rows) == 90 - release.manifest.splits[split].samples
    assert loader.state()["dataset"] == release.id
    with (release.path / split / "index.json").open("ab") as index:
        index.write(b" ")
    with pytest.raises(IntegrityError, match=rf"{split}/index\.json: "):
        RecordLoader(release.path, split=split, batch=4)


@LEFT_OPEN
def test_each_target_has_the_bytes_of_every_sample(make: Make) -> None:
    release, expected = make(replace(RECIPE, targets=SAMPLE_TARGETS)), selected()
    targets = release.path / "targets"
    for split, samples in ((name, value.samples) for name, value in release.manifest.splits.items()):
        rows = [read_row(release.path, split, at) for at in range(samples)]
        np.testing.assert_equal(rows, [expected[row["number"]] for row in rows])
        paths = sorted(map(str, (targets / "webdataset").glob(f"{split}-*.tar")))
        tars = list(webdataset.WebDataset(paths, shardshuffle=False))
        table = pa.concat_tables(map(pq.read_table, sorted((targets / "parquet" / "data").glob(f"{split}-*"))))
        np.testing.assert_equal(table.to_pylist(), rows)
        texts = [path.read_text() for path in sorted((targets / "jsonl").glob(f"{split}-*"))]
        lines = [line for text in texts for line in text.splitlines()]
        for tar, row, line in zip(tars, rows, lines, strict=True):
            said = json.loads(line)
            for name in ("image", "sound"):
                assert tar[name] == base64.b64decode(said.pop(name)) == row[name]
            assert json.loads(tar["json"]) == said and said["moment"] == row["moment"].isoformat()


def test_samples_are_found_by_their_texts_and_no_row_loader_takes_them(make: Make, tmp_path: Path) -> None:
    release = make()
    texts = {text for path in release.path.glob("*/*.mds") for text in readable(path)}
    assert {row["caption"] for row in selected().values()} <= texts
    for read in (lambda: TableLoader(release.path, batch=4), lambda: read_manifest(release.path)):
        with pytest.raises(FormatError, match=r"holds (samples of any columns|rows of a table)"):
            read()
    part = pull(release.path, tmp_path / "part", splits=("train",), rank=1, world=3)
    held = sorted(path.name for path in (tmp_path / "part" / "train").iterdir())
    assert held == ["shard.00001.mds"] and part.id.endswith("1of3")
    with pytest.raises(NotFound, match="holds a part of a release"):
        RecordLoader(part.path, batch=4)


def test_cards_of_samples_state_columns_licences_and_whom_to_name(make: Make) -> None:
    release = make()
    owed, readme = ((release.path / name).read_text("utf-8") for name in ("ATTRIBUTION.md", "README.md"))
    assert "| CC-BY-4.0 | 45 | 50.00% | credit |" in owed and "https://a.org/89" in owed
    assert "| image | large_binary | `bytes` |" in readme and "StreamingDataset(" in readme


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("SELECT 1 AS number, NULL::BLOB AS image", r"pages\.yaml:3: column image has 1 null.*MDS knows no null"),
        ("SELECT 1 AS number, [1, NULL] AS steps", r"column steps has 1 null"),
        ("SELECT 1 AS number, {'a': 1} AS both", r"column both is struct.*lists of VARCHAR.*CAST it"),
        ("SELECT 1 AS number, 1.5::DECIMAL(4, 1) AS price", r"column price is decimal"),
        ("SELECT 'a'::BLOB AS number", r"number is large_binary"),
        ("SELECT [1] AS number", r"number is list"),
        ("SELECT 1 AS number, 'a'::BLOB AS Image", r"column Image of bytes.*small letters"),
        ("SELECT 1 AS number, 'a'::BLOB AS json", r"column json of bytes"),
    ],
)
def test_what_no_sample_holds_is_refused_with_its_place(make: Make, select: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make(replace(RECIPE, select=select, time=None, targets=("webdataset",), at="pages.yaml:3"))


def test_a_shard_above_the_reach_of_its_offsets_is_refused(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mds, "MOST_BYTES", 2000)
    with pytest.raises(RecipeError, match=r"recipe: a shard of [\d,]+ bytes. Allowed: 2,000. .*more shards"):
        make()


GOOD = "kind: samples\nselect: SELECT 1 AS a\nkey: [a]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "targets: [mds]\n", r"mine\.yaml:4: targets is \['mds'\].*webdataset, parquet, litdata, jsonl"),
        (GOOD.replace("samples", "table") + "targets: [parquet]\n", r"mine\.yaml:4: targets .*webdataset, jsonl"),
        (GOOD + "credits: {url: a.org}\n", r"mine\.yaml:4: url is 'a\.org'.*https://"),
        (GOOD + "credits: {published: soon}\n", r"mine\.yaml:4: published is 'soon'.*2026-01-31"),
        (GOOD + "credits: {maker: me}\n", r"mine\.yaml:4: unknown key 'maker'.*creator, citation, url, published"),
        (GOOD.replace("key: [a]\n", ""), r"mine\.yaml:1: no key"),
    ],
)
def test_a_recipe_of_samples_is_refused_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(RecipeError, match=message):
        load_recipe(tmp_path / "mine.yaml")


def test_a_recipe_of_samples_written_out_is_the_same_recipe(tmp_path: Path) -> None:
    credited = "credits: {creator: A maker, published: 2026-01-31}\n"
    (tmp_path / "mine.yaml").write_text(GOOD + credited + "targets: [parquet]\n")
    recipe = load_recipe(tmp_path / "mine.yaml")
    (tmp_path / "again.yaml").write_text(resolved_table(recipe))
    again = load_recipe(tmp_path / "again.yaml")
    assert replace(again, entity=()) == recipe and recipe.credits.published == "2026-01-31"

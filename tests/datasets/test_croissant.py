"""croissant.json is what MLCommons' own library takes for Croissant, and by it the records are those of the files."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import absl.logging
import mlcroissant
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from chat_world import RECIPE as CHATS
from chat_world import conversations, export
from test_masks import spans_of
from tiny_world import export_rows

from warehouse import query
from warehouse.datasets import Release, TableRecipe
from warehouse.datasets.credits import Credits

# mlcroissant loads absl, whose handler closes the stream that it found, here pytest's, when logging is set up anew.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

pytestmark = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated"),  # rdflib's own parser of JSON-LD uses it
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.reset_index"),  # mlcroissant uses it
]
CREDITS = Credits("A maker", "@misc{made}", "https://made.org/data", "2026-01-31")
COLUMNS = """SELECT range AS number, 'name ' || range AS name, range / 8 AS share, CAST(range AS UTINYINT) AS small,
       range % 2 = 0 AS even, DATE '2026-01-01' + CAST(range AS INTEGER) AS day,
       CASE WHEN range % 3 > 0 THEN TIMESTAMPTZ '2026-01-01' + to_minutes(range) END AS moment
FROM range(40)"""


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory, recipe: Any, make_world: Any, make_row: Any) -> Release:
    texts = [f"Write to me{n}@made.org, or to nobody. " * (3 + n % 5) for n in range(40)]
    rows = [make_row(n, text, licence=["MIT", "CC-BY-4.0", None][n % 3]) for n, text in enumerate(texts)]
    world = make_world(tmp_path_factory.mktemp("world"), rows)
    stated = replace(recipe, targets=("parquet", "jsonl"), credits=CREDITS, mask=("email",))
    return world.export(stated, snapshot_pii=spans_of(world.folder, rows))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Release:
    recipe = TableRecipe(
        "rows", COLUMNS, ("number",), splits=(("train", 0.6), ("test", 0.4)), shards=2, credits=CREDITS
    )
    licences = {"shops": "CC-BY-4.0", "owners": "unknown"}
    return export_rows(recipe, tmp_path_factory.mktemp("rows"), licences=licences)


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return export(
        tmp_path_factory.mktemp("chats"),
        conversations(40),
        replace(CHATS, targets=("parquet", "jsonl"), credits=CREDITS),
    )


def opened(release: Release, caplog: pytest.LogCaptureFixture) -> mlcroissant.Dataset:
    """The release as mlcroissant reads it, which raises for what is wrong and logs what is missing: nothing."""
    with caplog.at_level(logging.WARNING):
        found = mlcroissant.Dataset(release.path / "croissant.json")
    assert not found.metadata.issues.errors and not found.metadata.issues.warnings
    assert not caplog.records
    return found


def records(found: mlcroissant.Dataset, name: str) -> Iterator[dict[str, Any]]:
    for record in found.records(record_set=name):
        yield {key.removeprefix(f"{name}/"): plain(value) for key, value in record.items()}


def plain(value: Any) -> Any:
    """A value as Parquet's reader gives it: mlcroissant has bytes for texts, and pandas' and numpy's own numbers."""
    if isinstance(value, dict):
        return {key.rpartition("/")[2]: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.decode() if isinstance(value, bytes) else value.item() if isinstance(value, np.generic) else value


@pytest.mark.parametrize("kind", ["tokens", "rows", "chats"])
def test_mlcroissant_finds_nothing_wrong_and_every_file_with_its_hash(
    kind: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    release = request.getfixturevalue(kind)
    files = {each.id: each for each in opened(release, caplog).metadata.distribution if hasattr(each, "sha256")}
    on_disk = {path.relative_to(release.path).as_posix() for path in release.path.rglob("*") if path.is_file()}
    cards = {"README.md", "croissant.json", "ATTRIBUTION.md"}
    assert set(files) == on_disk - cards - {"manifest.json", "run.json"} and cards <= on_disk
    for path, each in files.items():
        content = (release.path / path).read_bytes()
        assert (each.sha256, each.content_size) == (hashlib.sha256(content).hexdigest(), f"{len(content)} B")


def test_the_records_of_documents_are_the_rows_of_the_table(tokens: Release, caplog: pytest.LogCaptureFixture) -> None:
    found = list(records(opened(tokens, caplog), "documents"))
    assert found == pq.read_table(tokens.path / "documents.parquet").to_pylist()
    assert any(row["masked"] for row in found)


def test_the_records_of_targets_are_the_samples_and_texts(tokens: Release, caplog: pytest.LogCaptureFixture) -> None:
    found = opened(tokens, caplog)
    samples = np.array([row["input_ids"] for row in records(found, "samples")])
    data = sorted(tokens.path / shard.data for split in tokens.manifest.splits.values() for shard in split.shards)
    ids = np.concatenate([np.fromfile(path, tokens.manifest.dtype) for path in data])
    np.testing.assert_array_equal(samples, ids.reshape(-1, tokens.manifest.sequence_length))
    lines = [line for path in sorted(tokens.path.glob("targets/jsonl/*")) for line in path.read_text().splitlines()]
    assert list(records(found, "texts")) == [json.loads(line) for line in lines]


def test_the_records_of_conversations_are_those_that_go_out(chats: Release, caplog: pytest.LogCaptureFixture) -> None:
    found = opened(chats, caplog)
    frozen = {row["doc_id"]: row for row in pq.read_table(chats.path / "documents.parquet").to_pylist()}
    sent = {doc_id: row for doc_id, row in frozen.items() if row["left_out"] is None}
    for name in ("conversations", "lines"):
        rows = {row["doc_id"]: row for row in records(found, name)}
        assert rows.keys() == sent.keys()
        assert all(row == {column: sent[doc_id][column] for column in row} for doc_id, row in rows.items())


def test_the_records_of_rows_are_the_rows(rows: Release, caplog: pytest.LogCaptureFixture) -> None:
    with query.connect() as con:
        expected = query.arrow(con, COLUMNS).to_pylist()
    found = sorted(records(opened(rows, caplog), "rows"), key=lambda row: row["number"])
    assert [row | {"day": row["day"].date()} for row in found] == expected


def test_what_the_recipe_credits_and_the_licences_stand_there(
    tokens: Release, rows: Release, caplog: pytest.LogCaptureFixture
) -> None:
    metadata = opened(tokens, caplog).metadata
    assert (metadata.cite_as, metadata.url, metadata.date_published) == (
        CREDITS.citation,
        CREDITS.url,
        datetime(2026, 1, 31),
    )
    assert metadata.creators[0].name == CREDITS.creator
    assert set(metadata.license) == {
        "https://spdx.org/licenses/MIT.html",
        "https://creativecommons.org/licenses/by/4.0/",
    }
    assert opened(rows, caplog).metadata.license == ["https://creativecommons.org/licenses/by/4.0/"]
    assert metadata.version == f"1.0.0+{tokens.id}" and metadata.ctx.is_live_dataset is False
    assert metadata.data_collection_timeframe == [datetime(2025, 1, 1, tzinfo=UTC)]

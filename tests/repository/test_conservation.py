"""rows_in = rows_out + unchanged + rejected + dropped, whatever comes in; and what happens when it would not hold."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import day, documents, ingest, leftovers, reject, rows, stored

from warehouse.contracts import DOCUMENTS, Dropped, Receipt
from warehouse.errors import ConservationError, InputError, UsageError
from warehouse.repository import Repository, ingestion
from warehouse.repository.parts import Stage
from warehouse.repository.writing import land

TEXTS = st.lists(st.none() | st.sampled_from(["a", "b", "c"]), max_size=4)
READINGS = st.lists(TEXTS | st.integers(0, 3), max_size=4)
OBJECTS = st.lists(READINGS, min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(OBJECTS, st.integers(1, 3))
def test_every_document_that_comes_in_is_a_row_or_counted_with_its_reason(
    objects: list[list[list[str | None] | int]], per_commit: int
) -> None:
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingestion, "COMMIT_OBJECTS", per_commit)
        repository = Repository(Path(root))
        made = [
            (f"u{at}", f"s{at}", day(1), [reject(str(r)) if isinstance(r, int) else documents(r) for r in readings])
            for at, readings in enumerate(objects)
        ]
        receipts = ingest(repository, made)
        texts = [list(enumerate(r)) for readings in objects for r in readings if isinstance(r, list)]
        wanted = {(record, text) for batch in texts for record, text in batch if text is not None}
        nulls = sum(text is None for batch in texts for _, text in batch)
        numbers = sum(isinstance(r, int) for readings in objects for r in readings)
        total = Counter()
        for receipt in receipts:
            assert receipt.balanced
            total += Counter(rows_in=receipt.rows_in, out=receipt.rows_out, rejected=receipt.rejected)
        assert total["rows_in"] == sum(map(len, texts)) + numbers
        assert total["out"] == len(wanted) == repository.snapshot("documents").rows
        assert total["rejected"] == nulls + numbers
        assert {(int(row["record"]), row["text"]) for row in stored(repository, "documents")} == wanted
        assert repository.receipts("documents") == receipts
        assert leftovers(Path(root)) == []


def test_drops_are_counted_by_reason_in_the_receipt_and_are_no_part_of_the_judged(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    drops = [Dropped("doc", str(at), "redirect" if at % 2 else "image") for at in range(5)]
    objects = [("u", "s", day(1), [documents(["a"]), *drops, reject("9")])]
    with pytest.raises(InputError, match=r"1 of 2 records were rejected \(50.0%\)"):
        ingest(repository, objects, share=0.4)
    receipt = ingest(repository, objects, share=0.5)[0]
    assert (receipt.rows_in, receipt.rows_out, receipt.rejected, receipt.dropped) == (7, 1, 1, 5)
    assert receipt.drops == {"redirect": 2, "image": 3}
    assert receipt.objects[0].dropped == 5
    assert repository.receipts("documents") == [receipt]


def test_an_object_of_drops_alone_is_current_afterwards(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    objects = [("u", "s", day(1), [Dropped("doc", "0", "no_text")])]
    assert [receipt.dropped for receipt in ingest(repository, objects)] == [1]
    assert ingest(repository, objects) == []


def test_a_write_whose_sum_is_off_fails_and_is_not_visible(tmp_path: Path) -> None:
    folder = tmp_path / "repository" / "documents"
    off = Receipt("id", "documents", "s", "r", day(1), rows_in=3, rows_out=1, rejected=1)
    with pytest.raises(ConservationError, match="3 rows came in, but 1 were written, 0 unchanged, 1 rejected"):
        land(Stage(folder, "id"), DOCUMENTS, [], off)
    assert Repository(tmp_path).tables() == []


def test_too_many_rejects_commit_the_rejects_but_not_the_table(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    bad = [("u", "a", day(1), [documents(["x"] * 17), *(reject(str(at)) for at in range(3))])]
    said = r"source src: 3 of 20 records were rejected \(15.0%\), most as .*warehouse rejects src"
    with pytest.raises(InputError, match=said):
        ingest(repository, bad, share=0.1)
    assert repository.tables() == ["rejects"]
    assert repository.snapshot("rejects").rows == 3
    assert leftovers(tmp_path) == []
    (receipt,) = ingest(repository, bad, share=0.15)
    assert (receipt.rows_in, receipt.rejected) == (20, 3)
    assert repository.snapshot("rejects").rows == 3


def test_the_share_of_rejects_is_that_of_the_run_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingestion, "COMMIT_OBJECTS", 1)
    objects = [
        ("good", "a", day(1), [documents(["x"] * 9)]),
        ("bad", "b", day(1), [reject("0")]),
        ("worse", "c", day(1), [reject("1"), reject("2")]),
    ]
    with pytest.raises(InputError, match="3 of 12 records"):
        ingest(Repository(tmp_path), objects, share=0.1)
    assert list(Repository(tmp_path).current_objects("documents", "src")) == ["good", "bad"]


def test_a_reject_keeps_where_it_was_and_its_first_bytes(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    ingest(repository, [("u", "a", day(1), [reject("4")])])
    (row,) = stored(repository, "rejects")
    assert (row["uri"], row["record"], row["position"], row["reason"]) == ("doc", "4", 7, "bad_line")
    assert (row["first_bytes"], row["known_at"], row["object_sha256"]) == (b"x" * 200, day(1), "a")


def test_nothing_of_a_block_that_raises_becomes_visible(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    with (
        pytest.raises(KeyError),
        repository.ingestion(table="typed", source="s", run_id="r") as ingestion_,
    ):
        ingestion_.add("u", "a", 1, day(1), "x@1", [rows(x=[1, 2])])
        raise KeyError
    assert repository.tables() == []
    assert leftovers(tmp_path) == []


def test_an_ingestion_that_failed_takes_nothing_more_even_if_the_error_was_caught(tmp_path: Path) -> None:
    repository = Repository(tmp_path)

    def torn() -> object:
        yield documents(["half"])
        raise InputError("torn")

    with repository.ingestion(table="documents", source="s", run_id="r") as ingestion_:
        with pytest.raises(InputError):
            ingestion_.add("u", "a", 1, day(1), "x@1", torn())
        with pytest.raises(UsageError, match="has ended"):
            ingestion_.add("v", "b", 1, day(1), "x@1", [])
        assert ingestion_.finish() == []
    assert repository.tables() == []


def test_keys_already_in_the_table_or_earlier_in_the_call_are_unchanged(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    schema = pa.schema([("doc_id", pa.string()), ("ordinal", pa.int32())])

    def append(*pairs: tuple[str, int]) -> Receipt:
        ids, ordinals = zip(*pairs, strict=True)
        batch = pa.RecordBatch.from_pydict({"doc_id": ids, "ordinal": ordinals}, schema=schema)
        return repository.append(
            "paragraphs", [batch], schema=schema, source="s", run_id="r", keys=("doc_id", "ordinal")
        )

    one, two = "0" * 32, "f" * 32
    assert append((one, 0), (one, 1), (one, 0), (two, 0)).unchanged == 1
    again = append((one, 1), (two, 1), (one, 0))
    assert (again.rows_out, again.unchanged, again.version) == (1, 2, 1)
    nothing = append((two, 1))
    assert (nothing.rows_out, nothing.unchanged, nothing.version) == (0, 1, -1)
    assert repository.snapshot("paragraphs").version == 1

"""What lies inside an object: the same records whatever is around them, and no bomb gets through."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from warehouse.errors import WarehouseError
from warehouse.sources import Limits
from warehouse.sources.guard import guarded

LINES = b"".join(b'{"text": "document %d"}\n' % at for at in range(2000))


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


SKIPPED = b"\x5a\x2a\x4d\x18\x04\0\0\0skip"
"""A frame of zstd that holds no data."""


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def parquet(columns: dict[str, list]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (gzip.compress(LINES), "a.jsonl.gz"),
        (zstd(LINES), "a.jsonl.zst"),
        (zstd(LINES[: len(LINES) // 2]) + zstd(LINES[len(LINES) // 2 :]), "a.jsonl.zst"),
        (SKIPPED + zstd(LINES[:99]) + SKIPPED + SKIPPED + zstd(LINES[99:]) + SKIPPED, "a.jsonl"),
        (gzip.compress(LINES[:9]) + gzip.compress(LINES[9:]), "a.jsonl.gz"),
        (gzip.compress(zstd(LINES)), "a.jsonl.zst.gz"),
        (gzip.compress(LINES), "a.jsonl"),
    ],
)
def test_records_are_the_same_whatever_is_around_them(reading, data, name):
    plain, packed = reading(LINES, "a.jsonl"), reading(data, name)
    assert plain.column("text") == packed.column("text") and not packed.rejects
    assert plain.column("record") == packed.column("record")


def test_members_of_a_zip_are_read_in_order_of_name_each_by_its_own_format(reading):
    files = {
        "b/t.txt": b"prose",
        "a.jsonl": b'{"text": "x"}\n',
        "c.bin": b"\x01\x02",
        "z.zip": zipped({"i.md": b"# T\n"}),
    }
    result = reading(zipped(files), "in/a.zip")
    assert [(row["uri"], row["text"]) for row in result.rows] == [
        ("in/a.zip!/a.jsonl", "x"),
        ("in/a.zip!/b/t.txt", "prose"),
        ("in/a.zip!/z.zip!/i.md", "# T\n"),
    ]
    assert [(reject.uri, reject.reason) for reject in result.rejects] == [("in/a.zip!/c.bin", "unknown_format")]


def test_rows_of_two_members_never_share_a_record(reading):
    result = reading(zipped({"a.csv": b"x\n1\n2\n", "b.csv": b"x\n3\n"}), "a.zip", table="t")
    assert result.column("_record") == ["a.csv!0", "a.csv!1", "b.csv!0"] and result.column("x") == [1, 2, 3]


def test_parquet_inside_gzip_and_zip_is_read(reading):
    data = parquet({"text": ["a", "b"]})
    assert reading(gzip.compress(data), "a.parquet.gz").column("text") == ["a", "b"]
    assert reading(zipped({"p.parquet": data}), "a.zip").column("text") == ["a", "b"]


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
@pytest.mark.parametrize("table", ["documents", "t"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_cut_object_is_one_reject_beside_the_records_that_were_readable(reading, pack, table, share):
    texts = [os.urandom(40).hex() for _ in range(40_000)]
    for name, lines in (
        ("a.jsonl", [f'{{"text": "{text}"}}\n' for text in texts]),
        ("a.csv", ["text,n\n", *(f"x{text},1\n" for text in texts)]),
    ):
        whole = pack("".join(lines).encode())
        result = reading(whole[: int(len(whole) * share)], name, table=table)
        assert [reject.reason for reject in result.rejects] == ["truncated"]
        found = [text.removeprefix("x") for text in result.column("text")]
        assert found == texts[: len(found)] and len(texts) * (share - 0.4) <= len(found) < len(texts), name


def test_a_damaged_object_is_a_reject(reading):
    data = bytearray(gzip.compress(os.urandom(4000).hex().encode()))
    data[500:900] = bytes(400)
    assert reading(bytes(data), "a.jsonl.gz").reasons.keys() <= {"corrupt", "invalid_json"}
    assert reading(b"PK\x03\x04 no zip", "a.zip").reasons == {"not_zip": 1}
    assert reading(zstd(LINES)[:6] + b"\xff" * 50, "a.jsonl.zst").rejects[-1].reason in ("corrupt", "truncated")


def test_an_encrypted_member_is_a_reject(reading):
    data = bytearray(zipped({"a.txt": b"secret"}))
    for at in (6, data.index(b"PK\x01\x02") + 8):
        data[at] |= 1
    assert reading(bytes(data), "a.zip").reasons == {"encrypted": 1}


@pytest.mark.parametrize("pack", [gzip.compress, zstd, lambda data: zipped({"a.jsonl": data})])
def test_a_bomb_is_too_large_and_costs_little_memory(reading, pack):
    bomb = pack(b" " * (64 << 20))
    result = reading(bomb, "a.zip" if bomb[:2] == b"PK" else "a.jsonl", limits=Limits(max_ratio=100))
    assert result.reasons == {"too_large": 1}


def test_containers_in_containers_end_somewhere(reading):
    data = LINES
    for _ in range(8):
        data = gzip.compress(data)
    assert reading(data, "a.jsonl").reasons == {"too_deep": 1}


def test_the_absolute_limit_holds_too(reading):
    result = reading(gzip.compress(LINES), "a.jsonl.gz", limits=Limits(max_object_bytes=1000))
    assert result.reasons == {"too_large": 1}


def test_a_failing_disk_and_our_own_errors_are_not_blamed_on_the_object():
    def failing(error: Exception):
        yield 1
        raise error

    for error in (OSError(5, "Input/output error"), WarehouseError("ours")):
        with pytest.raises(type(error)):
            list(guarded(failing(error), uri="a"))
    caught = list(guarded(failing(KeyError("x")), uri="a", reason="not_x"))
    assert caught[0] == 1 and (caught[1].reason, caught[1].exception) == ("not_x", "KeyError")


def test_parquet_documents_and_tables_hold_what_polars_reads(reading, shared_data: Path):
    path = shared_data / "parquet_testing" / "data" / "alltypes_plain.parquet"
    result = reading(path, "a.parquet", table="t")
    theirs = pl.read_parquet(path)
    assert result.column("bigint_col") == theirs["bigint_col"].to_list() and not result.rejects
    assert [at.replace(tzinfo=None) for at in result.column("timestamp_col")] == theirs["timestamp_col"].to_list()
    assert result.column("_record") == [str(at) for at in range(theirs.height)]


def test_parquet_types_become_types_that_a_delta_table_has(reading):
    table = pa.table(
        {
            "u": pa.array([1, 2**64 - 1], pa.uint64()),
            "d": pa.array(["x", "y"]).dictionary_encode(),
            "t": pa.array([1_999, 2_000], pa.timestamp("ns")),
            "s": pa.array([{"a": 1}, None], pa.struct([("a", pa.uint8())])),
            "v": pa.array(["p", "q"], pa.string_view()),
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    result = reading(out.getvalue(), "a.parquet", table="t")
    assert result.reasons == {"type_mismatch": 1} and result.rejects[0].record == "1"
    schema = result.batches[0].schema
    assert [str(schema.field(name).type) for name in "udtsv"] == [
        "int64", "string", "timestamp[us, tz=UTC]", "struct<a: int64>", "string",
    ]  # fmt: skip
    assert result.rows[0]["t"].microsecond == 1


def test_hostile_parquet_files_end_as_rows_or_one_reject_each(reading, shared_data: Path):
    read, refused = 0, 0
    for base in ("arrow_testing/parquet", "parquet_testing"):
        for path in sorted((shared_data / base).rglob("*")):
            if path.is_file() and (path.suffix == ".parquet" or "fuzz" in str(path)):
                result = reading(path, "a.parquet", reader="parquet", table="t")
                assert sum(result.reasons.values()) <= 1 or set(result.reasons) == {"type_mismatch"}, path
                read, refused = read + bool(result.rows), refused + bool(result.rejects)
    assert read > 90 and refused > 60
    bomb = shared_data / "parquet_testing" / "data" / "large_string_map.brotli.parquet"
    assert reading(bomb, "a.parquet", table="t").reasons == {"too_large": 1}


def test_what_came_before_a_cut_or_a_bad_byte_of_gzip_is_read_however_small_the_object(reading):
    lines = b"".join(b'{"text": "line %d"}\n' % number for number in range(300))
    packed = gzip.compress(lines)
    for damaged in (packed[:-12], packed + b"behind", packed[:-8] + bytes(8)):
        result = reading(damaged, "a.jsonl.gz")
        assert len(result.rejects) == 1
        assert len(result.rows) > 250
        assert result.column("text") == [f"line {number}" for number in range(len(result.rows))]


def test_a_parquet_page_that_is_not_as_its_checksum_says_gives_no_row(reading, shared_data: Path):
    path = shared_data / "parquet_testing" / "data" / "datapage_v1-corrupt-checksum.parquet"
    result = reading(path, "a.parquet", table="pages")
    assert not result.rows
    assert len(result.rejects) == 1

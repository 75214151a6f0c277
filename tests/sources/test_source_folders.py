"""Folders called key=value are columns of a typed table, whatever their names hold."""

from __future__ import annotations

import zipfile
from datetime import date
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outcomes import outcome

from warehouse.sources import Column, Names, Source, locate, read
from warehouse.sources.folders import stated


def rows_of(folder: Path, source: Source) -> list[dict]:
    found = [list(read(source, item, item.path)) for item in locate(source, folder)]
    return [row for items in found for item in items for row in item.to_pylist()]


def put(path: Path, text: str = "n\n1\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXT, TEXT, max_size=3))
def test_keys_and_values_of_any_characters_are_read_back(pairs):
    folders = [f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in pairs.items()]
    wanted = {key: None if value == "__HIVE_DEFAULT_PARTITION__" else value for key, value in pairs.items()}
    assert stated("/".join(["data", *folders, "a=b.csv"])) == wanted
    assert stated("/".join(["in/a=b.zip!", *folders, "x.csv"])) == wanted
    assert stated(Path("/", *folders, "a.csv").as_uri()) == wanted


def test_types_are_found_over_all_objects_of_the_source_and_names_are_safe(tmp_path: Path):
    for at, (month, day, zone) in enumerate(
        [("01", "2024-01-31", "a%2Fb"), ("10", "2024-10-01", "c\n=d"), ("11", "", "x y")]
    ):
        put(tmp_path / "in" / f"year={2020 + at}" / f"month={month}" / f"dayTaken={day}" / f"zone={zone}" / "n=1.csv")
    rows = rows_of(tmp_path, Source("s", ("in",), table="t"))
    assert [(row["year"], row["month"], row["day_taken"], row["zone"], row["n"]) for row in rows] == [
        (2020, "01", date(2024, 1, 31), "a/b", 1),
        (2021, "10", date(2024, 10, 1), "c\n=d", 1),
        (2022, "11", None, "x y", 1),
    ]
    assert len(rows_of(tmp_path, Source("s", ("in",), fields={"text": "n"}))) == 3


def test_a_declared_type_holds_and_a_value_that_is_not_of_it_is_one_reject(tmp_path: Path):
    for year in ("2020", "soon"):
        put(tmp_path / f"in/year={year}/a.csv", "n\n1\n2\n")
    source = Source("s", ("in",), table="t", columns={"year": Column("int64", rename="y")})
    names = Names()
    good, bad = (list(read(source, item, item.path, names)) for item in locate(source, tmp_path))
    assert [row["y"] for row in good[0].to_pylist()] == [2020, 2020]
    assert [(item.reason, item.record) for item in bad] == [("type_mismatch", "")]
    assert names.unmatched(source) == []


def test_a_column_of_the_object_itself_stays_and_deeper_folders_win(tmp_path: Path):
    put(tmp_path / "in/n=9/k=1/k=2/a.csv")
    (row,) = rows_of(tmp_path, Source("s", ("in",), table="t"))
    assert (row["n"], row["k"]) == (1, 2)


def test_rows_are_those_of_pyarrow_for_what_it_writes(tmp_path: Path):
    table = pa.table({"zone": ["a/b", "c=d", None, "a/b"], "year": [2024, 2024, 2025, 2025], "x": [1, 2, 3, 4]})
    pq.write_to_dataset(table, tmp_path / "in", partition_cols=["zone", "year"])
    theirs = ds.dataset(tmp_path / "in", partitioning=ds.partitioning(flavor="hive")).to_table().to_pylist()
    ours = [
        {name: row[name] for name in ("zone", "year", "x")}
        for row in rows_of(tmp_path, Source("s", ("in",), table="t"))
    ]
    assert sorted(ours, key=lambda row: row["x"]) == sorted(
        ({name: row[name] for name in ("zone", "year", "x")} for row in theirs), key=lambda row: row["x"]
    )


def test_folders_in_a_zip_are_columns_too(tmp_path: Path, shared_data: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for year in (2020, 2021):
            archive.writestr(f"x/year={year}/a.csv", "n\n1\n")
    assert outcome(tmp_path / "a.zip", "a.zip", table="t").column("year") == [2020, 2021]
    noise = outcome(shared_data / "traces_azure.zip", "traces_azure.zip", table="t")
    assert {row["vm_sku"] for row in noise.rows if "vm_sku" in row} == {"B8ms", "D8s_v5"}


@pytest.mark.parametrize("uri", ["https://host/a=b/c.csv", "a.csv", "x/=1/a.csv", "x/k/a=1"])
def test_nothing_else_states_a_column(uri, tmp_path: Path):
    path = tmp_path / "x"
    path.write_text("n\n1\n")
    assert outcome(path, uri, table="t", reader="csv").batches[0].schema.names == ["n", "_record", "_known_at"]

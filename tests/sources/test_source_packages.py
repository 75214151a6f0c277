"""Data packages: a CSV as the descriptor beside it says, and what becomes of the descriptor."""

from __future__ import annotations

import csv
import json
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from outcomes import outcome

from warehouse import query
from warehouse.repository import Repository
from warehouse.sources import Column, Located, Source, reader_id
from warehouse.sources.packages import licence

FIELDS: list[dict[str, Any]] = [
    {"name": "Site", "type": "string", "constraints": {"required": True, "pattern": "[a-z0-9]+"}},
    {"name": "Opened", "type": "date", "format": "%d.%m.%Y", "constraints": {"minimum": "01.01.2000"}},
    {"name": "Power", "type": "number", "description": "Power drawn", "unit": "MW", "constraints": {"maximum": 50}},
    {"name": "Tier", "type": "any", "constraints": {"enum": ["1", 2]}},
]
TABLE = "Site;Opened;Power;Tier\n007;31.12.2020;11.5;1\nb;;-;2\n"


def package(folder: Path, *, table: str = TABLE, path: str = "sites.csv", **resource: Any) -> Path:
    """A package in a folder; the path of its CSV."""
    schema = {"fields": FIELDS, "missingValues": ["", "-"]}
    stated = {"path": path, "schema": schema, "dialect": {"delimiter": ";"}, **resource}
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / "datapackage.json").write_text(json.dumps({"name": "p", "resources": [stated]}))
    (folder / path).write_text(table)
    return folder / path


@pytest.mark.parametrize("path", ["sites.csv", "data/sites.csv"])
def test_a_csv_has_the_types_and_the_dialect_of_its_package(tmp_path: Path, path: str) -> None:
    found = outcome(package(tmp_path, path=path), path, table="sites")
    rows = [{name: row[name] for name in ("site", "opened", "power", "tier")} for row in found.rows]
    assert rows == [
        {"site": "007", "opened": date(2020, 12, 31), "power": 11.5, "tier": 1},
        {"site": "b", "opened": None, "power": None, "tier": 2},
    ]
    assert not found.rejects
    assert found.batches[0].schema.field("power").metadata == {b"comment": b"Power\nPower drawn [MW]"}


def test_what_the_recipe_declares_goes_before_the_package(tmp_path: Path) -> None:
    found = outcome(package(tmp_path), "sites.csv", table="sites", columns={"Power": Column("string", rename="mw")})
    assert found.column("mw") == ["11.5", None]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (";31.12.2020;1;1", "'Site' is required"),
        ("a b;31.12.2020;1;1", "'Site' does not match"),
        ("a;31.12.1999;1;1", "'Opened' is less than 01.01.2000"),
        ("a;31.12.2020;50.5;1", "'Power' is more than 50"),
        ("a;31.12.2020;1;3", "'Tier' is none of 1, 2"),
    ],
)
def test_a_row_that_breaks_a_constraint_is_a_reject(tmp_path: Path, row: str, said: str) -> None:
    found = outcome(package(tmp_path, table=f"{TABLE}{row}\n"), "sites.csv", table="sites")
    assert [(each.reason, each.record) for each in found.rejects] == [("constraint", "2")]
    assert found.rejects[0].message.startswith(said)
    assert len(found.rows) == 2


def keyed_package(folder: Path, *, orders: str, path: str = "sites.csv", **schema: Any) -> Path:
    """A package of sites (a name and, of some, the site that is above it) and of orders; the path of its orders."""
    sites = {"name": "sites", "path": path, "schema": {"fields": [{"name": "site", "type": "string"}]}}
    fields = [
        {"name": "id", "type": "integer"},
        {"name": "site", "type": "string"},
        {"name": "above", "type": "integer"},
    ]
    stated = {
        "name": "orders",
        "path": "orders.csv",
        "schema": {"fields": fields, "missingValues": ["", "-"], **schema},
    }
    (folder / "datapackage.json").write_text(json.dumps({"resources": [sites, stated]}))
    (folder / "sites.csv").write_text("site\nnorth\nsouth\n")
    (folder / "orders.csv").write_text(f"id,site,above\n{orders}")
    return folder / "orders.csv"


KEYS: dict[str, tuple[dict[str, Any], str, dict[str, str]]] = {
    "unique": (
        {"fields": [{"name": "id", "type": "integer", "constraints": {"unique": True}}]},
        "1,,\n2,,\n1,,\n-,,\n-,,\nx,,\n",
        {"2": "'id' '1' stands in a row before", "5": "column 'id' has 'x'"},
    ),
    "primary key": (
        {"primaryKey": ["id", "site"]},
        "1,a,\n1,b,\n1,a,\n2,-,\n",
        {"2": "'id' '1', 'site' 'a' stands in a row before", "3": "'site' is required: None"},
    ),
    "foreign key": (
        {"foreignKeys": [{"fields": "site", "reference": {"resource": "sites", "fields": "site"}}]},
        "1,north,\n2,west,\n3,-,\n",
        {"1": "'site' 'west' is not in sites"},
    ),
    "lengths": (
        {"fields": [{"name": "site", "type": "string", "constraints": {"minLength": 2, "maxLength": 3}}]},
        "1,n,\n2,né,\n3,west,\n4,,\n",
        {"0": "'site' is shorter than 2: 'n'", "2": "'site' is longer than 3: 'west'"},
    ),
    "its own": (
        {"foreignKeys": [{"fields": ["above"], "reference": {"resource": "", "fields": ["id"]}}]},
        "1,,2\n2,,-\n3,,4\n",
        {"2": "'above' '4' is not in the same file"},
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_row_that_breaks_a_key_is_a_reject_and_a_null_in_one_is_none_but_of_the_primary(
    tmp_path: Path, name: str
) -> None:
    schema, orders, said = KEYS[name]
    found = outcome(keyed_package(tmp_path, orders=orders, **schema), "orders.csv", table="orders")
    assert {each.record: each.message for each in found.rejects} == said
    assert {each.reason for each in found.rejects} <= {"constraint", "type_mismatch"}
    assert len(found.rows) == orders.count("\n") - len(said)


def test_rows_are_unique_over_all_batches_and_a_rejected_one_stands_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.sources.delimited.KEPT_BYTES", 1 << 10)
    fields = [
        {"name": "id", "type": "any", "constraints": {"unique": True}},
        {"name": "site", "type": "any", "constraints": {"pattern": "[a-z]+"}},
    ]
    orders = "".join(f"{number},a,\n" for number in range(300_000)) + "x,7,\nx,a,\n299999,a,\n0,a,\n"
    found = outcome(keyed_package(tmp_path, orders=orders, fields=fields), "orders.csv", table="orders")
    assert [each.record for each in found.rejects] == ["300000", "300002", "300003"]
    assert sum(batch.num_rows for batch in found.batches) == 300_001


@pytest.mark.parametrize("resource", ["sites", "nowhere"])
def test_a_foreign_key_that_cannot_be_checked_is_said_and_its_rows_are_read(tmp_path: Path, resource: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("site\nwest\n")
    folder = tmp_path / "in"
    folder.mkdir()
    path = keyed_package(
        folder,
        orders="1,west,\n",
        path=str(secret) if resource == "sites" else "sites.csv",
        foreignKeys=[{"fields": "site", "reference": {"resource": resource, "fields": "site"}}],
    )
    assert len(outcome(path, "orders.csv", table="orders").rows) == 1
    said = {each.record: each.message for each in outcome(folder / "datapackage.json", "datapackage.json").rejects}
    assert said["site"] == f"foreign key site leads to {resource!r}, which is not there: it is not checked"


def test_a_csv_is_read_again_where_what_its_foreign_keys_lead_to_changes(tmp_path: Path) -> None:
    keys = [{"fields": "site", "reference": {"resource": "sites", "fields": "site"}}]
    path, source = keyed_package(tmp_path, orders="1,north,\n", foreignKeys=keys), Source("s", ("x",), table="orders")
    before = reader_id(source, Located("orders.csv", path, 1), path)
    (tmp_path / "sites.csv").write_text("site\nwest\n")
    assert reader_id(source, Located("orders.csv", path, 1), path) != before
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        for name in ("datapackage.json", "sites.csv", "orders.csv"):
            packed.write(tmp_path / name, f"in/{name}")
    zipped = outcome(tmp_path / "all.zip", "all.zip", table="orders")
    assert [(each.reason, each.message) for each in zipped.rejects] == [
        ("constraint", "'site' 'north' is not in sites")
    ]


def test_a_descriptor_has_no_rows_and_tells_which_resources_are_not_there(tmp_path: Path) -> None:
    package(tmp_path)
    descriptor = tmp_path / "datapackage.json"
    paths = ["sites.csv", "gone.csv", "../out.csv", "https://example.org/x.csv"]
    descriptor.write_text(json.dumps({"resources": [{"path": path} for path in paths] + [{"data": [1]}]}))
    found = outcome(descriptor, "datapackage.json", table="sites")
    assert (found.rows, found.dropped) == ([], {"package": 1})
    assert [(each.reason, each.record) for each in found.rejects] == [("missing_resource", path) for path in paths[1:]]
    descriptor.write_text('{"resources": 5}')
    assert outcome(descriptor, "datapackage.json", table="sites").reasons == {"invalid_package": 1}


def test_a_csv_that_no_package_names_is_read_as_it_is(tmp_path: Path) -> None:
    package(tmp_path)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert outcome(tmp_path / "other.csv", "other.csv", table="sites").column("b") == [2]


def test_the_reader_changes_with_the_descriptor(tmp_path: Path) -> None:
    path, source = package(tmp_path), Source("s", ("sites.csv",), table="sites")
    before = reader_id(source, Located("sites.csv", path, 1), path)
    (tmp_path / "datapackage.json").write_text("{}")
    after = reader_id(source, Located("sites.csv", path, 1), path)
    assert before.startswith("csv/")
    assert before != after


def test_descriptions_and_units_are_comments_of_the_columns(tmp_path: Path) -> None:
    path = package(tmp_path)
    repository = Repository(tmp_path / "root")
    found = outcome(path, "sites.csv", table="sites")
    archived, size = repository.archive(path)
    with repository.ingestion(table="sites", source="s", run_id="r") as taken:
        taken.add("sites.csv", archived, size, datetime(2026, 1, 1, tzinfo=UTC), "csv/4", iter(found.batches))
    snapshot = repository.snapshot("sites")
    with query.connect() as con:
        query.attach_repository(con, [snapshot])
        said = query.fetch_all(con, "SELECT column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL")
    assert said == [("power", "Power: Power drawn [MW]")]


def test_the_licence_is_the_first_that_a_descriptor_states() -> None:
    assert licence(b'{"licenses": [{"name": "CC-BY-4.0"}, {"name": "MIT"}]}') == "CC-BY-4.0"
    assert licence(b'{"licenses": []}') is None


def test_every_package_of_the_energy_data_is_typed_as_it_says(shared_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_data / "energy_owid.zip") as archive:
        archive.extractall(tmp_path)
    rows, missing = 0, []
    for descriptor in sorted(tmp_path.rglob("datapackage.json")):
        missing += [each.record for each in outcome(descriptor, descriptor.name, table="energy").rejects]
        for path in sorted(descriptor.parent.glob("*.csv")):
            found = outcome(path, path.name, table="energy")
            with path.open(encoding="utf-8-sig", newline="") as lines:
                assert len(found.rows) == sum(1 for row in csv.reader(lines) if row) - 1
            assert not found.rejects
            rows += len(found.rows)
            schema = found.batches[0].schema
            assert schema.field("year").type == pa.int64()
            said = {(each.metadata or {}).get(b"comment", b"").decode() for each in schema}
            stated = json.loads(descriptor.read_text())["resources"][0]["schema"]["fields"]
            for each in stated:
                text = " ".join((each.get("description") or "").split())
                assert not text or any(one.startswith(f"{each['name']}\n{text}") for one in said)
    assert missing == ["Carbon intensity (kgCO2/$) - Madisson, World Bank, CDIAC.csv"]
    assert rows == 37_948

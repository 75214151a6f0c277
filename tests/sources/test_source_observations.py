"""Data Commons files as objects of a source: rows, Rejects with their lines, and MCF again."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import Outcome, outcome
from test_source_datacommons import KNOWN, nodes_of

from warehouse.sources import Located, Source, reader_id
from warehouse.sources.datacommons import (
    OBSERVATIONS,
    generate,
    observation_nodes,
    parse,
    spelt_values,
    statement_nodes,
    text_of,
)
from warehouse.sources.datacommons.observations import numbers

TMCF = """Node: E:T->E0
typeOf: dcs:StatVarObservation
variableMeasured: dcs:Count_Person
observationAbout: C:T->place
observationDate: C:T->date
value: C:T->count
"""
CONFIG = {"inputFiles": [{"pattern": "a.*", "provenance": "dcid:Census", "columnMappings": {"dcid:value": "count"}}]}


def folder(path: Path, **files: str) -> Path:
    """Files of an import; __ in a name is a dot."""
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text, "utf-8")
    return path


def rows(path: Path, table: str = "observations", **options: Any) -> Outcome:
    return outcome(path, path.name, reader="datacommons", table=table, **options)


def all_rows(where: Path, table: str = "observations") -> Iterator[Outcome]:
    for path in sorted(where.iterdir()):
        yield rows(path, table)


def test_a_csv_is_read_by_the_config_that_names_it(tmp_path: Path) -> None:
    where = folder(
        tmp_path / "x",
        config__json=json.dumps(CONFIG),
        a__csv="entity,variable,date,count\ncountry/BEL,dcid:Count_Person,2020,11.5\ncountry/BEL,Count_Person,2021,\n",
    )
    found = rows(where / "a.csv")
    assert found.rows == [
        {
            **dict.fromkeys(OBSERVATIONS.names),
            "variable": "Count_Person",
            "entity": "country/BEL",
            "date": "2020",
            "value": 11.5,
            "provenance": "Census",
            "_record": "0",
            "_known_at": None,
        }
    ]
    assert found.dropped == {"no_value": 1}
    assert rows(where / "config.json").dropped == {"config": 1}


def test_every_column_may_be_a_variable(tmp_path: Path) -> None:
    config = {"inputFiles": {"a.csv": {"format": "variablePerColumn", "observationProperties": {"unit": "USDollar"}}}}
    table = "place,year,V1,V2\ncountry/BEL,2020,1,2\ncountry/BEL,2021,,x\n"
    found = rows(folder(tmp_path / "x", config__json=json.dumps(config), a__csv=table) / "a.csv")
    assert [(row["variable"], row["value"], row["unit"], row["_record"]) for row in found.rows] == [
        ("V1", 1.0, "USDollar", "0/V1"),
        ("V2", 2.0, "USDollar", "0/V2"),
    ]
    assert found.dropped == {"no_value": 1}
    assert [(reject.record, reject.reason) for reject in found.rejects] == [("1/V2", "invalid_observation")]


def test_a_csv_is_read_by_the_template_of_its_name(tmp_path: Path) -> None:
    other = TMCF.replace("Count_Person", "Other")
    table = "place,date,count\ngeoId/06,2020-03,5\n"
    where = folder(tmp_path / "x", a__tmcf=TMCF, b__tmcf=other, a__csv=table, b__csv=table, c__csv=table)
    assert rows(where / "a.csv").column("variable") == ["Count_Person"]
    assert rows(where / "b.csv").column("variable") == ["Other"]
    assert rows(where / "c.csv").reasons == {"no_template": 1}


def test_each_row_that_is_no_observation_is_a_reject_with_its_line(tmp_path: Path) -> None:
    lines = [
        "place,date,count",
        "geoId/06,2020,5",
        "geo Id,2020,5",
        "geoId/06,March,5",
        "geoId/06,2020,5,6",
        '"geoId/06, geoId/07",2020,5',
        "geoId/06,2020,",
        ",2020,5",
        '"geoId/06,2020,5',
    ]
    where = folder(tmp_path / "x", a__tmcf=TMCF, a__csv="\n".join(lines) + "\n")
    found = rows(where / "a.csv")
    assert [(each.position, each.reason) for each in found.rejects] == [
        (3, "invalid_observation"),
        (4, "invalid_observation"),
        (5, "wrong_field_count"),
        (6, "invalid_observation"),
        (8, "invalid_observation"),
        (9, "unclosed_quote"),
    ]
    assert (found.column("entity"), found.dropped, found.met) == (["geoId/06"], {"no_value": 1}, 8)


def test_a_template_that_does_not_fit_is_one_reject_of_the_csv(tmp_path: Path) -> None:
    where = folder(tmp_path / "x", a__tmcf=TMCF.replace("C:T->date", "C:T->day"), a__csv="place,date,count\nx,1,1\n")
    (reject,) = rows(where / "a.csv").rejects
    assert reject.reason == "invalid_template"
    assert "Sanity_TmcfMissingColumn" in reject.message


def test_nodes_and_observations_of_one_mcf_go_to_two_tables(tmp_path: Path) -> None:
    text = """Node: dcid:Count_Person
typeOf: dcs:StatisticalVariable
name: "People, counted"

Node: Paris
typeOf: dcs:City
dcid: "wikidataId/Q90"

Node: O1
typeOf: dcs:StatVarObservation
variableMeasured: dcid:Count_Person
observationAbout: l:Paris
observationDate: 2020
value: 10.0
footnote: "as, counted"
no colon here
"""
    path = folder(tmp_path / "x", a__mcf=text) / "a.mcf"
    found = rows(path)
    (row,) = found.rows
    assert (row["entity"], row["value"], row["value_text"]) == ("wikidataId/Q90", 10.0, "10.0")
    assert json.loads(row["properties"]) == {"footnote": ['"as, counted"']}
    assert found.dropped == {"node": 2}
    assert [(each.position, each.reason) for each in found.rejects] == [(16, "invalid_mcf")]
    nodes = rows(path, "nodes")
    assert nodes.column("value") == ["StatisticalVariable", "People, counted", "City"]
    assert nodes.dropped == {"observation": 1}
    again = "".join(text_of(node) for node in statement_nodes(nodes.rows))
    assert nodes_of(again) == nodes_of(
        'Node: dcid:Count_Person\ntypeOf: dcid:StatisticalVariable\nname: "People, counted"\n\n'
        "Node: dcid:wikidataId/Q90\ntypeOf: dcid:City\n"
    )


@pytest.mark.parametrize(
    "name", ["localidresolution", "manyinconsistent", "measurementresult", "resolution", "statchecks", "successtmcf"]
)
def test_observations_go_out_again_as_the_import_tool_writes_them(shared_data: Path, tmp_path: Path, name: str) -> None:
    case = shared_data / "datacommons" / "import_tool" / "genmcf" / name
    for path in (case / "input").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    known = KNOWN.get(name, [])
    (tmp_path / "known.mcf").write_text("\n".join(f"Node: dcid:{d}\ntypeOf: dcs:{t}\n{i}\n" for d, t, i in known))
    batches = [batch for found in all_rows(tmp_path) for batch in found.batches]
    ours = Counter(
        lines for batch in batches for node in observation_nodes(batch) for _, lines in nodes_of(text_of(node))
    )
    theirs = Counter[tuple[str, ...]]()
    for path in (case / "output").glob("*.mcf"):
        if not path.name.startswith("failed"):
            for (_, lines), count in nodes_of(path.read_text()).items():
                theirs[lines] += count * ("typeOf: dcid:StatVarObservation" in lines)
    assert ours == +theirs


def test_a_folder_of_a_custom_data_commons_comes_in_whole(shared_data: Path) -> None:
    where = shared_data / "datacommons" / "OECD_wage_data"
    found = {path.name: rows(path) for path in where.iterdir()}
    assert {name: len(each.rows) for name, each in found.items() if each.rows} == {
        "average_annual_wage.csv": 785,
        "gender_wage_gap.csv": 457,
    }
    assert not any(each.rejects for each in found.values())
    wages = found["average_annual_wage.csv"].batches
    stated = [line.split(",")[3] for line in (where / "average_annual_wage.csv").read_text().splitlines()[1:]]
    assert [text for batch in wages for text in spelt_values(batch).to_pylist()] == stated


def test_the_reader_of_a_csv_changes_with_what_lies_beside_it(tmp_path: Path) -> None:
    where = folder(tmp_path / "x", a__tmcf=TMCF, a__csv="place,date,count\n", c__txt="")
    source = Source("s", ("x",), reader="datacommons", table="observations")

    def named(name: str) -> str:
        return reader_id(source, Located(name, where / name, 0), where / name)

    before = named("a.csv"), named("a.tmcf")
    (where / "c.txt").write_text("other")
    assert (named("a.csv"), named("a.tmcf")) == before
    (where / "a.tmcf").write_text(TMCF + "unit: dcs:Person\n")
    assert named("a.csv") != before[0]
    assert named("a.tmcf") == before[1]


def test_an_import_may_come_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "import.zip"
    with zipfile.ZipFile(path, "w") as made:
        for year in ("2020", "2021"):
            made.writestr(f"{year}/a.tmcf", TMCF)
            made.writestr(f"{year}/a.csv", f"place,date,count\ngeoId/06,{year},5\n")
    found = rows(path)
    assert found.dropped == {"template": 2}
    assert found.column("_record") == ["2020/a.csv!0/E0", "2021/a.csv!0/E0"]


def test_a_config_that_says_nothing_usable_is_refused_and_so_is_what_it_names(tmp_path: Path) -> None:
    where = folder(tmp_path / "x", config__json='{"inputFiles": [{"filename": 5}]}', a__csv="entity\n")
    assert rows(where / "config.json").reasons == {"invalid_config": 1}
    assert rows(where / "a.csv").reasons == {"no_template": 1}
    where = folder(tmp_path / "y", config__json=json.dumps({"inputFiles": {"b.csv": {}}}))
    assert rows(where / "config.json").reasons == {"missing_resource": 1}


@given(st.lists(st.floats().map(repr) | st.integers().map(str) | st.sampled_from(["10.0", "+1", "1e6", "x", "0x1p3"])))
def test_a_number_keeps_its_spelling(texts: list[str]) -> None:
    values, spelling = numbers(pa.array(texts, pa.string()))
    batch = pa.RecordBatch.from_arrays([values, spelling], names=["value", "value_text"])
    assert spelt_values(batch).to_pylist() == texts
    assert pa.compute.all(pa.compute.is_finite(values)).as_py() is not False


def test_observations_written_and_read_again_are_the_same(tmp_path: Path) -> None:
    cells = ("2020,5", "2021,10.0", "2022,dcs:Few", '2020-01-31,"[5 Years]"', "2023,few")
    table = "place,date,count\n" + "".join(f"geoId/06,{each}\n" for each in cells)
    where = folder(tmp_path / "x", a__tmcf=TMCF, a__csv=table)
    first = rows(where / "a.csv")
    again = folder(
        tmp_path / "y", a__mcf="".join(text_of(node) for batch in first.batches for node in observation_nodes(batch))
    )
    second = rows(again / "a.mcf")
    assert not second.rejects
    stripped = [[{name: row[name] for name in OBSERVATIONS.names} for row in each.rows] for each in (first, second)]
    assert stripped[0] == stripped[1]
    made = generate([again / "a.mcf"])
    assert {node.dcid for node in made.resolved[""].nodes.values()} == {
        node.dcid for node in parse((again / "a.mcf").read_text().splitlines(), file="", note=lambda _: None)
    }

"""Observations of a TMCF by columns: the same rows, rejects and drops as row by row, whatever template and cells."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.contracts import Dropped, Reject
from warehouse.sources import Located, Source, read
from warehouse.sources.datacommons import observations

COLUMNS = ("geo", "var", "date", "count", "more")
CELLS = {
    "geo": ("geoId/06", "dcid:geoId/06", "dcs:a", "", " geoId/1 ", "geo Id", "l:x", '"a"', "a,b", "é", "[Years 1]"),
    "var": ("Count_Person", "dcs:Count_Person", "", "a b", "x,y", '"q"'),
    "date": ("2024", "2024-05", "2024-05-01", "12345", "last year", "", '"2020"', "dcid:2020"),
    "count": (
        "1",
        "-2.50",
        "+3.",
        "1e5",
        "",
        "NaN",
        "dcid:Acre10",
        '"text"',
        "true",
        "1,2",
        "[10 Years]",
        "[10",
        "é",
        ".5",
    ),
    "more": ("", "USDollar", "dcs:USDollar", "a,b", '"a ""b"" "', "[10 Years]", "l:y", "ü", '"\\"'),
}
PLAIN = {name: cells[:3] for name, cells in CELLS.items()}
KEYED = ("unit: C:T->more", "unit: dcs:USDollar", "measurementMethod: C:T->more", "scalingFactor: 100", "")
FURTHER = (
    *(
        "footnote: C:T->more",
        'note: "n", C:T->more',
        "memberOf: dcs:a, dcs:b",
        "about: E:T->E0",
        "keyString: C:T->more",
    ),
    *("provenance: C:T->more", "Wrong: 1", "other: C:T->more, C:T->var", "dcid: C:T->more", "typeOf: C:T->more", ""),
)


@st.composite
def templates(draw: st.DrawFn) -> str:
    place = draw(st.sampled_from(("dcid: C:T->geo", "dcid: C:T->geo", "dcid: dcs:country/FRA", 'name: "no dcid"')))
    nodes = [f"Node: E:T->E0\ntypeOf: dcs:Place\n{place}\n"]
    for at in range(draw(st.integers(1, 2))):
        about = draw(st.sampled_from(("E:T->E0", "C:T->geo", "dcs:country/FRA")))
        value = draw(st.sampled_from(("C:T->count", "C:T->count", "C:T->more", "7")))
        lines = [
            *(f"Node: E:T->O{at}", "typeOf: dcs:StatVarObservation", "variableMeasured: C:T->var"),
            *(f"observationAbout: {about}", "observationDate: C:T->date", f"value: {value}"),
            *(draw(st.sampled_from(KEYED)), draw(st.sampled_from(FURTHER))),
        ]
        nodes.append("\n".join(filter(None, lines)) + "\n")
    return "\n".join(nodes)


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"') else cell


ROWS = st.lists(
    st.one_of(
        st.tuples(*(st.sampled_from(PLAIN[name]) for name in COLUMNS)),
        st.tuples(*(st.sampled_from(CELLS[name]) for name in COLUMNS)),
    )
    | st.lists(st.just("1"), min_size=1, max_size=6).map(tuple),
    max_size=12,
)


def found(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows in their order; rejects and drops."""
    path, rows, others = folder / "a.csv", list[dict[str, Any]](), list[str]()
    source = Source("s", ("a.csv",), table="observations", reader="datacommons")
    for item in read(source, Located("a.csv", path, path.stat().st_size), path):
        if isinstance(item, pa.RecordBatch):
            rows += item.to_pylist()
        elif isinstance(item, (Reject, Dropped)):
            others.append(repr(item))
    return rows, sorted(others)


@given(templates(), ROWS, st.sampled_from((1, 3, 8192)), st.sampled_from(("", "1\n", '"open\n', "\udcff,a,b,c,d\n")))
def test_by_columns_as_row_by_row(template: str, rows: list[tuple[str, ...]], at_once: int, last: str) -> None:
    lines = [",".join(COLUMNS), *(",".join(map(quoted, row)) for row in rows)]
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patched:
        folder = Path(name)
        (folder / "a.tmcf").write_text(template)
        (folder / "a.csv").write_bytes(("\n".join(lines) + "\n" + last).encode("utf-8", "surrogateescape"))
        patched.setattr(observations, "ROWS", at_once)
        together = found(folder)
        patched.setattr(observations, "planned", lambda template: None)
        assert together == found(folder)


def test_a_template_without_odd_cells_makes_no_graph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.tmcf").write_text(
        "Node: E:T->E0\ntypeOf: dcs:Place\ndcid: C:T->geo\n\nNode: E:T->O\ntypeOf: dcs:StatVarObservation\n"
        "variableMeasured: C:T->var\nobservationAbout: E:T->E0\nobservationDate: C:T->date\nvalue: C:T->count\n"
    )
    rows = [f"geoId/{at},Count,20{at},{at}" for at in range(10, 20)]
    (tmp_path / "a.csv").write_text("\n".join(["geo,var,date,count", *rows]))
    monkeypatch.setattr(observations, "resolve", None)
    made, others = found(tmp_path)
    assert [(row["entity"], row["date"], row["value"], row["_record"]) for row in made] == [
        (f"geoId/{at}", f"20{at}", float(at), f"{at - 10}/O") for at in range(10, 20)
    ]
    assert not others

"""Sources with keys and contracts, from their YAML to what SQL says was known at a time."""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from pipelines.definitions import build_definitions
from pipelines.intake import Ingested, ingest, retry
from pipelines.run import run_assets
from warehouse.answers.status import status
from warehouse.errors import InputError, RecipeError
from warehouse.project import Project, load, prepare
from warehouse.publish import connect_current
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository
from warehouse.sources import READERS, load_source
from warehouse.sources.reading import Reader


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str, str], Project]:
    """A function that makes a project of one source ``s``."""

    def make(name: str, recipe: str) -> Project:
        folder = tmp_path / name
        (folder / "recipes" / "sources").mkdir(parents=True)
        (folder / "warehouse.toml").write_text('name = "made"\n')
        (folder / "recipes" / "sources" / "s.yaml").write_text(recipe)
        (folder / "data").mkdir()
        project = load(folder)
        prepare(project)
        return project

    return make


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def run(project: Project, at: int = 1, **options: Any) -> Ingested:
    source = load_source(project.folder / "recipes" / "sources" / "s.yaml")
    return ingest(project, source, run_id=f"r{at}", known_at=day(at), **options)


def again(project: Project, at: int) -> Ingested:
    source = load_source(project.folder / "recipes" / "sources" / "s.yaml")
    return retry(project, source, run_id=f"r{at}", known_at=day(at))


def asked(project: Project, sql: str) -> list[tuple[Any, ...]]:
    repository = Repository(project.root)
    with connect() as con:
        attach_repository(con, [repository.snapshot(name) for name in repository.tables()])
        return fetch_all(con, sql)


EPOCH = r"""
uri: data/*.csv
table: models
mode: {mode}
keys: [model]
known_at: {{path: 'vintage_(?P<date>\d{{4}}-\d{{2}})', format: '%Y-%m'}}
columns:
  System: {{rename: model}}
  Model: {{rename: model}}
  Training compute (FLOP): {{type: double, rename: training_compute}}
"""
EPOCH_FILES = ("vintage_2024-11_all_ml_systems.csv", "vintage_2025-02_notable_ai_models.csv")


@pytest.mark.parametrize("mode", ["upsert", "snapshot"])
def test_two_vintages_of_epochs_models_in_both_orders(
    shared_data: Path, made: Callable[[str, str], Project], mode: str
) -> None:
    seen = []
    for order in (EPOCH_FILES, EPOCH_FILES[::-1]):
        project = made(f"{mode}{len(seen)}", EPOCH.format(mode=mode))
        for at, name in enumerate(order, 1):
            shutil.copy(shared_data / "ai_models_epoch" / name, project.folder / "data" / name)
            done = run(project, at)
        assert asked(project, "SELECT count(*) FROM repository.models_as_of('2024-12-01')") == [(1755,)]
        renamed = "SELECT was, became FROM repository.schema_changes WHERE change = 'renamed' AND column_name = 'model'"
        names = ("System", "Model") if order == EPOCH_FILES else ("Model", "System")
        assert asked(project, renamed) == [names]
        both = "SELECT count(*) FROM repository.models_as_of('2024-12-01') JOIN repository.models_current USING (_key)"
        now = 1755 + 895 - 866 if mode == "upsert" else 895
        assert asked(project, "SELECT count(*) FROM repository.models_current") == [(now,)]
        assert asked(project, both) == [(1755 if mode == "upsert" else 866,)]
        changed = """
            SELECT count(*) FROM repository.models_as_of('2024-12-01') old
            JOIN repository.models_as_of('2025-02-01') new USING (_key)
            WHERE old.training_compute IS DISTINCT FROM new.training_compute"""
        assert asked(project, changed) == [(72,)]
        columns = "model, training_compute, domain, citations, hardware_quantity, confidence, valid_from, valid_to"
        seen.append(asked(project, f"SELECT {columns} FROM repository.models_history ORDER BY model, valid_from"))
        assert run(project, 3).receipts == () and done.total("rejected") == 0
    assert seen[0] == seen[1]


OWID = r"""
uri: data/*.csv
table: mix
mode: snapshot
keys: [entity, year]
known_at: {path: 'mix-(?P<date>\d{4}-\d{2}-\d{2})'}
"""


def test_two_vintages_of_owids_electricity_mix_in_both_orders(
    shared_data: Path, made: Callable[[str, str], Project]
) -> None:
    place = "Electricity mix from BP & EMBER (2022)"
    vintages = {"mix-2022-01-01.csv": f"{place} - archive", "mix-2022-08-01.csv": place}
    seen = []
    with zipfile.ZipFile(shared_data / "energy_owid.zip") as archive:
        texts = {name: archive.read(f"energy_owid/{each}/{each}.csv") for name, each in vintages.items()}
    frames = {name: pl.read_csv(text, infer_schema_length=None) for name, text in texts.items()}
    for order in (list(texts), list(texts)[::-1]):
        project = made(f"owid{len(seen)}", OWID)
        for at, name in enumerate(order, 1):
            (project.folder / "data" / name).write_bytes(texts[name])
            run(project, at)
        for moment, name in (("2022-03-01", "mix-2022-01-01.csv"), ("2022-09-01", "mix-2022-08-01.csv")):
            found = asked(project, f"SELECT entity, year FROM repository.mix_as_of('{moment}') ORDER BY ALL")
            assert found == sorted(frames[name].select("Entity", "Year").rows())
        wanted = ("entity", "year", "valid_from", "valid_to", "_uri")
        seen.append(asked(project, f"SELECT {', '.join(wanted)} FROM repository.mix_history ORDER BY ALL"))
    assert seen[0] == seen[1]


def test_what_a_new_reader_version_reads_again_may_be_gone_from_its_folder(
    made: Callable[[str, str], Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made("gone", "uri: data/*.csv\ntable: t\n")
    file = project.folder / "data" / "a.csv"
    file.write_text("x\n1\n2\n")
    run(project, 1)
    file.unlink()
    with pytest.raises(InputError, match="matches no"):
        run(project, 2)
    newer: dict[str, Reader] = {"csv": dataclasses.replace(READERS["csv"], version=99)}
    monkeypatch.setattr("warehouse.sources.reading.READERS", READERS | newer)
    done = run(project, 2, reread=True)
    assert (done.total("rows_out"), done.bytes_read) == (2, 0)
    assert [fact.reader for receipt in done.receipts for fact in receipt.objects] == ["csv/99"]


@pytest.mark.parametrize("target", ["table: t\n", "table: t\nmode: upsert\nkeys: [k]\n", ""])
def test_a_retry_reads_what_was_refused_and_marks_it_and_stores_nothing_twice(
    made: Callable[[str, str], Project], target: str
) -> None:
    recipe = f"uri: data/*.jsonl\nmax_reject_share: 0.9\n{target}"
    strict = "columns: {v: int64}\n" if target else "fields: {text: v}\n"
    project = made("retry", recipe + strict)
    rows = [{"k": "a", "v": 1 if target else "one"}, {"k": "b", "v": 2.5}]
    (project.folder / "data" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    table = "t" if target else "documents"
    assert run(project, 1).total("rejected") == 2
    assert again(project, 2).resolved == 0
    mended = "columns: {v: double}\n" if target else "fields: {text: k}\n"
    (project.folder / "recipes" / "sources" / "s.yaml").write_text(recipe + mended)
    (project.folder / "data" / "a.jsonl").unlink()
    done = again(project, 3)
    assert (done.resolved, done.total("rejected")) == (1, 1)
    left = "FROM repository.rejects ANTI JOIN repository.resolved_rejects USING (reject_id) SELECT reason"
    assert asked(project, left) == [("invalid_json",)]
    if target:
        assert asked(project, f"SELECT k, v FROM repository.{table} ORDER BY k") == [("a", 1.0), ("b", 2.5)]
    assert asked(project, f"SELECT DISTINCT {'_' if target else ''}known_at FROM repository.{table}") == [(day(1),)]
    assert again(project, 4).resolved == 0


def test_a_retry_reads_a_pdf_once_the_extra_is_there_and_the_reject_says_so(
    made: Callable[[str, str], Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pypdfium2", reason="the extra pdf is not installed")
    project = made("pdf", "uri: data\nmax_reject_share: 0.9\n")
    shapes = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<</Font<</F 5 0 R>>>>/Contents 4 0 R>>"
    drawn = b"<</Length 34>>stream\nBT /F 9 Tf (A rack is warm.) Tj ET  \nendstream"
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", shapes, drawn, font]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (at, each) for at, each in enumerate(objects, 1))
    (project.folder / "data" / "a.pdf").write_bytes(b"%PDF-1.4\n" + body + b"trailer<</Root 1 0 R>>\n%%EOF\n")
    (project.folder / "data" / "b.txt").write_text("A text beside it.")
    with monkeypatch.context() as without:
        without.setattr("warehouse.sources.pdf.find_spec", lambda name: None)
        assert run(project, 1).total("rejected") == 1
    assert asked(project, "SELECT reason, message LIKE '%rejects s --retry%' FROM repository.rejects") == [
        ("missing_extra", True)
    ]
    done = again(project, 2)
    assert (done.resolved, done.total("rows_out"), done.total("rejected")) == (1, 1, 0)
    texts = asked(project, "SELECT text, known_at FROM repository.documents ORDER BY uri")
    assert texts == [("A rack is warm.", day(1)), ("A text beside it.", day(1))]


SNAPSHOT = "uri: data/*.csv\ntable: t\nmode: snapshot\nkeys: [k]\n"


def keys(project: Project, moment: str = "2027-01-01") -> list[str]:
    return [row[0] for row in asked(project, f"SELECT k FROM repository.t_as_of('{moment}') ORDER BY k")]


def test_a_whole_vintage_without_a_stated_time_is_all_that_a_run_finds(made: Callable[[str, str], Project]) -> None:
    project = made("snapshot", SNAPSHOT)
    data = project.folder / "data"
    (data / "north.csv").write_text("k,v\nn1,1\nn2,1\n")
    (data / "south.csv").write_text("k,v\ns1,1\n")
    run(project, 1)
    assert run(project, 2).unchanged_objects == 2
    (data / "north.csv").write_text("k,v\nn1,2\n")
    assert (run(project, 3).total("deleted"), keys(project)) == (1, ["n1", "s1"])
    (data / "south.csv").unlink()
    assert (run(project, 4).total("deleted"), keys(project)) == (1, ["n1"])
    assert keys(project, "2026-01-02") == ["n1", "n2", "s1"]


def test_a_run_of_one_partition_takes_no_key_from_the_others(made: Callable[[str, str], Project]) -> None:
    project = made("parts", SNAPSHOT + "partitions: {path: 'data/(?P<key>\\w+)\\.csv', kind: dynamic}\n")
    data = project.folder / "data"
    (data / "north.csv").write_text("k,v\nn1,1\n")
    (data / "south.csv").write_text("k,v\ns1,1\n")
    run(project, 1)
    (data / "north.csv").write_text("k,v\nn2,1\n")
    run(project, 2, partitions=["north"])
    assert keys(project) == ["n2", "s1"]


def test_tables_of_a_contract_may_have_to_be_there(made: Callable[[str, str], Project]) -> None:
    recipe = "uri: data/*.csv\ntable: t\ncontract: {tables: %s}\n"
    for answer in ("freeze", "discard"):
        project = made(answer, recipe % answer)
        (project.folder / "data" / "a.csv").write_text("x\n1\n")
        if answer == "freeze":
            with pytest.raises(InputError, match="table t is not there, and its contract freezes tables"):
                run(project)
        else:
            assert [change["change"] for change in run(project).changes] == ["discarded"]
            assert asked(project, "SELECT table_name, change FROM repository.schema_changes") == [("t", "discarded")]
        assert "t" not in Repository(project.root).tables()


def test_status_says_what_differed_and_how_often(made: Callable[[str, str], Project]) -> None:
    project = made("status", "uri: data/*.csv\ntable: t\n")
    for at, text in enumerate(["x,y\n1,a\n", "x\n0.5\n", "x\n2\n"], 1):
        (project.folder / "data" / f"{at}.csv").write_text(text)
        run(project, at)
    found = [(each.column, each.change, each.was, each.became, each.times) for each in status(project).changes]
    assert found == [("y", "missing", "string", None, 2), ("x", "widened", "int64", "double", 1)]


def test_vintages_of_one_run_are_read_in_order_of_their_time(made: Callable[[str, str], Project]) -> None:
    recipe = "uri: data/*.csv\ntable: t\nmode: upsert\nkeys: [k]\nknown_at: {path: '(?P<date>\\d{4}-\\d{2}-\\d{2})'}\n"
    project = made("dated", recipe)
    for name, value in {"z-2025-01-01": 1, "m-2025-01-02": 2, "a-2025-01-03": 1}.items():
        (project.folder / "data" / f"{name}.csv").write_text(f"k,v\nx,{value}\n")
    done = run(project)
    assert len([fact for receipt in done.receipts for fact in receipt.objects]) == 3, "none was read twice"
    values: Sequence[tuple[int]] = asked(project, "SELECT v FROM repository.t_history ORDER BY valid_from")
    assert values == [(1,), (2,), (1,)]


@pytest.mark.parametrize("mode", ["upsert", "snapshot", "scd2"])
def test_a_source_with_keys_is_fresh_from_any_run_that_succeeds_though_nothing_had_changed(
    made: Callable[[str, str], Project], mode: str
) -> None:
    recipe = f"uri: data/*.csv\ntable: t\nmode: {mode}\nkeys: [k]\nfresh_within: {{warn: 24h, fail: 36h}}\n"
    project = made(mode, recipe)
    file = project.folder / "data" / "a.csv"
    file.write_text("k,v\nx,1\n")
    hour, ended = timedelta(hours=1), list[datetime]()
    for rows in (1, 0):
        (done,) = run_assets(project, ["sources/s"]).assets
        assert (done.rows, done.metadata["objects_unchanged"]) == (rows, 1 - rows)
        (stated,) = status(project).freshness
        assert (stated.asset, stated.state) == ("sources/s", "fresh")
        ended.append(stated.last_run_at or day(1))
    assert ended[1] > ended[0]
    for age, state in ((25 * hour, "near"), (37 * hour, "overdue")):
        assert [each.state for each in status(project, now=ended[1] + age).freshness] == [state]
    file.write_text("v\n1\n")
    with pytest.raises(InputError, match="missing_key"):
        run_assets(project, ["sources/s"])
    assert [each.last_run_at for each in status(project).freshness] == [ended[1]], "a run that failed is none"
    spec = build_definitions(project).resolve_asset_graph().get(dg.AssetKey(["sources", "s"]))
    assert spec.freshness_policy is not None


def modelled(project: Project, name: str, kind: str, sql: str) -> None:
    """A SQL model ``marts.<name>`` of the project."""
    place = project.folder / "sql" / "marts" / f"{name}.sql"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"/* model\ndescription: A test\nkind: {kind}\ngrain: [k]\nowner: team:x\n*/\n{sql}\n")


@pytest.mark.parametrize("kind", ["table", "view"])
def test_a_model_may_ask_what_was_known_at_a_moment_and_comes_after_the_table(
    made: Callable[[str, str], Project], kind: str
) -> None:
    project = made("as_of", SNAPSHOT)
    modelled(project, "then", kind, "SELECT k, v\nFROM repository.t_as_of('2026-01-02') AS known")
    (project.folder / "data" / "a.csv").write_text("k,v\nx,1\ny,1\n")
    run(project, 1)
    (project.folder / "data" / "a.csv").write_text("k,v\nx,2\n")
    run(project, 3)
    graph = build_definitions(project).resolve_asset_graph()
    assert dg.AssetKey(["repository", "t"]) in graph.get(dg.AssetKey(["marts", "then"])).parent_keys
    run_assets(project, ["published/snapshot"])
    with connect_current(project.published, "prod") as con:
        assert fetch_all(con, "SELECT k, v FROM marts.then ORDER BY k") == [("x", 1), ("y", 1)]
    place = project.folder / "sql" / "marts" / "then.sql"
    place.write_text(place.read_text().replace("repository.t_as_of", "repository.u_as_of"))
    with pytest.raises(RecipeError, match=r"reads repository\.u_as_of, which nothing here writes"):
        build_definitions(project)
    place.write_text(place.read_text().replace("repository.u_as_of", "t_as_of"))
    with pytest.raises(RecipeError, match=r"then\.sql:8: reads t_as_of.*repository\.<table>_as_of"):
        build_definitions(project)


def test_features_may_be_made_of_the_history_of_a_keyed_table(made: Callable[[str, str], Project]) -> None:
    project = made("features", SNAPSHOT)
    (project.folder / "data" / "a.csv").write_text("k,v\nx,1\n")
    run(project, 1)
    (project.folder / "data" / "a.csv").write_text("k,v\nx,2\n")
    run(project, 3)
    (project.folder / "recipes" / "features").mkdir()
    (project.folder / "recipes" / "features" / "f.yaml").write_text(
        "spine:\n  select: SELECT k, TIMESTAMP '2026-01-02' AS moment FROM repository.t_current\n"
        "  keys: [k]\n  time: moment\nviews:\n  was:\n    relation: repository.t_history\n    keys: [k]\n"
        "    event_time: valid_from\n    known_at: valid_from\n    at_moment: counted\n    latest: {value: v}\n"
    )
    run_assets(project, ["published/snapshot", "features/f"])
    assert asked(project, "SELECT k, value FROM repository.features_f") == [("x", 1)]


def test_a_model_may_read_the_history_of_a_keyed_table_and_comes_after_the_table(
    made: Callable[[str, str], Project],
) -> None:
    project = made("model", SNAPSHOT)
    modelled(project, "spans", "table", "SELECT k, v, valid_from, valid_to FROM repository.t_history")
    graph = build_definitions(project).resolve_asset_graph()
    assert dg.AssetKey(["repository", "t"]) in graph.get(dg.AssetKey(["marts", "spans"])).parent_keys
    (project.folder / "recipes" / "sources" / "s.yaml").write_text("uri: data/*.csv\ntable: t\n")
    with pytest.raises(RecipeError, match=r"reads repository\.t_history, which nothing here writes"):
        build_definitions(project)

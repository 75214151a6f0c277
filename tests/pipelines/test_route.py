"""Laws of the whole route, on a small project of real text: counts add up, nothing is done twice, nothing leaks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics

import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from pipelines.event_log import EventLog
from pipelines.records import dagster_instance
from pipelines.run import run_assets
from warehouse import publish
from warehouse.errors import CheckFailed, UsageError
from warehouse.project import Project, load
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository

MakeProject = Callable[[], Project]


@pytest.fixture(scope="module")
def ran(project_at: Callable[[Path], Project], memory_folder: Path) -> Path:
    """The folder of the small project, run once; figures are checked. Tests that change something take a copy."""
    project = project_at(memory_folder / "ran")
    _expect(project, "repository.chips", "expect_column_values_to_be_between", column="units", min_value=0)
    run_assets(project)
    return project.folder


@pytest.fixture
def copy(ran: Path, memory_folder: Path, request: pytest.FixtureRequest) -> Project:
    """That project in this test's own folder."""
    return load(Path(shutil.copytree(ran, memory_folder / request.node.name)))


def rows(project: Project, sql: str) -> list[tuple[object, ...]]:
    """A query on the repository's newest versions."""
    repository = Repository(project.root)
    con = connect()
    attach_repository(con, [repository.snapshot(table) for table in repository.tables()])
    return fetch_all(con, sql)


def versions(project: Project) -> dict[str, int]:
    """The version of every table but ``runs``, which each run writes."""
    repository = Repository(project.root)
    return {table: repository.snapshot(table).version for table in repository.tables() if table != "runs"}


def test_every_record_is_a_row_or_a_reject(make_project: MakeProject) -> None:
    project = make_project()
    run_assets(project, ["sources/manual", "sources/chips"])
    lines = sum(len(path.read_text().splitlines()) for path in (project.folder / "data").glob("*.jsonl"))
    receipts = Repository(project.root).receipts("documents")
    assert sum(receipt.rows_in for receipt in receipts) == lines
    assert all(receipt.balanced for receipt in receipts)
    assert rows(project, "SELECT count(*) FROM repository.documents") == [(lines - 1,)]
    assert rows(project, "SELECT reason, count(*) FROM repository.rejects GROUP BY 1") == [("invalid_json", 1)]
    assert rows(project, "SELECT sum(units) FROM repository.chips") == [(30,)]


def test_a_name_that_no_object_has_is_said_with_those_that_there_are(make_project: MakeProject, capfd) -> None:
    project = make_project()
    recipe = project.folder / "recipes/sources/manual.yaml"
    recipe.write_text(recipe.read_text().replace("title: name", "title: nam"))
    run_assets(project, names=["sources/manual", "sources/chips"])
    said = capfd.readouterr().err
    assert "fields.title of source manual names 'nam' (did you mean 'name'?), which none of 2 objects" in said
    assert "they have name, body" in said and "chips names" not in said


def test_a_second_run_finds_nothing_to_do(copy: Project) -> None:
    before = versions(copy)
    run_assets(copy)
    assert versions(copy) == before


def test_the_events_of_a_step_are_stored_as_by_dagster_itself(ran: Path, tmp_path: Path) -> None:
    with dagster_instance(load(ran)) as held:
        run = held.get_run_records(limit=1)[0].dagster_run.run_id
        events = [
            entry for entry in held.all_logs(run) if entry.step_key in (None, "measure_documents", "repository__chips")
        ]
    planned = [entry for entry in events if str(entry.dagster_event_type).endswith("_PLANNED")]
    others = [entry for entry in events if entry not in planned]
    assert len(planned) > 4
    del planned[-1]  # of a check that is evaluated all the same
    ours, dagsters = EventLog(str(tmp_path / "ours")), SqliteEventLogStorage(str(tmp_path / "dagsters"))
    ours.store_event_batch(planned)
    for entry in others:
        ours.store_event(entry)
    for entry in planned + others:
        dagsters.store_event(entry)
    assert _stored(ours, run) == _stored(dagsters, run)
    ours.dispose()


def _stored(log: SqliteEventLogStorage, run: str) -> list[object]:
    """All rows of a log but the times at which they were written."""
    found: list[object] = []
    for connection in (log.run_connection(run), log.index_connection()):
        with connection as con:
            for table in ("event_logs", "asset_keys", "asset_event_tags", "asset_check_executions"):
                for row in con.exec_driver_sql(f"SELECT * FROM {table} ORDER BY id").mappings():
                    found.append({name: value for name, value in row.items() if name != "create_timestamp"})
    return found


def test_a_then_b_then_a_again_is_three_facts(make_project: MakeProject) -> None:
    project = make_project()
    file = project.folder / "data/manual-2.jsonl"
    texts = [topics[name] for name in sorted(topics)[60:62]]
    for text in (texts[0], texts[1], texts[0]):
        file.write_text(json.dumps({"name": "n", "body": text}) + "\n")
        run_assets(project, ["sources/manual"])
    facts = rows(project, "SELECT text FROM repository.documents WHERE uri LIKE '%manual-2%' ORDER BY known_at")
    assert [text for (text,) in facts] == [texts[0], texts[1], texts[0]]
    run_assets(project, ["sources/manual"])
    assert len(rows(project, "SELECT 1 FROM repository.documents WHERE uri LIKE '%manual-2%'")) == 3


def test_decisions_account_for_every_current_document(ran: Path) -> None:
    with publish.connect_current(load(ran).published, "prod") as con:
        decided = fetch_all(con, "SELECT rule_set, count(*) FROM curation.decisions GROUP BY 1")
        current = fetch_all(con, "SELECT count(*) FROM staging.current_documents")[0][0]
        silent = fetch_all(con, "SELECT count(*) FROM curation.decisions WHERE NOT kept AND reason IS NULL")
        twins = fetch_all(con, "SELECT count(*) FROM curation.decisions WHERE reason = 'duplicate_document'")
        funnel = fetch_all(con, "SELECT sum(documents) FROM curation.funnel WHERE rule_set = 'house'")
    assert {count for _, count in decided} == {current}
    assert silent == [(0,)]
    assert twins[0][0] > 0, "five topics stand in both files"
    assert funnel == [(current,)]


def test_a_poisoned_input_publishes_and_exports_nothing(copy: Project) -> None:
    run_assets(copy, ["datasets/corpus"])
    good = publish.current(copy.published, "prod")
    (copy.folder / "data/chips.csv").write_text("owner,units\nA,-5\n")
    with pytest.raises(CheckFailed) as refusal:
        run_assets(copy, ["sources/chips+"])
    assert refusal.value.values["checks"][0]["unexpected_count"] == 1
    assert publish.current(copy.published, "prod") == good
    assert sorted(path.name for path in (copy.datasets / "corpus").iterdir() if path.name.isdigit()) == ["1"]
    assert not list((copy.published / "prod").glob(".building*"))


def test_a_failing_mart_leaves_the_last_snapshot(copy: Project) -> None:
    good = publish.current(copy.published, "prod")
    _expect(copy, "curation.decisions", "expect_table_row_count_to_be_between", min_value=10**6)
    with pytest.raises(CheckFailed, match=r"curation/decisions"):
        run_assets(copy)
    assert publish.current(copy.published, "prod") == good
    assert not list((copy.published / "prod").glob(".building*"))


def test_an_unknown_asset_is_refused_with_the_nearest(make_project: MakeProject) -> None:
    with pytest.raises(UsageError, match="sources/manual"):
        run_assets(make_project(), ["sources/manul"])


def _expect(project: Project, table: str, kind: str, **kwargs: object) -> None:
    folder = project.folder / "expectations"
    folder.mkdir(exist_ok=True)
    suite = {"name": table, "expectations": [{"type": kind, "kwargs": kwargs}], "meta": {}}
    Path(folder / f"{table}.json").write_text(json.dumps(suite))

"""Laws of keeping tables in shape: what a snapshot or a release pins stays readable, a table in use is left alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from small_project import DECISIONS, publish_again, run, small_project
from written_release import write_release

from pipelines import operate
from pipelines.definitions import build_definitions
from pipelines.records import dagster_instance
from pipelines.run import run_assets
from warehouse import manifest, publish
from warehouse.contracts import RUNS
from warehouse.errors import NotFound, RecipeError
from warehouse.project import Project, load
from warehouse.query import fetch_all
from warehouse.repository import Repository, locks

LATER = datetime.now(UTC) + timedelta(days=30)


@pytest.fixture
def project(memory_folder: Path, request: pytest.FixtureRequest) -> Project:
    return small_project(memory_folder / request.node.name)


def append_runs(project: Project, count: int) -> None:
    for _ in range(count):
        batch = pa.RecordBatch.from_pylist([run("sources/notes", 3, 0.1)], schema=RUNS)
        Repository(project.root).append("runs", [batch], schema=RUNS, source="notes", run_id="run-9")


def release(project: Project, **inputs: int) -> Path:
    """A release on the shelf that pins these versions."""
    folder = write_release(project.datasets / "made" / "1", (4,), name="made")
    held = replace(manifest.read_manifest(folder), inputs=inputs)
    (folder / manifest.NAME).write_bytes(manifest.encode(replace(held, seal=manifest.seal(held))))
    return folder


def test_what_snapshots_and_live_releases_pin_stays_and_the_rest_goes(project: Project) -> None:
    repository = Repository(project.root)
    append_runs(project, 3)
    operate.maintain(project, now=LATER)  # version 4 is of one file
    append_runs(project, 2)
    release(project, runs=repository.snapshot("runs").version)
    append_runs(project, 2)
    rows = {v: repository.snapshot("runs", version=v).rows for v in (0, 6)}
    [done] = operate.maintain(project, ["runs"], now=LATER)
    assert (done.table, done.files_before, done.files) == ("runs", 5, 1)
    assert operate.pins(project)["runs"] == {0, 6}
    assert repository.snapshot("runs", version=6).rows == rows[6]
    with publish.connect_current(project.published, "prod") as con:
        assert fetch_all(con, "SELECT count(*) FROM repository.runs") == [(rows[0],)]
    with pytest.raises(NotFound, match="version 8 of table runs is no longer kept"):
        repository.snapshot("runs", version=8)
    publish_again(project, DECISIONS)
    (project.datasets / "made/index.json").write_text(
        '{"name": "made", "versions": [{"version": 1, "id": "", "state": "revoked", "why": "taken down"}]}'
    )
    assert operate.pins(project)["runs"] == {0, 9}, "a revoked release pins nothing"


def test_a_table_that_a_writer_holds_is_left_to_the_next_time(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operate, "WAIT_S", 0.05)
    append_runs(project, 2)
    with locks.alone(project.root / "locks" / "runs", what="table runs", wait_s=1):
        done = {each.table: each for each in operate.maintain(project, now=LATER)}
    assert done["runs"].busy == f"table runs is being written by process {os.getpid()} (waited 0.05 s)"
    assert (done["runs"].files, done["documents"].busy) == (3, "")
    assert {each.table: each.files for each in operate.maintain(project, now=LATER)}["runs"] == 1


def test_maintenance_is_a_run_of_its_own_that_no_other_run_brings(make_project: Callable[[], Project]) -> None:
    project = make_project()
    outcome = run_assets(project, ["sources/chips"])
    assert {asset.name for asset in outcome.assets} == {"sources/chips"}
    append_runs(project, 3)
    [done] = run_assets(project, ["maintenance/tables"], tables=["runs"]).assets
    [kept] = done.metadata["tables"]
    assert (kept["table"], kept["files_before"], kept["files"], kept["versions"]) == ("runs", 4, 1, 5)
    assert Repository(project.root).snapshot("runs").rows == 5, "maintenance has its own row"
    with pytest.raises(NotFound, match="no table 'hats' in the repository"):
        run_assets(project, ["maintenance/tables"], tables=["hats"])
    with dagster_instance(project) as instance:
        [event] = instance.fetch_materializations(dg.AssetRecordsFilter(operate.KEY), limit=2).records
    assert event.run_id == run_assets(project, ["sources/chips"]).run_id or event.run_id


def test_the_schedule_is_on_where_the_project_states_when_and_how_long_versions_are_kept(project: Project) -> None:
    def stated(text: str) -> Project:
        (project.folder / "warehouse.toml").write_text(f"builtin = false\n{text}")
        return load(project.folder)

    def schedule(of: Project) -> dg.ScheduleDefinition:
        definitions = build_definitions(of).get_repository_def()
        return definitions.get_schedule_def("maintenance")

    assert schedule(stated("")).default_status == dg.DefaultScheduleStatus.STOPPED
    found = stated('[maintenance]\nschedule = "30 3 * * 6"\nkeep = "36h"\ntables = {runs = "1h"}\n')
    assert (schedule(found).cron_schedule, schedule(found).default_status) == (
        "30 3 * * 6",
        dg.DefaultScheduleStatus.RUNNING,
    )
    assert [found.maintenance.kept_s(table) for table in ("documents", "runs")] == [36 * 3600, 3600]
    with pytest.raises(RecipeError, match=r"warehouse\.toml:3: keep is '59m'.*an hour or more"):
        stated('[maintenance]\nkeep = "59m"\n')
    with pytest.raises(RecipeError, match=r"warehouse\.toml:4: tables\.runs is 7"):
        stated("[maintenance]\n[maintenance.tables]\nruns = 7\n")
    with pytest.raises(RecipeError, match=r"warehouse\.toml:3: unknown key 'kept' in \[maintenance\]"):
        stated('[maintenance]\nkept = "7d"\n')
    with pytest.raises(RecipeError, match=r"warehouse\.toml:3: schedule is 'weekly'"):
        schedule(stated('[maintenance]\nschedule = "weekly"\n'))

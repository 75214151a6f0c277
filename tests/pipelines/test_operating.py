"""Laws of unattended work: partitions add up to the whole, only networks are tried again, a dropped file runs once."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest
import yaml
from loopback import Answer, Loopback, loopback

from pipelines import ingest
from pipelines.definitions import build_definitions
from pipelines.records import HOME_YAML, PROCESS_TAG, SERVER_TAG, dagster_home, dagster_instance, process_mark
from pipelines.run import run_assets, ui_command
from warehouse.contracts import ObjectFact
from warehouse.errors import InputError, NetworkError, RecipeError, UsageError
from warehouse.project import Project, load
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository

METERS = r"""
uri: data/meters/*/*.csv
table: {table}
partitions: {{path: 'day=(?P<key>\d{{4}}-\d{{2}}-\d{{2}})/', kind: daily, start: 2026-01-01}}
"""
DAYS = ("2026-01-03", "2026-01-04", "2026-01-07")


@pytest.fixture
def project(memory_folder: Path, request: pytest.FixtureRequest) -> Project:
    """Two equal sources of meters by day, each with a table of its own; all projects here share Dagster's home."""
    folder = memory_folder / request.node.name.partition("[")[0]
    for name in ("meters", "again"):
        write(folder / f"recipes/sources/{name}.yaml", METERS.format(table=name))
    for day in DAYS:
        for hall in range(2):
            write(folder / f"data/meters/day={day}/{hall}.csv", f"hall,mw\n{hall},{day[-1]}\n{hall},1{hall}\n")
    return stating(folder, "")


def write(path: Path, text: str, *, age_s: float = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def stating(folder: Path, text: str, *, state: str = "../state") -> Project:
    """The project in a folder whose warehouse.toml ends with ``text``."""
    write(folder / "warehouse.toml", f'builtin = false\nstate = "{state}"\n{text}')
    return load(folder)


def rows(project: Project, table: str) -> Counter[tuple[object, ...]]:
    with connect() as con:
        attach_repository(con, [Repository(project.root).snapshot(table)])
        return Counter(fetch_all(con, f"SELECT hall, mw, _uri, _record FROM repository.{table}"))


def facts(project: Project, table: str) -> list[ObjectFact]:
    return [fact for receipt in Repository(project.root).receipts(table) for fact in receipt.objects]


def instance(project: Project) -> dg.DagsterInstance:
    return dagster_instance(project)


def counts(project: Project, name: str) -> dict[str | None, object]:
    """Rows of each partition, as its last materialisation in Dagster says."""
    with instance(project) as held:
        key = dg.AssetKey(["sources", name])
        records = held.fetch_materializations(dg.AssetRecordsFilter(key), limit=99).records
    made = [(each.partition_key, each.asset_materialization) for each in records if each.partition_key]
    return {key: one.metadata["rows_out"].value for key, one in made if one}


def test_partition_by_partition_is_the_whole_and_every_receipt_says_its_partition(project: Project) -> None:
    project = stating(project.folder, "", state="own")
    write(project.folder / f"data/meters/day={DAYS[1]}/2.csv", "hall,mw\n2,9\n")
    run_assets(project, ["sources/meters"])
    run_assets(project, ["sources/again"], partition=DAYS[2])
    (one,) = run_assets(project, ["sources/again"], partition=f"{DAYS[0]}...2026-01-05").assets
    assert one.rows == 9, "two days, of two objects of two rows and one of one"
    assert rows(project, "again") == rows(project, "meters")
    for table in ("meters", "again"):
        for fact in facts(project, table):
            assert f"day={fact.partition}/" in fact.uri
            assert fact.rows_in == fact.rows_out + fact.unchanged + fact.rejected + fact.dropped > 0
    assert counts(project, "meters") == {DAYS[0]: 4, DAYS[1]: 5, DAYS[2]: 4}
    assert counts(project, "again") == {DAYS[0]: 4, DAYS[1]: 5, DAYS[2]: 4, "2026-01-05": 0}, "an empty day is done too"


def test_a_run_of_one_partition_reads_no_object_of_another(project: Project) -> None:
    for day in DAYS[1:]:
        for path in (project.folder / f"data/meters/day={day}").iterdir():
            path.write_bytes(b"\xff\x00 not a table \xff")
    run_assets(project, ["sources/meters+"], partition=DAYS[0])
    assert {fact.partition for fact in facts(project, "meters")} == {DAYS[0]}


def test_a_run_without_a_partition_reads_all_that_is_new_and_nothing_again(project: Project) -> None:
    run_assets(project, ["sources/meters"], partition=DAYS[0])
    (all_,) = run_assets(project, ["sources/meters"]).assets
    assert (all_.rows, all_.metadata["objects"], all_.metadata["objects_unchanged"]) == (8, 6, 2)
    (again,) = run_assets(project, ["sources/meters"]).assets
    assert (again.rows, again.metadata["objects_unchanged"]) == (0, 6)


def test_an_object_of_no_partition_stops_the_run_before_anything_is_read(project: Project) -> None:
    write(project.folder / "data/meters/README/x.csv", "hall,mw\n1,2\n")
    for partition in (None, DAYS[0]):
        with pytest.raises(InputError, match=r"README/x\.csv of source meters has no partition"):
            run_assets(project, ["sources/meters"], partition=partition)
    assert "meters" not in Repository(project.root).tables()


@pytest.mark.parametrize(
    ("names", "partition", "said"),
    [
        (["sources/meters"], "2025-12-31", "2026-01-01, 2026-01-02"),
        (["sources/meters"], "2026-01-04...2026-01-03", "in order"),
        (["sources/meters", "sources/again"], DAYS[0], "for 2 of the sources"),
        (["repository/meters"], DAYS[0], "sources/meters"),
    ],
)
def test_a_partition_that_does_not_exist_is_refused_with_those_that_do(project, names, partition, said) -> None:
    with pytest.raises(UsageError, match=said):
        run_assets(project, names, partition=partition)


def test_a_partition_where_no_source_has_any_is_refused(make_project: Callable[[], Project]) -> None:
    with pytest.raises(UsageError, match="no source of this project has partitions"):
        run_assets(make_project(), ["sources/manual"], partition=DAYS[0])


def test_dynamic_partitions_are_those_of_the_objects(project: Project) -> None:
    recipe = project.folder / "recipes/sources/meters.yaml"
    recipe.write_text(METERS.format(table="meters").replace("kind: daily, start: 2026-01-01", "kind: dynamic"))
    (one,) = run_assets(project, ["sources/meters"], partition=DAYS[1]).assets
    assert one.rows == 4
    with instance(project) as held:
        assert held.get_dynamic_partitions("sources/meters") == sorted(DAYS)
    with pytest.raises(UsageError, match="is no partition"):
        run_assets(project, ["sources/meters"], partition="2026-01-05")


def test_sources_of_different_partitions_still_run_together_by_schedule_and_by_hand(project: Project) -> None:
    path = project.folder / "recipes/sources/again.yaml"
    path.write_text(path.read_text().replace("2026-01-01", "2026-01-02"))
    definitions = build_definitions(project)
    assert not {"run", "ingest"} & {job.name for job in definitions.resolve_all_job_defs()}
    request = tick_of_the_schedule(definitions)
    assert dg.AssetKey(["sources", "again"]) in request.asset_selection
    assert len(run_assets(project, ["sources/meters", "sources/again"]).assets) == 2


def tick_of_the_schedule(definitions: dg.Definitions) -> dg.RunRequest:
    schedule = definitions.resolve_schedule_def("nightly")
    context = dg.build_schedule_context(repository_def=definitions.get_repository_def())
    (request,) = schedule.evaluate_tick(context).run_requests
    return request


def test_the_schedule_is_off_until_the_project_states_it_and_asks_for_all_but_releases(project: Project) -> None:
    quiet = build_definitions(project).resolve_schedule_def("nightly")
    assert (quiet.cron_schedule, quiet.default_status) == ("0 2 * * *", dg.DefaultScheduleStatus.STOPPED)
    zurich = '[schedule]\nnightly = "30 1 * * 1-5"\ntimezone = "Europe/Zurich"\n'
    definitions = build_definitions(stating(project.folder, zurich))
    stated = definitions.resolve_schedule_def("nightly")
    assert (stated.cron_schedule, stated.execution_timezone) == ("30 1 * * 1-5", "Europe/Zurich")
    assert stated.default_status == dg.DefaultScheduleStatus.RUNNING
    groups = {key.path[0] for key in tick_of_the_schedule(definitions).asset_selection}
    assert {"sources", "repository", "published"} <= groups
    assert "datasets" not in groups


@pytest.mark.parametrize(
    "text",
    [
        '[schedule]\nnightly = "0 25 * * *"',
        '[schedule]\nnightly = "daily at two"',
        '[schedule]\ntimezone = "Mars/Olympus"',
        "[schedule]\nnightly = 2",
        '[schedule]\nweekly = "0 0 * * *"',
        'fresh_within = "soon"',
    ],
)
def test_a_wrong_schedule_or_span_is_refused_with_the_file(project: Project, text: str) -> None:
    (project.folder / "warehouse.toml").write_text(text)
    with pytest.raises(RecipeError, match=r"warehouse\.toml:\d+: ") as caught:
        build_definitions(load(project.folder))
    assert caught.value.allowed


@pytest.fixture
def server(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with loopback(Answer(body=b"hall,mw\n1,2\n", headers={"ETag": '"1"'})) as made:
        write(project.folder / "recipes/sources/feed.yaml", f"uri: {made.url}/feed.csv\ntable: feed\n")
        yield made


def test_a_network_that_fails_twice_is_tried_again_and_counted(project: Project, server: Loopback) -> None:
    server.answers = [Answer(503), Answer(reset=True)]
    (done,) = run_assets(project, ["sources/feed"]).assets
    assert (done.rows, done.metadata["network_retries"], len(server.seen)) == (1, 2, 3)
    (again,) = run_assets(project, ["sources/feed"]).assets
    assert (again.rows, again.metadata["objects_unchanged"], again.metadata["bytes_read"]) == (0, 1, 0)
    assert server.seen[-1]["if-none-match"] == '"1"'
    (fact,) = facts(project, "feed")
    assert fact.version == '"1"'
    (reread,) = run_assets(project, ["sources/feed"], reread=True).assets
    assert (reread.rows, reread.metadata["bytes_read"]) == (1, 0), "read again from the archive"


def test_what_will_not_pass_is_asked_for_once(project: Project, server: Loopback) -> None:
    server.always = Answer(404)
    with pytest.raises(InputError, match="answers 404"):
        run_assets(project, ["sources/feed"])
    server.always = Answer(body=b'hall,mw\n1,2\n1,2,3\n"')
    with pytest.raises(InputError, match="were rejected"):
        run_assets(project, ["sources/feed"])
    assert len(server.seen) == 2


def test_tries_are_bounded_and_the_last_error_is_the_networks_own(project, server, monkeypatch) -> None:
    monkeypatch.setattr(ingest, "RETRIES", 1)
    server.always = Answer(503)
    with pytest.raises(NetworkError, match=r"feed\.csv answers 503"):
        run_assets(project, ["sources/feed"])
    assert len(server.seen) == 2


@pytest.fixture
def feeds(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Loopback]]:
    """A source of two URLs, of which one may be dead."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(ingest, "RETRIES", 1)
    good = Answer(body=b"hall,mw\n1,2\n", headers={"ETag": '"1"'})
    with loopback(good) as alive, loopback(good) as dead:
        uris = [f"{alive.url}/a.csv", f"{dead.url}/b.csv"]
        text = f"uri: {json.dumps(uris)}\ntable: feed\nmax_reject_share: 0.5\n"
        write(project.folder / "recipes/sources/feed.yaml", text)
        yield {"alive": alive, "dead": dead}


def rejects(project: Project) -> list[tuple[object, ...]]:
    with connect() as con:
        attach_repository(con, [Repository(project.root).snapshot("rejects")])
        return fetch_all(con, "SELECT uri, reason FROM repository.rejects")


def test_a_dead_url_is_a_reject_and_the_other_objects_are_committed(project, feeds, capsys) -> None:
    dead = f"{feeds['dead'].url}/b.csv"
    for answer, tries, rows_out in ((Answer(503), 2, 1), (Answer(404), 1, 0), (Answer(reset=True), 2, 0)):
        feeds["dead"].always = answer
        feeds["dead"].seen.clear()
        (done,) = run_assets(project, ["sources/feed"]).assets
        assert (done.rows, done.metadata["rows_out"], done.metadata["objects_failed"]) == (rows_out, rows_out, 1)
        assert done.metadata["objects_unchanged"] == 1 - rows_out
        assert len(feeds["dead"].seen) == tries
        assert dead in capsys.readouterr().err
        assert [fact.uri for fact in facts(project, "feed")] == [f"{feeds['alive'].url}/a.csv"]
        assert rejects(project) == [(dead, "not_fetched")], "said once"
    feeds["dead"].always = feeds["alive"].always
    (mended,) = run_assets(project, ["sources/feed"]).assets
    assert mended.rows == 1 and "objects_failed" not in mended.metadata


def test_a_link_out_of_the_folder_is_a_reject_once_and_its_target_is_not_read(project: Project) -> None:
    write(project.folder / "elsewhere/secret.csv", "hall,mw\n9,9\n")
    (project.folder / "data/linked").mkdir(parents=True)
    write(project.folder / "data/linked/a.csv", "hall,mw\n1,2\n")
    (project.folder / "data/linked/b.csv").symlink_to(project.folder / "elsewhere/secret.csv")
    text = "uri: data/linked\ntable: linked\nmax_reject_share: 0.5\n"
    write(project.folder / "recipes/sources/linked.yaml", text)
    (done,) = run_assets(project, ["sources/linked"]).assets
    assert (done.rows, done.metadata["rejected"]) == (1, 1)
    assert rejects(project) == [("data/linked/b.csv", "link_outside")]
    (again,) = run_assets(project, ["sources/linked"]).assets
    assert (again.rows, again.metadata["rejected"], again.metadata["objects_unchanged"]) == (0, 0, 2)


def test_an_outage_leaves_what_was_read_as_it_was(project, feeds) -> None:
    assert run_assets(project, ["sources/feed"]).assets[0].rows == 2
    feeds["dead"].answers = [Answer(404)]
    assert run_assets(project, ["sources/feed"]).assets[0].rows == 0
    (after,) = run_assets(project, ["sources/feed"]).assets
    assert (after.rows, after.metadata["objects_unchanged"]) == (0, 2)
    assert feeds["dead"].seen[-1]["if-none-match"] == '"1"'


def test_too_many_dead_urls_fail_the_source_after_the_others_are_committed(project, feeds) -> None:
    recipe = project.folder / "recipes/sources/feed.yaml"
    write(recipe, recipe.read_text().replace("0.5", "0.4"))
    feeds["dead"].always = Answer(410)
    with pytest.raises(InputError, match=r"1 of 2 objects could not be fetched.*b\.csv answers 410"):
        run_assets(project, ["sources/feed"])
    assert len(facts(project, "feed")) == 1
    feeds["alive"].always = Answer(410)
    write(recipe, recipe.read_text().replace("0.4", "1.0"))
    with pytest.raises(InputError, match="2 of 2 objects"):
        run_assets(project, ["sources/feed"])


Tick = Callable[[], list[dg.RunRequest]]


@pytest.fixture
def tick(project: Project) -> Tick:
    """A tick of the sensor against the project's own instance, opened anew each time as after a restart."""
    cursor: list[str | None] = [None]

    def evaluate() -> list[dg.RunRequest]:
        definitions = build_definitions(load(project.folder))
        with instance(project) as held:
            context = dg.build_sensor_context(
                instance=held, cursor=cursor[0], repository_def=definitions.get_repository_def()
            )
            ended = definitions.resolve_sensor_def("inbox").evaluate_tick(context)
        cursor[0] = ended.cursor or cursor[0]
        return list(ended.run_requests or [])

    return evaluate


def test_each_dropped_file_asks_once_for_its_source_and_what_is_made_from_it(project: Project, tick: Tick) -> None:
    assert tick() == []
    box = project.folder / "inbox/meters/day=2026-01-09"
    write(box / "a.csv", "hall,mw\n1,2\n")
    write(box / "ü $(b).csv", "hall,mw\n1,3\n")
    (request,) = tick()
    assert request.run_key is not None
    selected = {"/".join(key.path) for key in request.asset_selection or ()}
    assert {"sources/meters", "repository/meters", "published/snapshot"} <= selected
    assert not {"sources/again", "repository/again"} & selected
    assert tick() == []
    run_assets(project, sorted(selected))
    assert {fact.partition for fact in facts(project, "meters")} >= {"2026-01-09"}
    (box / "a.csv").unlink()
    assert tick() == [], "a file that goes is no arrival"
    write(box / "b.csv", "hall,mw\n1,4\n", age_s=1)
    assert tick() == [], "a file that is still written is none yet"
    write(box / "b.csv", "hall,mw\n1,4\n")
    (later,) = tick()
    assert later.run_key != request.run_key
    write(box / "b.csv", "hall,mw\n1,5\n", age_s=30)
    assert len(tick()) == 1, "another content is another arrival"


def test_a_tick_that_is_lost_before_its_cursor_is_kept_asks_under_the_same_key(project: Project, tick: Tick) -> None:
    write(project.folder / "inbox/meters/day=2026-01-09/a.csv", "hall,mw\n1,2\n")
    definitions = build_definitions(project)
    keys = set()
    for _ in range(2):
        with instance(project) as held:
            context = dg.build_sensor_context(instance=held, repository_def=definitions.get_repository_def())
            (request,) = definitions.resolve_sensor_def("inbox").evaluate_tick(context).run_requests
            keys.add(request.run_key)
    assert len(keys) == 1


def test_one_build_at_a_time_is_a_setting_of_every_home_and_stated_settings_stay(project: Project) -> None:
    project = stating(project.folder, "", state="own")
    settings = dagster_home(project) / "dagster.yaml"
    assert settings.read_text() == HOME_YAML
    settings.write_text(
        "telemetry:\n  enabled: false\nnux:\n  enabled: false\nretention:\n  sensor:\n    purge_after_days: 3\n"
    )
    stated = yaml.safe_load(settings.read_text())
    first = dagster_home(project) / "dagster.yaml"
    assert yaml.safe_load(first.read_text()) == yaml.safe_load(HOME_YAML) | stated
    before = first.read_text()
    dagster_home(project)
    assert first.read_text() == before
    with instance(project) as held:
        assert held.global_op_concurrency_default_limit == 1


def test_events_go_to_the_storage_that_the_settings_state(project: Project) -> None:
    project = stating(project.folder, "", state="stored")
    with dagster_instance(project) as held:
        assert type(held.event_log_storage).__name__ == "EventLog"
    settings, elsewhere = dagster_home(project) / "dagster.yaml", project.state / "elsewhere"
    settings.write_text(f"storage:\n  sqlite:\n    base_dir: {elsewhere}\n")
    with dagster_instance(project) as held:
        held.get_runs()
        assert "event_log_storage" not in settings.read_text()
    assert elsewhere.is_dir()


def test_an_event_that_the_index_refuses_is_in_neither_database(project: Project, monkeypatch) -> None:
    project = stating(project.folder, "", state="refused")
    key = dg.AssetKey(["repository", "pages"])
    with instance(project) as held:
        log = held.event_log_storage
        with monkeypatch.context() as patch:
            patch.setattr(log, "_store_asset_event", mock.Mock(side_effect=OSError("refused")))
            with pytest.raises(OSError, match="refused"):
                held.report_runless_asset_event(dg.AssetMaterialization(key))
        held.report_runless_asset_event(dg.AssetMaterialization(key))
        stored = "SELECT count(*) FROM event_logs"
        for connection in (log.run_connection(""), log.index_connection()):
            with connection as con:
                assert con.exec_driver_sql(stored).scalar() == 1


def test_the_step_that_builds_the_duckdb_file_is_in_the_pool_and_a_run_of_the_command_line_in_none(project) -> None:
    def of(**options: str | None) -> set[str]:
        job = build_definitions(project, **options).resolve_implicit_global_asset_job_def()
        return {pool for node in job.graph.node_defs for pool in node.pools}

    assert of() == {"duckdb_writer"}
    assert of(pool=None) == set()


def test_runs_that_died_with_their_process_or_server_are_ended_and_no_other(project: Project, tmp_path: Path) -> None:
    project = stating(project.folder, "", state="lost")
    own, mark = os.getpid(), process_mark(os.getpid())
    with socket.socket(socket.AF_UNIX) as server, instance(project) as held:
        server.bind(str(tmp_path / "up"))
        server.listen()
        tags = {
            "alive": {PROCESS_TAG: f"{own} {mark}"},
            "dead": {PROCESS_TAG: f"{own} {mark}0"},
            "served": {SERVER_TAG: json.dumps({"host": "localhost", "socket": str(tmp_path / "up")})},
            "stranded": {SERVER_TAG: json.dumps({"host": "localhost", "socket": str(tmp_path / "down")})},
            "foreign": {},
        }
        job = build_definitions(project).resolve_implicit_global_asset_job_def()
        runs = {
            name: held.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=t) for name, t in tags.items()
        }
        ui_command(project, host="127.0.0.1", port=3000)
        ended = {
            name for name, run in runs.items() if held.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
        }  # type: ignore[union-attr] # all are there
    assert ended == {"dead", "stranded"}

"""What a data engineer finds in Dagster's UI: assets by stage with facts and checks, jobs that run, and a clean end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from loopback import Answer
from serving import COMMAND, DAYS, wait_until

STAGES = {
    "sources",
    "repository",
    "curation",
    "staging",
    "marts",
    "published",
    "runway",
    "datasets",
    "maintenance",
    "report",
    "takedown",
}
ASSETS = """{ assetNodes {
    assetKey { path } groupName description kinds jobNames
    owners { ... on TeamAssetOwner { team } }
    assetMaterializations(limit: 1) { runId metadataEntries {
        label
        ... on IntMetadataEntry { intValue }
        ... on FloatMetadataEntry { floatValue }
        ... on TableSchemaMetadataEntry { schema { columns { name type } } } } }
    assetChecksOrError { ... on AssetChecks { checks {
        name description executionForLatestMaterialization { status runId } } } } } }"""
JOBS = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
    name location { name } jobs { name description } } } } }"""
LAUNCH = """mutation ($at: JobOrPipelineSelector!) {
    launchRun(executionParams: {selector: $at}) { __typename ... on LaunchRunSuccess { run { runId } } } }"""
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
STATUS = """query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"""


def assets(ask) -> dict[str, dict[str, Any]]:
    """Every asset by name."""
    return {"/".join(node["assetKey"]["path"]): node for node in ask(ASSETS)["assetNodes"]}


def facts(node: dict[str, Any]) -> dict[str, Any]:
    """The metadata of an asset's last materialisation, by label; None for kinds of values not asked for."""
    (last,) = node["assetMaterializations"]
    entries = {entry["label"]: list(entry.values()) for entry in last["metadataEntries"]}
    return {**{label: values[1] if values[1:] else None for label, values in entries.items()}, "run": last["runId"]}


def columns(node: dict[str, Any]) -> set[str]:
    """Names of the columns that the last materialisation shows."""
    return {column["name"] for column in facts(node)["dagster/column_schema"]["columns"]}


def run_by_command_line(project: Path) -> str:
    """The id of a run in a process of its own, which succeeds and says nothing on stderr."""
    run = subprocess.run([*COMMAND, "run", "--project", str(project)], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.split()[-1]


AUTOMATION = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
    schedules { name cronSchedule executionTimezone pipelineName description scheduleState { status } }
    sensors { name description minIntervalSeconds sensorState { status } } } } }
    instance { poolConfig { poolGranularity defaultPoolLimit } } }"""
OPERATION = """{ assetNodes {
    assetKey { path } pools isPartitioned partitionKeys partitionDefinition { type description }
    backfillPolicy { policyType }
    internalFreshnessPolicy { ... on TimeWindowFreshnessPolicy { failWindowSeconds warnWindowSeconds } }
    metadataEntries { label ... on TextMetadataEntry { text } }
    targetingInstigators { ... on Schedule { name } ... on Sensor { name } } } }"""
RUNS = """{ runsOrError(limit: 20) { ... on Runs { results {
    runId status startTime stepStats { stepKey startTime endTime } tags { key value } } } } }"""
BACKFILL = """mutation ($what: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $what) {
    __typename ... on LaunchBackfillSuccess { backfillId } } }"""
BACKFILLED = """query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
    status runs(limit: 10) { runId status eventConnection { events { __typename } } } } } }"""
BY_PARTITION = """query ($key: AssetKeyInput!, $days: [String!]!) { assetNodeOrError(assetKey: $key) {
    ... on AssetNode { latestMaterializationByPartition(partitions: $days) { partition runId
        metadataEntries { label ... on IntMetadataEntry { intValue } } } } } }"""


@pytest.fixture(scope="module")
def dropped(ask) -> list[dict[str, Any]]:
    """The runs that the daemon's sensor started for the two files in the inboxes, ended, in order of their start."""

    def runs() -> list[dict[str, Any]]:
        found = ask(RUNS)["runsOrError"]["results"]
        return [run for run in found if any(tag["key"] == "warehouse/inbox" for tag in run["tags"])]

    wait_until(lambda: len(runs()) == 2 and all(run["status"] in ENDED for run in runs()), 240)
    return sorted(runs(), key=lambda run: run["startTime"])


@pytest.fixture(scope="module")
def ran(ask, project: Path, dropped: list[dict[str, Any]]) -> str:
    """The id of a run by the command line while the UI is up, after those of the sensor."""
    return run_by_command_line(project)


def test_the_workspace_of_the_checkout_is_valid(checkout, tmp_path):
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    home = {"DAGSTER_HOME": str(tmp_path), "DAGSTER_DISABLE_TELEMETRY": "1"}
    ended = subprocess.run(
        command, cwd=checkout, env={**os.environ, **home}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not list(checkout.glob(".tmp_dagster_home*"))


def test_assets_stand_in_their_stages_with_description_kinds_and_owners(ask):
    found = assets(ask)
    assert {node["groupName"] for node in found.values()} == STAGES
    expected = {"sources/example", "sources/chips", "repository/documents", "repository/chips", "repository/signals"}
    assert expected | {"curation/decisions", "published/snapshot", "datasets/example"} <= found.keys()
    for name, node in found.items():
        assert len(node["description"]) > 20, name
        assert node["kinds"], name
        assert node["owners"] == [{"team": "data-platform"}], name


def test_every_writing_verb_is_a_job_with_a_description(ask):
    (repository,) = ask(JOBS)["repositoriesOrError"]["nodes"]
    jobs = {job["name"]: job["description"] for job in repository["jobs"]}
    assert all(jobs[name] for name in ("run", "ingest", "export", "maintain"))


def test_schedule_sensor_and_pool_stand_as_the_project_states_them(ask):
    answer = ask(AUTOMATION)
    (repository,) = answer["repositoriesOrError"]["nodes"]
    schedules = {each["name"]: each for each in repository["schedules"]}
    (sensor,), schedule, upkeep = repository["sensors"], schedules.pop("nightly"), schedules.pop("maintenance")
    assert not schedules
    assert (upkeep["pipelineName"], upkeep["scheduleState"]) == ("maintain", {"status": "STOPPED"})
    assert (upkeep["cronSchedule"], upkeep["executionTimezone"]) == ("0 4 * * *", "Europe/Zurich")
    assert (schedule["name"], schedule["pipelineName"], schedule["scheduleState"]) == (
        "nightly", "run", {"status": "RUNNING"},
    )  # fmt: skip
    assert (schedule["cronSchedule"], schedule["executionTimezone"]) == ("30 1 * * *", "Europe/Zurich")
    assert (sensor["name"], sensor["sensorState"]) == ("inbox", {"status": "RUNNING"})
    assert schedule["description"]
    assert sensor["description"]
    assert answer["instance"]["poolConfig"] == {"poolGranularity": "run", "defaultPoolLimit": 1}


def test_partitions_freshness_pool_and_retries_stand_on_their_assets(ask):
    found = {"/".join(node["assetKey"]["path"]): node for node in ask(OPERATION)["assetNodes"]}
    feed, chips, snapshot = found["sources/feed"], found["sources/chips"], found["published/snapshot"]
    assert feed["partitionDefinition"]["type"] == "TIME_WINDOW"
    assert {*DAYS, "2026-01-04"} <= set(feed["partitionKeys"])
    assert feed["backfillPolicy"] == {"policyType": "SINGLE_RUN"}
    assert [name for name, node in found.items() if node["isPartitioned"]] == ["sources/feed"]
    stated = {name: node["internalFreshnessPolicy"] for name, node in found.items() if node["internalFreshnessPolicy"]}
    assert stated == {
        "sources/chips": {"failWindowSeconds": 36 * 3600, "warnWindowSeconds": 24 * 3600},
        "published/snapshot": {"failWindowSeconds": 36 * 3600, "warnWindowSeconds": None},
    }
    assert snapshot["pools"] == ["duckdb_writer"]
    assert not found["repository/chips"]["pools"]
    retries = [next(e["text"] for e in node["metadataEntries"] if e["label"] == "retries") for node in (feed, chips)]
    assert retries == ["4, of network errors only", "none"]


def step(run: dict[str, Any], key: str) -> dict[str, Any]:
    """When a step of a run began and ended."""
    return next(each for each in run["stepStats"] if each["stepKey"] == key)


def test_a_file_in_an_inbox_starts_one_run_of_its_source_and_builds_wait_for_each_other(ask, dropped):
    assert {run["status"] for run in dropped} == {"SUCCESS"}
    asked = {tag["value"] for run in dropped for tag in run["tags"] if tag["key"] == "warehouse/inbox"}
    assert asked == {"1 new of chips", "1 new of power"}
    earlier, later = sorted((step(run, "build_snapshot") for run in dropped), key=lambda each: each["startTime"])
    assert later["startTime"] >= earlier["endTime"]
    found = assets(ask)
    assert facts(found["repository/power"])["dagster/row_count"] == 1
    assert facts(found["repository/chips"])["dagster/row_count"] == 3
    assert facts(found["published/snapshot"])["run"] == dropped[1]["runId"]


def test_every_materialisation_shows_its_cost_and_every_check_stands_beside_its_asset(ask, ran):
    apart = ("datasets", "report", "maintenance", "takedown")
    materialised = {name: node for name, node in assets(ask).items() if node["groupName"] not in apart}
    for name, node in materialised.items():
        assert facts(node)["run"] == ran
        assert {"cpu_s", "wall_s", "peak_rss"} <= facts(node).keys(), name
        for check in node["assetChecksOrError"].get("checks", []):
            assert check["executionForLatestMaterialization"]["status"] == "SUCCEEDED", (name, check)
    checked = {name: node["assetChecksOrError"].get("checks", []) for name, node in materialised.items()}
    assert {"grain_is_unique"} <= {check["name"] for check in checked["curation/decisions"]}
    assert {"text_not_null", "doc_id_known_at_unique"} & {check["name"] for check in checked["repository/documents"]}


def test_materialisations_show_rows_columns_and_delta_version(ask, ran):
    found = assets(ask)
    documents, decisions = found["repository/documents"], found["curation/decisions"]
    assert (facts(documents)["dagster/row_count"], facts(decisions)["dagster/row_count"]) == (22, 4 * 22)
    assert facts(documents)["delta_version"] >= 0
    assert {"doc_id", "known_at", "text"} <= columns(documents)
    assert {"reason", "value", "threshold"} <= columns(decisions)
    assert facts(found["sources/example"])["delta_version"] >= 0


def test_a_job_of_the_ui_and_a_run_of_the_command_line_go_on_at_once_and_the_ui_shows_both(ask, project, ran):
    (repository,) = ask(JOBS)["repositoriesOrError"]["nodes"]
    at = {"repositoryLocationName": repository["location"]["name"], "repositoryName": repository["name"]}
    launched = ask(LAUNCH, at={**at, "jobName": "ingest"})["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess"
    job_id, run_id = launched["run"]["runId"], run_by_command_line(project)
    wait_until(lambda: status(ask, job_id) in ENDED, 60)
    assert (status(ask, job_id), status(ask, run_id)) == ("SUCCESS", "SUCCESS")
    found = assets(ask)
    assert facts(found["published/snapshot"])["run"] == run_id
    source = facts(found["sources/example"])
    assert (source["dagster/row_count"], source["rows_out"]) == (22, 0), "what it holds, and what this run added"


def test_a_backfill_reads_its_partitions_in_one_run_which_tries_a_failing_server_again(ask, feed, ran):
    (repository,) = ask(JOBS)["repositoriesOrError"]["nodes"]
    at = {"repositoryLocationName": repository["location"]["name"], "repositoryName": repository["name"]}
    feed.answers = [Answer(503), Answer(reset=True)]
    key = {"path": ["sources", "feed"]}
    what = {"assetSelection": [key], "partitionNames": list(DAYS), "selector": None}
    launched = ask(BACKFILL, what=what)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", (launched, at)

    def backfill() -> dict[str, Any]:
        return dict(ask(BACKFILLED, id=launched["backfillId"])["partitionBackfillOrError"])

    wait_until(lambda: backfill()["status"].startswith(("COMPLETED", "FAILED")), 240)
    runs = backfill()["runs"]
    assert {run["status"] for run in runs} == {"SUCCESS"}
    events = [event["__typename"] for run in runs for event in run["eventConnection"]["events"]]
    assert events.count("ExecutionStepUpForRetryEvent") == 2
    made = ask(BY_PARTITION, key=key, days=list(DAYS))["assetNodeOrError"]["latestMaterializationByPartition"]
    assert [each["partition"] for each in made] == list(DAYS)
    assert {each["runId"] for each in made} == {run["runId"] for run in runs}


def status(ask, run_id: str) -> str:
    """How a run stands."""
    return str(ask(STATUS, id=run_id)["runOrError"]["status"])


def test_sigterm_ends_the_ui_and_every_service_it_started(ask, server, project):
    process, _ = server
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)
    wait_until(lambda: not alive(process.pid), 60)
    assert "Traceback" not in (project / "ui.log").read_text()


def alive(group: int) -> bool:
    """Whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True

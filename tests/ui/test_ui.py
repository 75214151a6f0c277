"""What a data engineer finds in Dagster's UI: assets by stage with facts and checks, jobs that run, and a clean end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from serving import COMMAND, wait_until

STAGES = {"sources", "repository", "curation", "staging", "marts", "published", "datasets"}
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


@pytest.fixture(scope="module")
def ran(ask, project: Path) -> str:
    """The id of a run by the command line while the UI is up."""
    return run_by_command_line(project)


@pytest.mark.parametrize("place", ["the checkout", "a new project"])
def test_the_workspace_of_every_project_is_valid(place, checkout, project, tmp_path):
    folder = checkout if place == "the checkout" else project
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    home = {"DAGSTER_HOME": str(tmp_path), "DAGSTER_DISABLE_TELEMETRY": "1"}
    ended = subprocess.run(command, cwd=folder, env={**os.environ, **home}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not list(folder.glob(".tmp_dagster_home*"))


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
    assert all(jobs[name] for name in ("run", "ingest", "export"))


def test_every_materialisation_shows_its_cost_and_every_check_stands_beside_its_asset(ask, ran):
    materialised = {name: node for name, node in assets(ask).items() if node["groupName"] != "datasets"}
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

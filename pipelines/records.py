"""Dagster's own records of this warehouse's runs: where they lie, always local, and how they are written."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from sqlalchemy.exc import DBAPIError

from warehouse.errors import StorageFull, UsageError, WarehouseError
from warehouse.project import Project, prepare, write_whole

HOME_YAML = """\
# Dagster's home of this warehouse: run records, event log and compute logs, always local; it sends and asks nothing.
telemetry:
  enabled: false
nux:
  enabled: false
event_log_storage:
  module: pipelines.event_log
  class: EventLog
  config:
    home: {env: DAGSTER_HOME}
concurrency:
  pools:
    default_limit: 1  # of every pool, such as duckdb_writer
    granularity: run  # a run that needs a taken pool waits in the queue instead of holding memory
"""


SERVER_TAG = ".dagster/grpc_info"
"""What Dagster's launcher notes of the server whose child a run of the UI is."""
PROCESS_TAG = "warehouse/process"


def dagster_home(project: Project) -> Path:
    """The folder of Dagster's instance, made on first use; telemetry is off there.

    Raises UsageError for a state folder that Dagster takes for a glob: it would not find its settings.
    """
    if re.search(r"[\[*]", str(project.state)):
        raise UsageError(
            f"the folder {project.state} cannot hold run records: Dagster takes it for a glob",
            allowed="paths without [ and *",
            do="rename the folder or set WAREHOUSE_STATE",
        )
    prepare(project)
    home = project.state / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    before = settings.read_text("utf-8") if settings.exists() else ""
    after = _completed(before)
    if after != before:
        write_whole(settings, after)
    return home


def dagster_instance(project: Project) -> dg.DagsterInstance:
    """Dagster's instance of this project, to be closed after use."""
    os.environ.update(_settings(project))
    return dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"])


def _settings(project: Project) -> dict[str, str]:
    """Variables that Dagster reads: its home, named in its settings, and that what a run plans is one transaction."""
    return {"DAGSTER_HOME": str(dagster_home(project)), "DAGSTER_EVENT_BATCH_SIZE": "1000"}


def _completed(before: str) -> str:
    """Settings with every section of HOME_YAML that they lack, at their end; what they state stays as it is.

    Where they state another ``storage``, such as PostgreSQL, events go there.
    """
    if not before.strip():
        return HOME_YAML
    sections = re.split(r"^(?=[a-z])", HOME_YAML, flags=re.MULTILINE)[1:]
    stated = set(re.findall(r"^(\w+)\s*:", before, re.MULTILINE))
    stated |= {"event_log_storage"} if "storage" in stated else set()
    missing = [each for each in sections if each.partition(":")[0] not in stated]
    return before if not missing else f"{before.rstrip()}\n{''.join(missing)}"


def environment(project: Project) -> dict[str, str]:
    """What a Dagster process of this project needs in its environment."""
    return {
        **_settings(project),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "WAREHOUSE_PROJECT": str(project.folder),
        "WAREHOUSE_ROOT": str(project.root),
        "WAREHOUSE_STATE": str(project.state),
    }


def end_lost_runs(project: Project) -> None:
    """Mark as failed what a stopped UI, or a killed command line, left as running.

    Dagster asks nobody whether such a run still lives, and it would keep the pool, or one of ten places in the queue,
    for ever.
    """
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
    with dagster_instance(project) as instance:
        for run in instance.get_runs(unfinished):
            if _lost(run.tags):
                instance.report_run_failed(run, "The process of this run ended before the run did.")


def _lost(tags: Mapping[str, str]) -> bool:
    if PROCESS_TAG in tags:
        pid, _, mark = tags[PROCESS_TAG].partition(" ")
        return process_mark(int(pid)) != mark
    if SERVER_TAG in tags:
        server = json.loads(tags[SERVER_TAG])
        return not _answers(server.get("socket") or (server["host"], server["port"]))
    return False


def process_tag() -> dict[str, str]:
    """A tag that names this process for good, where the system tells; a number alone is used again."""
    mark = process_mark(os.getpid())
    return {PROCESS_TAG: f"{os.getpid()} {mark}"} if mark else {}


def process_mark(pid: int) -> str | None:
    """The boot and the tick at which a process began, None where there is none (Linux)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {fields[19]}"
    except OSError:
        return None


def _answers(address: str | tuple[str, int]) -> bool:
    """Whether something listens at a socket's path, or at a host and port."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(2)
        return client.connect_ex(address) == 0


@contextmanager
def recording(project: Project) -> Iterator[None]:
    """A block in which Dagster writes its records. Raises StorageFull, or WarehouseError where it cannot write them."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        reason = str(getattr(error, "orig", error))
        if "full" in reason or shutil.disk_usage(project.state).free < 1 << 20:
            raise StorageFull(
                f"no space left while recording the run under {project.state}",
                do="free space or set WAREHOUSE_STATE to a larger disk, then run the same again",
            ) from None
        raise WarehouseError(
            f"the run cannot be recorded under {project.state}: {reason}", do="see that the folder can be written"
        ) from None

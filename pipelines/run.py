"""The same runs as in Dagster's UI, from the command line: recorded in the same instance, with the library's errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any
from uuid import uuid4

import dagster as dg

from pipelines.definitions import build_definitions
from pipelines.intake import COUNTS
from pipelines.partitions import add_dynamic, run_tags
from pipelines.records import dagster_instance, end_lost_runs, environment, process_tag, recording
from pipelines.scores import HELD_OUT
from warehouse.contracts import Cost
from warehouse.errors import CheckFailed, UsageError
from warehouse.project import Project
from warehouse.query import attach_repository, fetch_all, shared
from warehouse.repository import Repository
from warehouse.sources import load_source, locate, partition_of

SUPERSEDED = "ignore:Function `dev_command` is superseded"
"""Its successor, ``dg dev``, is of another package and wants a layout of its own."""


@dataclass(frozen=True, slots=True)
class Materialised:
    """One asset of a run: rows it wrote and what it used; metadata as shown in the UI."""

    name: str
    rows: int | None
    cost: Cost | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that succeeded: its assets in order, how many checks it passed, and what those say that only warn."""

    run_id: str
    assets: tuple[Materialised, ...]
    checks: int
    warnings: tuple[str, ...] = ()


def ui_command(project: Project, *, host: str, port: int) -> tuple[list[str], dict[str, str]]:
    """The command and environment that serve Dagster's UI and daemon for this project; runs that are lost are ended."""
    end_lost_runs(project)
    workspace = project.folder / "workspace.yaml"
    target = ["-w", str(workspace)] if workspace.exists() else ["-m", "pipelines.definitions"]
    argv = [sys.executable, "-m", "dagster", "dev", *target, "-h", host, "-p", str(port)]
    return argv, {"PYTHONWARNINGS": SUPERSEDED, **os.environ, **environment(project)}


def asset_names(project: Project) -> list[str]:
    """Every asset of the project as ``group/name``, sources first."""
    return [key.to_python_identifier("/") for key in _keys(_job(project))]


def run_assets(
    project: Project,
    names: Sequence[str] | None = None,
    *,
    reread: bool = False,
    retry: bool = False,
    env: str = "prod",
    processes: int = 1,
    partition: str | None = None,
    tables: Sequence[str] = (),
    takedown: Mapping[str, str] | None = None,
) -> Outcome:
    """Materialise assets in this process; without names, everything up to the published snapshot.

    A name is ``sources/web``, ``web`` or ``marts.chips``; a trailing ``+`` adds everything after it. partition: a key,
    or a range ``A...B``, of the source among them that has partitions; without it all that is new is read. reread,
    retry: as in IngestConfig. tables: those that maintenance keeps in shape, all without any. takedown: the
    configuration of a takedown's asset.
    Raises the library's own error when a step fails, CheckFailed when a gate refuses, UsageError for an unknown name
    or partition.
    """
    job = _job(project)
    selected = _select(job, names)
    run_id = str(uuid4())
    with recording(project), dagster_instance(project) as instance:
        tags = _partition_tags(project, instance, selected, partition) if partition is not None else {}
        try:
            result = job.execute_in_process(
                instance=instance,
                run_id=run_id,
                asset_selection=selected,
                tags=process_tag() | tags,
                run_config=_config(
                    selected,
                    reread=reread,
                    retry=retry,
                    env=env,
                    processes=processes,
                    tables=tables,
                    takedown=takedown,
                ),
            )
        except dg.DagsterExecutionInterruptedError:
            raise KeyboardInterrupt from None
        except dg.DagsterError as error:
            raise _refusal(instance, run_id, error) from None
        return _outcome(project, result)


def _job(project: Project) -> dg.JobDefinition:
    """All assets, in no pool: a run here neither waits in the daemon's queue nor, killed, holds anything up in it."""
    return build_definitions(project, pool=None).resolve_implicit_global_asset_job_def()


def _partition_tags(
    project: Project, instance: dg.DagsterInstance, selected: Sequence[dg.AssetKey], partition: str
) -> dict[str, str]:
    """Tags that name the partitions to read. Raises UsageError unless one of the selected sources has some."""
    names = {key.path[-1] for key in selected if key.path[0] == "sources"}
    sources = [load_source(path) for path in project.files("recipes/sources", "*.yaml")]
    split = [source for source in sources if source.partitions]
    chosen = [source for source in split if source.name in names]
    if not split:
        raise UsageError(
            "--partition, but no source of this project has partitions",
            do="state 'partitions' in a source's recipe, or leave --partition out",
        )
    if len(chosen) != 1:
        raise UsageError(
            f"--partition for {len(chosen)} of the sources that have partitions",
            allowed=f"one of {', '.join(f'sources/{each.name}' for each in split)}",
            do="name one, such as 'warehouse run sources/NAME+ --partition KEY'",
        )
    (source,) = chosen
    keys = {partition_of(source, located, now=datetime.now(UTC)) for located in locate(source, project.folder)}
    add_dynamic(instance, source, [key for key in keys if key])
    return run_tags(instance, source, partition)


def _keys(job: dg.JobDefinition) -> list[dg.AssetKey]:
    graph = job.asset_layer.asset_graph
    return [key for key in graph.toposorted_asset_keys if graph.get(key).is_executable]


def _downstream(job: dg.JobDefinition) -> dict[dg.AssetKey, set[dg.AssetKey]]:
    """Every asset with all that comes after it."""
    graph, after = job.asset_layer.asset_graph, dict[dg.AssetKey, set[dg.AssetKey]]()
    for key in reversed(_keys(job)):
        children = graph.get(key).child_keys
        after[key] = set(children).union(*(after.get(child, set()) for child in children))
    return after


def _select(job: dg.JobDefinition, names: Sequence[str] | None) -> list[dg.AssetKey]:
    """The assets that names mean, in order; one that is made together with others brings them."""
    keys, after, graph = _keys(job), _downstream(job), job.asset_layer.asset_graph
    if not names:
        return [key for key in keys if key.path[0] not in ("datasets", "report", "maintenance", "takedown")]
    chosen: set[dg.AssetKey] = set()
    for name in names:
        key = _find(keys, name.removesuffix("+"))
        chosen |= {key} | (_made(after[key]) if name.endswith("+") else set())
    together = {each for key in chosen for each in graph.get(key).execution_set_asset_keys}
    return [key for key in keys if key in together]


def _made(keys: Iterable[dg.AssetKey]) -> set[dg.AssetKey]:
    """Those that hold data: the report is made when it is named."""
    return {key for key in keys if key.path[0] != "report"}


def _find(keys: Sequence[dg.AssetKey], name: str) -> dg.AssetKey:
    """The asset that a name means: its whole path, or its last part where only one asset has it."""
    path = name.replace(".", "/").split("/")
    found = [key for key in keys if list(key.path) == path] or [key for key in keys if key.path[-1:] == path]
    if len(found) == 1:
        return found[0]
    all_names = ["/".join(key.path) for key in keys]
    near = ["/".join(key.path) for key in found] or get_close_matches(name, all_names, 3, 0.4) or all_names
    came = f"{name!r} names {len(found)} assets" if found else f"no asset is called {name!r}"
    raise UsageError(came, allowed=", ".join(near), do="'warehouse status' lists them all")


def _config(
    selected: Sequence[dg.AssetKey],
    *,
    reread: bool,
    retry: bool,
    env: str,
    processes: int,
    tables: Sequence[str],
    takedown: Mapping[str, str] | None,
) -> dict[str, Any]:
    """Run configuration: what each selected step is told; the console stays quiet, the event log has it all."""
    ops: dict[str, Any] = {}
    for group, name in (key.path[:2] for key in selected):
        if group == "sources" and (reread or retry):
            ops[f"sources__{name}"] = {"config": {"reread": reread, "retry": retry}}
        elif group == "datasets":
            ops[f"datasets__{name}"] = {"config": {"env": env, "processes": processes}}
        elif group == "report":
            ops["report__page"] = {"config": {"env": env}}
        elif group == "maintenance":
            ops["maintenance__tables"] = {"config": {"tables": [*tables]}}
        elif group == "takedown":
            ops[f"takedown__{name}"] = {"config": {**(takedown or {})}}
        elif group == "features":
            ops[f"features__{name}"] = {"config": {"env": env}}
        elif group == "runway":
            ops[f"runway__{name}"] = {"config": {"env": env}}
        elif group == "published":
            ops["build_snapshot"] = {"config": {"env": env}}
    return {"ops": ops, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def _refusal(instance: dg.DagsterInstance, run_id: str, error: dg.DagsterError) -> Exception:
    """What the gate refused in a run: every failed check with its numbers, also as ``checks``; else Dagster's error."""
    logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    evaluations = [entry.get_dagster_event().asset_check_evaluation_data for entry in logs]
    failed = [
        {"asset": "/".join(each.asset_key.path), "check": each.check_name}
        | {key: value.value for key, value in each.metadata.items()}
        for each in evaluations
        if not each.passed and each.severity == dg.AssetCheckSeverity.ERROR
    ]
    if not failed:
        return error
    names = ", ".join(f"{each['asset']}:{each['check']}" for each in failed)
    return CheckFailed(
        f"{len(failed)} of {len(evaluations)} checks failed: {names}",
        do="nothing was published; the last good snapshot stays. Mend the source or the expectation, then run again",
        checks=failed,
    )


def _outcome(project: Project, result: dg.ExecuteInProcessResult) -> Outcome:
    """Every asset once: a source with partitions has an event of each, and one of the whole where all were read."""
    costs, events = run_costs(project, result.run_id), dict[str, list[dg.AssetMaterialization]]()
    for event in result.get_asset_materialization_events():
        each = event.step_materialization_data.materialization
        events.setdefault("/".join(each.asset_key.path), []).append(each)
    assets = tuple(_materialised(name, some, costs.get(name)) for name, some in events.items())
    evaluations = result.get_asset_check_evaluations()
    told = (each for each in evaluations if "skipped" not in each.metadata or each.check_name == HELD_OUT)
    warnings = tuple(_warning(each) for each in told if not each.passed)
    return Outcome(result.run_id, assets, sum(each.passed for each in evaluations), warnings)


def _warning(evaluation: dg.AssetCheckEvaluation) -> str:
    facts = {name: value.value for name, value in evaluation.metadata.items()}
    return warning_of(evaluation.asset_key, evaluation.check_name, facts)


def warning_of(asset: dg.AssetKey, check: str, facts: Mapping[str, Any]) -> str:
    """A check that failed and blocks nothing: its name, how many rows are not as expected or what was observed of how
    many, and why that matters; or why no model was trained. facts: the metadata of its evaluation.
    """
    name = "/".join(asset.path)
    if "skipped" in facts:
        return f"{name}: no model was trained, {facts['skipped']}"
    counted = f" ({facts['unexpected_count']} rows)" if "unexpected_count" in facts else ""
    if "observed" in facts:
        counted = f" ({facts['observed']} in {facts['element_count']} rows)"
    return f"{name}: {check}{counted}" + (f": {facts['why']}" if "why" in facts else "")


def _materialised(name: str, events: Sequence[dg.AssetMaterialization], cost: Cost | None) -> Materialised:
    facts: list[dict[str, Any]] = [{key: value.value for key, value in each.metadata.items()} for each in events]
    whole = facts[-1]
    if len(events) > 1 and events[-1].partition is not None:
        whole = whole | {count: sum(some.get(count, 0) for some in facts) for count in COUNTS}
    return Materialised(name, whole.get("rows_out", whole.get("dagster/row_count")), cost, whole)


def run_costs(project: Project, run_id: str) -> dict[str, Cost]:
    """What each asset of a run used, by name, from the ``runs`` table."""
    con = shared(project.memory_limit)
    attach_repository(con, [Repository(project.root).snapshot("runs")])
    rows = fetch_all(
        con,
        """
        SELECT asset, wall_s, cpu_s, peak_rss, bytes_read, bytes_written, watt_hours, grams_co2e, power_model, grid
        FROM repository.runs WHERE run_id = ?""",
        [run_id],
    )
    return {row[0]: Cost(*row[1:]) for row in rows}

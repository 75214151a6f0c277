"""What starts runs by itself while ``warehouse ui`` is up: a schedule every night, a sensor on the inbox folders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from pipelines.build import PUBLISHED
from warehouse.contracts import digest
from warehouse.errors import RecipeError
from warehouse.project import Project, line_of
from warehouse.sources import Source, arrivals

IMPLICIT_JOB = "__ASSET_JOB"
"""Dagster's own job of all assets: the one that may hold sources of different partitions."""
TICK_S = 30
UNSCHEDULED = ("datasets", "maintenance", "takedown")
"""Groups of assets that no nightly run makes."""


def nightly(project: Project, job: str) -> dg.ScheduleDefinition:
    """The schedule ``nightly``: everything to the published snapshot. On where the project states it, else off.

    Raises RecipeError for a cron line or a time zone that is none.
    """
    stated = project.schedule
    try:
        return dg.ScheduleDefinition(
            name="nightly",
            job_name=job,
            cron_schedule=stated.nightly,
            execution_timezone=stated.timezone,
            execution_fn=lambda context: dg.RunRequest(asset_selection=_published(context.repository_def)),
            default_status=dg.DefaultScheduleStatus.RUNNING if stated.on else dg.DefaultScheduleStatus.STOPPED,
            description="Every night: read what is new of every source, build, check and publish.",
        )
    except dg.DagsterInvalidDefinitionError:
        raise RecipeError(
            f"{line_of(project.marker, ('schedule', 'nightly'))}: nightly is {stated.nightly!r} in {stated.timezone!r}",
            allowed="a cron line of five fields, such as 0 2 * * *, and a time zone such as Europe/Zurich",
        ) from None


def maintenance(project: Project) -> dg.ScheduleDefinition:
    """The schedule ``maintenance``: tables kept in shape. On where the project states it, else off.

    Raises RecipeError for a cron line that is none.
    """
    stated = project.maintenance
    try:
        return dg.ScheduleDefinition(
            name="maintenance",
            job_name="maintain",
            cron_schedule=stated.schedule,
            execution_timezone=project.schedule.timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING if stated.on else dg.DefaultScheduleStatus.STOPPED,
            description="Small files put together, and files removed that only versions past their keeping need.",
        )
    except dg.DagsterInvalidDefinitionError:
        raise RecipeError(
            f"{line_of(project.marker, ('maintenance', 'schedule'))}: schedule is {stated.schedule!r}",
            allowed="a cron line of five fields, such as 0 4 * * *",
        ) from None


def inbox(project: Project, sources: Sequence[Source]) -> dg.SensorDefinition:
    """The sensor ``inbox``: new files of a source start one run of it and all that is made from it, releases apart.

    The cursor holds, by source, a print of each file that lies in its inbox and was asked for; a file that is gone
    leaves it. A file that is written again is new. A run that fails is not started again by the same file.
    """

    @dg.sensor(
        name="inbox",
        asset_selection=dg.AssetSelection.all(),
        minimum_interval_seconds=TICK_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Files dropped into inbox/<source>/ start a run of that source and of all that is made from it.",
    )
    def _inbox(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        before: dict[str, list[str]] = json.loads(context.cursor or "{}")
        now = {source.name: sorted(arrivals(source, project.folder)) for source in sources}
        new = {name: [each for each in prints if each not in set(before.get(name, ()))] for name, prints in now.items()}
        requests = [_request(context, name, prints) for name, prints in new.items() if prints]
        held = {name: prints for name, prints in now.items() if prints}
        cursor = json.dumps(held, separators=(",", ":"))
        if not requests and held == before:
            return dg.SkipReason("no new file that is whole")
        return dg.SensorResult(run_requests=requests, cursor=cursor)

    return _inbox


def _request(context: dg.SensorEvaluationContext, name: str, prints: Sequence[str]) -> dg.RunRequest:
    key = dg.AssetKey(["sources", name])
    return dg.RunRequest(
        run_key=f"inbox/{name}/{digest(*prints)}",
        asset_selection=_made_from(context.repository_def, key),
        tags={"warehouse/inbox": f"{len(prints)} new of {name}"},
    )


def _made_from(repository: dg.RepositoryDefinition | None, key: dg.AssetKey) -> list[dg.AssetKey]:
    """A source, all that is made from it but releases, and the snapshot, which pins every table also unread by models.

    What one step makes together is asked for together.
    """
    after = dg.AssetSelection.assets(key).downstream() - dg.AssetSelection.groups("datasets")
    graph = _graph(repository)
    wanted = (after | dg.AssetSelection.assets(PUBLISHED)).resolve(graph)
    return _sorted({each for found in wanted for each in graph.get(found).execution_set_asset_keys})


def _published(repository: dg.RepositoryDefinition | None) -> list[dg.AssetKey]:
    graph = _graph(repository)
    return _sorted(each for each in graph.executable_asset_keys if each.path[0] not in UNSCHEDULED)


def _graph(repository: dg.RepositoryDefinition | None) -> Any:  # Dagster exports no name for its graph of assets
    if repository is None:
        raise dg.DagsterInvariantViolationError("evaluated outside of a repository")
    return repository.asset_graph


def _sorted(keys: Iterable[dg.AssetKey]) -> list[dg.AssetKey]:
    return sorted(keys, key=lambda key: list(key.path))

"""Tables kept in shape: one asset that puts small files together and removes what no version in keeping needs.

What is pinned is read first: the versions that published snapshots were made from, of every environment, and those that
live releases name. A snapshot or release that is made meanwhile reads versions of the last minutes, which the shortest
time of keeping protects.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from pipelines.costs import metered
from pipelines.ingest import OWNERS
from warehouse import datasets, publish
from warehouse.errors import Busy
from warehouse.project import Project, prepare
from warehouse.repository import Repository

KEY = dg.AssetKey(["maintenance", "tables"])
WAIT_S = 30.0
"""How long a table that a writer holds is waited for; then it is left to the next maintenance."""


class MaintenanceConfig(dg.Config):
    """tables: those to keep in shape; all without any."""

    tables: list[str] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Maintained:
    """What was done to a table. files_before, files: live ones; bytes_rewritten: of small files put together;
    files_removed, bytes_removed: of old versions; versions: that can be read; busy: why nothing was done, or "".
    """

    table: str
    files_before: int
    files: int
    bytes_rewritten: int = 0
    files_removed: int = 0
    bytes_removed: int = 0
    versions: int = 0
    busy: str = ""


def pins(project: Project) -> Mapping[str, set[int]]:
    """By table the versions that published snapshots and live releases were made from.

    Raises FormatError for a published file that cannot be opened, IntegrityError for a manifest that was altered.
    """
    found: dict[str, set[int]] = defaultdict(set)
    for snapshot in publish.pinned(project.published):
        found[snapshot.table].add(snapshot.version)
    for release in datasets.list_releases(project.datasets):
        if release.state == "live":
            for table, version in release.manifest.inputs.items():
                found[table].add(version)
    return found


def maintain(project: Project, tables: Sequence[str] = (), *, now: datetime) -> list[Maintained]:
    """Keep these tables in shape, or all. Raises NotFound for a table that is not there, StorageFull."""
    repository, pinned = Repository(project.root, wait_s=WAIT_S), pins(project)
    for table in tables:
        repository.statistics(table)
    return [_maintained(project, repository, table, pinned, now) for table in tables or repository.tables()]


def _maintained(
    project: Project, repository: Repository, table: str, pinned: Mapping[str, set[int]], now: datetime
) -> Maintained:
    before = repository.statistics(table)
    done = Maintained(table, before.files, before.files)
    since = now - timedelta(seconds=project.maintenance.kept_s(table))
    try:
        compacted = repository.compact(table)
        removed = repository.vacuum(table, pins=pinned.get(table, set()), since=since)
    except Busy as error:
        return replace(done, busy=error.came)
    return replace(
        done,
        files=repository.statistics(table).files,
        bytes_rewritten=compacted.bytes_in,
        files_removed=removed.files,
        bytes_removed=removed.bytes,
        versions=removed.versions,
    )


def maintenance_asset(project: Project) -> dg.AssetsDefinition:
    """The asset ``maintenance/tables``."""

    @dg.asset(
        key=KEY,
        group_name="maintenance",
        description="Tables kept in shape: small files put together, files removed that only old versions need.",
        kinds={"deltalake"},
        owners=OWNERS,
    )
    def _maintenance(context: dg.AssetExecutionContext, config: MaintenanceConfig) -> dg.MaterializeResult[None]:
        prepare(project)
        with metered(project, "maintenance/tables", context.run.run_id) as meter:
            done = maintain(project, config.tables, now=datetime.now(UTC))
            meter.rows, meter.bytes_read = len(done), sum(each.bytes_rewritten for each in done)
        return dg.MaterializeResult(
            metadata={
                "tables": dg.MetadataValue.json([asdict(each) for each in done]),
                "bytes_removed": sum(each.bytes_removed for each in done),
                "busy": ", ".join(each.table for each in done if each.busy) or "none",
                **meter.cost(),
            }
        )

    return _maintenance

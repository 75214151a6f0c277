"""Feature sets: one asset a definition, computed from the published snapshot into the table ``features_<name>``.

Rows are appended under (keys, time, fingerprint of the definition), so a run adds what is new, another definition adds
rows of its own, and nothing is overwritten. A stored row that would come out differently today stops the run: see
warehouse.features.compute.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from pipelines.build import PUBLISHED, Event, model_key
from pipelines.costs import metered
from pipelines.gates import Metadata, audit, check_specs, skipped_results, table_metadata
from pipelines.ingest import OWNERS
from warehouse import features, publish
from warehouse.answers.features import reads, upstream
from warehouse.contracts import Receipt, Snapshot
from warehouse.errors import RecipeError
from warehouse.features import Computed, FeatureSet
from warehouse.gate import Suite
from warehouse.project import Project
from warehouse.query import AS_OF, DERIVED, Connection, fetch_all
from warehouse.repository import Repository

STAYS = "stored_rows_come_out_the_same"
WHY = "A stored row that comes out differently was made of facts that are said to be known earlier than they were."
CATALOG = "features."


class FeaturesConfig(dg.Config):
    """env: the published environment to compute from."""

    env: str = "prod"


def feature_key(name: str) -> dg.AssetKey:
    """The asset of a feature set."""
    return dg.AssetKey(["features", name])


def refuse_unfed(made: FeatureSet, known: set[str]) -> None:
    """Raise RecipeError for a feature set that reads what nothing in this project writes."""
    missing = sorted(reads(made) - known)
    if missing:
        raise RecipeError(
            f"{made.path}:1: features {made.name} read {' and '.join(missing)}, which nothing here writes",
            do="mend the name, or write the model or the recipe of a source with that table",
        )


def features_asset(project: Project, made: FeatureSet, suites: Sequence[Suite]) -> dg.AssetsDefinition:
    """The asset ``features/<name>`` of group features."""
    key = feature_key(made.name)
    stays = dg.AssetCheckSpec(STAYS, asset=key, blocking=True, description=WHY)

    @dg.multi_asset(
        name=f"features__{made.name}",
        specs=[_spec(made, key)],
        check_specs=[stays, *check_specs(key, suites)],
    )
    def _features(context: dg.AssetExecutionContext, config: FeaturesConfig) -> Iterator[Event]:
        yield from _events(project, made, suites, env=config.env, run_id=context.run.run_id)

    return _features


def _spec(made: FeatureSet, key: dg.AssetKey) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=[PUBLISHED, *(model_key(name) for name in sorted(reads(made)))],
        group_name="features",
        description=made.description or f"Features {made.name}, point in time on both clocks.",
        kinds={"deltalake", "duckdb"},
        owners=OWNERS,
        skippable=True,
        metadata={"features": ", ".join(made.features), "table": made.table},
    )


def _events(project: Project, made: FeatureSet, suites: Sequence[Suite], *, env: str, run_id: str) -> Iterator[Event]:
    key, repository = feature_key(made.name), Repository(project.root)
    stored = stored_rows(repository, made)
    with publish.connect_current(
        project.published, env, memory_limit=project.memory_limit, also=[stored] if stored else []
    ) as con:
        missing = _missing(con, made)
        if missing:
            yield _verdict(key, 0, skipped=missing)
            yield from skipped_results(key, suites, missing)
            return
        with metered(project, f"features/{made.name}", run_id) as meter:
            computed = features.compute(con, made, upstream=upstream(con, made))
            differ = features.changed(con, made, computed, stored)
            receipt = None if differ else _append(repository, con, made, run_id=run_id)
            meter.rows = receipt.rows_out if receipt else 0
    yield _verdict(key, differ)
    if receipt:
        checks = audit(key, suites, repository, memory_limit=project.memory_limit, table=made.table)
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={**_metadata(repository.snapshot(made.table), computed, receipt), **meter.cost()},
            data_version=dg.DataVersion(f"{computed.fingerprint}/{repository.snapshot(made.table).version}"),
            check_results=checks,
        )


def stored_rows(repository: Repository, made: FeatureSet) -> Snapshot | None:
    """The newest version of a feature set's table, None where there is none."""
    return repository.snapshot(made.table) if made.table in repository.tables() else None


def _missing(con: Connection, made: FeatureSet) -> str | None:
    """Why a relation is not there: its model was skipped, or its table has no commit."""
    skipped = dict(fetch_all(con, "SELECT name, skipped FROM meta.models WHERE skipped IS NOT NULL"))
    inputs = [row[0] for row in fetch_all(con, "SELECT table_name FROM meta.inputs")]
    held = {f"repository.{table}{end}" for table in inputs for end in ("", *DERIVED, AS_OF)}
    for name in sorted(reads(made)):
        if name in skipped:
            return str(skipped[name])
        if name.startswith("repository.") and name not in held:
            return f"{name} has not been ingested"
    return None


def _append(repository: Repository, con: Connection, made: FeatureSet, *, run_id: str) -> Receipt:
    schema = features.schema(con)
    return repository.append(
        made.table,
        features.rows(con),
        schema=schema,
        source=f"features/{made.name}",
        run_id=run_id,
        keys=(*made.spine.keys, made.spine.time, features.FEATURE_SET),
    )


def _verdict(key: dg.AssetKey, differ: int, *, skipped: str = "") -> dg.AssetCheckResult:
    """Whether every stored row comes out as it was; a set whose input is not there only warns."""
    said: dict[str, int | str] = {"skipped": skipped} if skipped else {"unexpected_count": differ, "why": WHY}
    severity = dg.AssetCheckSeverity.WARN if skipped else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        asset_key=key, check_name=STAYS, passed=not skipped and not differ, severity=severity, metadata=said
    )


def _metadata(snapshot: Snapshot, computed: Computed, receipt: Receipt) -> Metadata:
    return {
        **table_metadata(snapshot),
        "feature_set": computed.fingerprint,
        "rows_in": receipt.rows_in,
        "rows_out": receipt.rows_out,
        "unchanged": receipt.unchanged,
        "rows_without_time": sum(computed.untimed.values()),
        "sql": dg.MetadataValue.md(f"```sql\n{features.printed(computed.compiled)}```"),
    }

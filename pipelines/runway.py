"""How long the data lasts: two assets that append to the table ``runway``, each with its picture.

``repository/runway`` is the world's forecast, which needs nothing of this warehouse: the snapshot of the same run holds
it. ``runway/corpus`` reads that snapshot and comes after it: its rows are in the table at once, and in the next
snapshot. A forecast that equals the newest of its scope adds no row.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence

import dagster as dg

from pipelines.build import PUBLISHED, Event, model_key
from pipelines.costs import metered
from pipelines.gates import Metadata, Result, audit, check_specs, skipped_results, table_metadata
from pipelines.ingest import OWNERS, planned_at
from warehouse import runway
from warehouse.answers.runway import in_years, lasts, own_forecast, own_picture, world_picture
from warehouse.contracts import Receipt
from warehouse.errors import NotFound
from warehouse.gate import Suite
from warehouse.project import Project, prepare
from warehouse.publish import connect_current
from warehouse.query import attach_repository, fetch_all, shared
from warehouse.repository import Repository
from warehouse.runway import Forecast, OwnForecast

TABLE = "runway"
WORLD, CORPUS = dg.AssetKey(["repository", TABLE]), dg.AssetKey(["runway", "corpus"])
READS = ("staging.current_documents", "staging.current_signals", "curation.decisions")
"""Models without which there is no forecast of the corpus."""
WIDTH_PX = 800
"""Of a picture in Dagster's metadata, which keeps it with every run: about 35 kB there."""


class RunwayConfig(dg.Config):
    """env: the published environment to forecast from."""

    env: str = "prod"


def world_asset(project: Project, suites: Sequence[Suite]) -> dg.AssetsDefinition:
    """The asset ``repository/runway``: the world's forecast in the table."""

    @dg.asset(
        key=WORLD,
        group_name="runway",
        description="When the world's public text is used in full, by scenario and year (Epoch AI's model).",
        kinds={"deltalake", "numpy"},
        owners=OWNERS,
        check_specs=check_specs(WORLD, suites),
    )
    def _world(context: dg.AssetExecutionContext) -> Result:
        prepare(project)
        repository = Repository(project.root)
        with metered(project, "repository/runway", context.run.run_id) as meter:
            forecast = runway.world()
            receipt = _append(project, forecast, context)
            meter.rows = receipt.rows_out
            checks = audit(WORLD, suites, repository, memory_limit=project.memory_limit)
            picture = world_picture(forecast, width_px=WIDTH_PX) if receipt.rows_out else None
        base = forecast.outcome("base")
        said = {"full_use": in_years((base.p10, base.median, base.p90)), "median": base.median or "later"}
        return dg.MaterializeResult(
            metadata={**_metadata(repository, forecast, receipt, picture), **said, **meter.cost()},
            data_version=dg.DataVersion(forecast.identity),
            check_results=checks,
        )

    return _world


def corpus_asset(project: Project, suites: Sequence[Suite]) -> dg.AssetsDefinition:
    """The asset ``runway/corpus``: the own corpus's forecast in the same table, after the snapshot it is made of."""
    spec = dg.AssetSpec(
        CORPUS,
        deps=[PUBLISHED, WORLD, *map(model_key, READS)],
        group_name="runway",
        description="When this warehouse's own text is used in full, against recipes/runway.yaml's target.",
        kinds={"deltalake", "duckdb"},
        owners=OWNERS,
        skippable=True,
    )

    @dg.multi_asset(name="runway__corpus", specs=[spec], check_specs=check_specs(CORPUS, suites))
    def _corpus(context: dg.AssetExecutionContext, config: RunwayConfig) -> Iterator[Event]:
        yield from _events(project, suites, context, env=config.env)

    return _corpus


def _events(
    project: Project, suites: Sequence[Suite], context: dg.AssetExecutionContext, *, env: str
) -> Iterator[Event]:
    """A materialisation with its verdicts; a snapshot that keeps no document only warns."""
    repository = Repository(project.root)
    with metered(project, "runway/corpus", context.run.run_id) as meter:
        try:
            found = _own(project, env)
        except NotFound as error:
            yield from skipped_results(CORPUS, suites, str(error))
            return
        receipt = _append(project, found.forecast, context)
        meter.rows = receipt.rows_out
        checks = audit(CORPUS, suites, repository, memory_limit=project.memory_limit, table=TABLE)
        picture = own_picture(found, width_px=WIDTH_PX) if receipt.rows_out else None
    yield dg.MaterializeResult(
        asset_key=CORPUS,
        metadata={**_metadata(repository, found.forecast, receipt, picture), **_said(found), **meter.cost()},
        data_version=dg.DataVersion(found.forecast.identity),
        check_results=checks,
    )


def _own(project: Project, env: str) -> OwnForecast:
    settings = runway.load_settings(project.files("recipes", "runway.yaml"))
    with connect_current(project.published, env, memory_limit=project.memory_limit) as con:
        return own_forecast(con, settings)


def _said(found: OwnForecast) -> Metadata:
    growing = [f"{each.source}: {each.tokens_per_year:,.0f} tokens a year" for each in found.growth if not each.missing]
    return {
        "unique_tokens": round(found.unique_tokens),
        "target_tokens": round(found.plan.target),
        "missing_tokens": round(found.plan.missing),
        **{f"lasts_{each.scenario}": lasts(found.forecast, each.median) for each in found.forecast.outcomes},
        "growth": "; ".join([*growing, *(each.missing for each in found.growth if each.missing)]),
    }


def _append(project: Project, forecast: Forecast, context: dg.AssetExecutionContext) -> Receipt:
    """Add a forecast's rows, unless the newest of its scope is the same."""
    at, newest = _newest(project, forecast.scope)
    rows = [] if newest == forecast.identity else [runway.batch(forecast, known_at=planned_at(context))]
    return Repository(project.root).append(
        TABLE, rows, schema=runway.RUNWAY, source=f"runway/{forecast.scope}", run_id=context.run.run_id, after=at
    )


def _newest(project: Project, scope: str) -> tuple[int, str | None]:
    """The table's version (-1: none) and the identity of the newest forecast of a scope."""
    repository = Repository(project.root)
    if TABLE not in repository.tables():
        return -1, None
    snapshot, con = repository.snapshot(TABLE), shared(project.memory_limit)
    attach_repository(con, [snapshot])
    sql = "SELECT arg_max(forecast, known_at) FROM repository.runway WHERE scope = ?"
    return snapshot.version, fetch_all(con, sql, [scope])[0][0]


def _metadata(repository: Repository, forecast: Forecast, receipt: Receipt, picture: bytes | None) -> Metadata:
    """Facts of a forecast; its picture stands where it was new, drawn once (a second of CPU time)."""
    drawn = picture and f"![forecast](data:image/png;base64,{b64encode(picture).decode()})"
    return {
        **table_metadata(repository.snapshot(TABLE)),
        "new_rows": receipt.rows_out,
        "forecast": forecast.identity,
        "assumes": dg.MetadataValue.md("\n".join(f"- {each}" for each in forecast.assumptions)),
        **({"picture": dg.MetadataValue.md(drawn)} if drawn else {}),
    }

"""The report: one page of pictures, releases and verdicts, made again whenever it is asked for.

No part of ``run``: rendering verdicts imports Great Expectations, 2 to 8 CPU seconds that an ingestion need not pay.
"""

import base64
from collections.abc import Iterable
from pathlib import Path

import dagster as dg

from pipelines.build import PUBLISHED
from pipelines.costs import metered
from pipelines.gates import last_verdicts
from pipelines.ingest import OWNERS
from warehouse.answers.report import Picture, page, report
from warehouse.project import Project, write_whole

REPORT = dg.AssetKey(["report", "page"])


class ReportConfig(dg.Config):
    """env: the published environment that the report is of."""

    env: str = "prod"


def report_path(project: Project) -> Path:
    """Where the page lies."""
    return project.root / "report" / "index.html"


def report_asset(project: Project, checks: Iterable[dg.AssetCheckKey]) -> dg.AssetsDefinition:
    """The asset ``report/page``: the page written whole, its pictures shown as metadata; checks: all that there are."""
    keys = list(checks)

    @dg.asset(
        key=REPORT,
        deps=[PUBLISHED],
        group_name="report",
        description="One page of pictures, releases and the last verdict of every check; it opens from disk.",
        kinds={"html", "matplotlib"},
        owners=OWNERS,
    )
    def _report(context: dg.AssetExecutionContext, config: ReportConfig) -> dg.MaterializeResult[None]:
        with metered(project, "report/page", context.run.run_id) as meter:
            verdicts = last_verdicts(context.instance, keys)
            made = report(project, verdicts, env=config.env)
            path = report_path(project)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, page(made))
            meter.rows, meter.bytes_written = len(verdicts), path.stat().st_size
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(path),
                "generation": made.n,
                "checks_passed": sum(check.success for check in verdicts),
                "checks": len(verdicts),
                **{picture.name: _shown(picture) for picture in made.pictures},
                **meter.cost(),
            }
        )

    return _report


def _shown(picture: Picture) -> dg.MarkdownMetadataValue:
    """A picture as Dagster shows it."""
    return dg.MetadataValue.md(f"![{picture.alt}](data:image/png;base64,{base64.b64encode(picture.png).decode()})")

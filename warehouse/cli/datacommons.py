"""The verbs about Data Commons: series of observations, out again as CSV and MCF, and what is wrong in its files."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import click

from warehouse.cli import place, table
from warehouse.cli.failures import stoppable
from warehouse.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from warehouse.cli.formats import Format
    from warehouse.project import Project

FORMATS = ("table", "csv", "jsonl", "mcf")


@click.command("series")
@click.argument("variable", required=False)
@click.argument("entity", required=False)
@click.option("--from", "from_date", metavar="DATE", help="First date, such as 2010 or 2010-06.")
@click.option("--to", "to_date", metavar="DATE", help="Last date; 2020 takes all of 2020.")
@click.option("--as-of", metavar="TIME", help="Only what was known by then.")
@click.option("--provenance", metavar="NAME", help="Of this provenance or source alone.")
@click.option("--all-series", "every", is_flag=True, help="Every series, not the best of each variable and entity.")
@click.option("--nodes", is_flag=True, help="With --format mcf: the nodes of the table nodes before them.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="Form of the result [table, or the ending of --out]."
)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write to FILE instead of stdout.")
@click.option("--limit-less", "whole", is_flag=True, help="Every row of a table, not the first 100.")
@place.as_json
@place.placed
def series_verb(
    *,
    variable: str | None,
    entity: str | None,
    from_date: str | None,
    to_date: str | None,
    as_of: str | None,
    provenance: str | None,
    every: bool,
    nodes: bool,
    form: str | None,
    out: Path | None,
    whole: bool,
    json_: bool,
) -> None:
    """Series of observations, out again as CSV and MCF.

    Of each VARIABLE and ENTITY (dcids; every one where left out) the best series is given, whole, or all. The best is
    the one with the latest date, then the one with most dates, then the first by name. In SQL:
    FROM observations('VARIABLE', 'ENTITY').

    \b
    Example:
      warehouse series gender_wage_gap country/DNK --from 2010
      warehouse series --all-series --format mcf --out wages.mcf
    """
    from warehouse.answers.observations import Asked, as_csv, observed
    from warehouse.cli import results
    from warehouse.cli.formats import partial_of
    from warehouse.cli.sql import chosen_form

    chosen = chosen_form(form, out, json_, FORMATS)
    if nodes and chosen != "mcf":
        raise UsageError(f"--nodes with {chosen}", allowed="--format mcf", do="leave --nodes out")
    asked = Asked(variable, entity, from_date, to_date, as_of, provenance, every)
    project, env = place.project(), place.environment()
    stop = stoppable("series", partial_of(out) if out else None)
    with observed(project, asked, env=env) as reader, stop:
        if chosen == "table":
            results.print_table(reader, every=whole)
        elif chosen == "json":
            results.print_json(reader)
        elif chosen == "mcf":
            _write_mcf(reader, out, project if nodes else None, env)
        else:
            results.write_result(as_csv(reader) if chosen == "csv" else reader, cast("Format", chosen), out)


def _write_mcf(reader: pa.RecordBatchReader, out: Path | None, described: Project | None, env: str) -> None:
    from warehouse.answers import observations
    from warehouse.cli.formats import replaced
    from warehouse.sources.datacommons import text_of

    def texts() -> Iterator[str]:
        for node in observations.described(described, env=env) if described else ():
            yield text_of(node)
        yield from map(text_of, observations.as_mcf(reader))

    if out is None:
        sys.stdout.writelines(texts())
        return
    with replaced(out) as sink:
        count = _written(texts(), sink)
    click.echo(f"{table.count(count)} nodes in {out}", err=True)


def _written(texts: Iterator[str], sink: IO[bytes]) -> int:
    count = 0
    for text in texts:
        count += 1
        sink.write(text.encode("utf-8", "replace"))
    return count


@click.command("lint")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@place.as_json
@place.placed
def lint_verb(files: tuple[str, ...], json_: bool) -> None:
    """What is wrong in MCF and TMCF files, before they come in.

    Exit status 1 where it is more than warnings. Folders stand for the files in them; a CSV is read by the one TMCF.
    Findings have the names of Data Commons' import tool; whether a dcid exists there is not asked.

    \b
    Example:
      warehouse lint data/oecd
    """
    from warehouse.sources.datacommons import generate

    paths = [path for name in files for path in _files(Path(name))]
    templates = [path for path in paths if path.suffix == ".tmcf"]
    if len(templates) > 1:
        raise UsageError(
            f"{len(templates)} templates", allowed="one .tmcf with the CSV it is for", do="lint them apart"
        )
    by_suffix = {suffix: [path for path in paths if path.suffix == suffix] for suffix in (".mcf", ".csv", ".tsv")}
    tables = [*by_suffix[".csv"], *by_suffix[".tsv"]] if templates else []
    found = generate(by_suffix[".mcf"], templates[0] if templates else None, tables).findings
    if json_:
        place.print_json(found)
    else:
        rows = [(each.level, each.file, str(each.line), each.check, each.message) for each in found]
        for line in table.lines(("level", "file", "line", "finding", "message"), rows, width=table.terminal_width()):
            click.echo(line)
        counts = Counter(each.level for each in found)
        click.echo(", ".join(f"{counts[level]} {level}" for level in ("fatal", "error", "warning")))
    if any(each.level != "warning" for each in found):
        sys.exit(1)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(each for each in path.iterdir() if each.suffix in (".mcf", ".tmcf", ".csv", ".tsv"))
    if not path.is_file():
        raise UsageError(f"{path} is no file", allowed="files and folders", do="check the path")
    return [path]

"""The verb about synthetic data: sketches counted where rows lie, added up anywhere, sampled; the stored, audited."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse.cli import place, table
from warehouse.cli.failures import close_match
from warehouse.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from warehouse.answers.synthetic import Audit
    from warehouse.sketches import TableSketch

_out = click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="File to write.")


class Parts(click.Group):
    """Commands of a verb; an unknown one is refused in the words of every other refusal."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands:
            raise UsageError(
                f"{self.name} {args[0]!r}", allowed=", ".join(self.commands), do=close_match(args[0], self.commands)
            )
        return super().resolve_command(ctx, args)


@click.group("synth", cls=Parts, invoke_without_command=True)
@click.pass_context
def synth_verb(ctx: click.Context) -> None:
    """Sketches of tables: counted, added up, sampled; and an audit.

    A sketch is exact counts of columns and pairs (round one), then of the few tables that a network of at most three
    parents needs (round two). Sites that share no rows count, send sketches, and add them up.

    \b
    Example:
      warehouse synth fit patients.parquet --out patients.sketch
      warehouse synth sample patients.sketch --rows 10000 --out synthetic.parquet
      warehouse synth audit
    """
    if ctx.invoked_subcommand is None:
        raise UsageError("synth alone", allowed="fit, merge, sample, audit", do="see 'warehouse synth --help'")


@synth_verb.command("fit")
@click.argument("rows", metavar="TABLE|FILE")
@_out
@click.option("--like", metavar="SKETCH", type=click.Path(path_type=Path), help="Count with its columns and network.")
@click.option("--rounds", type=click.IntRange(1, 2), default=2, show_default=True, help="1: only columns and pairs.")
@click.option("--columns", metavar="A,B", help="Columns to count [all].")
@click.option("--bins", type=click.IntRange(2, 4096), default=32, show_default=True, help="Of a number, at most.")
@place.placed
def fit(rows: str, out: Path, *, like: Path | None, rounds: int, columns: str | None, bins: int) -> None:
    """Count a typed table, a .parquet or a .csv file into a sketch.

    Alone, both rounds: bins are fitted from the rows, and the sketch says so. Between sites: the first counts with
    --rounds 1, the others with --rounds 1 --like FIRST; the merged sketch chooses the network; each counts again with
    --like MERGED (round two), and these, merged, are the sketch of all rows, exactly.

    \b
    Example:
      warehouse synth fit inference_trace --out trace.sketch
    """
    from warehouse.answers.synthetic import rows_of
    from warehouse.sketches import read, sketch
    from warehouse.synthetic import Fineness, choose, fit_columns
    from warehouse.synthetic import fit as fit_both

    stated = read(like) if like else None
    asked = [column.name for column in stated.columns] if stated else (columns or "").split(",")
    named = tuple(name.strip() for name in asked if name.strip())
    batches = rows_of(place.project, rows, columns=named)
    if stated is None:
        found = fit_columns(batches(), fineness=Fineness(bins=bins))
        made = sketch(batches(), found) if rounds == 1 else fit_both(batches, found)
    elif rounds == 1:
        made = sketch(batches(), stated.columns)
    else:
        parents = stated.parents if stated.parents is not None else choose(stated)
        made = sketch(batches(), stated.columns, parents)
    _say(made, _written(out, made))


def _written(out: Path, made: TableSketch) -> Path:
    from warehouse.cli.formats import replaced
    from warehouse.sketches import to_bytes

    _refuse_folder(out)
    with replaced(out) as sink:
        sink.write(to_bytes(made))
    return out


def _refuse_folder(out: Path) -> None:
    if not out.parent.is_dir() or out.is_dir():
        raise UsageError(f"--out {out}", allowed="a file in a folder that is there")


def _say(made: TableSketch, out: Path) -> None:
    size = table.size(out.stat().st_size)
    names = [column.name for column in made.columns]
    click.echo(f"{made.n:,} rows, {len(names)} columns, {len(made.counts):,} tables of counts, {size} in {out}")
    click.echo(f"fingerprint {made.fingerprint}")
    fitted = [column.name for column in made.columns if column.fitted]
    click.echo(f"bins and levels fitted from rows: {', '.join(fitted) or 'none'}")
    if made.parents is None:
        return click.echo("round one: merge it with others, then fit again with --like")
    for name, above in zip(names, made.parents, strict=True):
        click.echo(f"{name} <- {', '.join(names[at] for at in above) or 'nothing'}")
    return None


@synth_verb.command("merge")
@click.argument("sketches", nargs=-1, required=True, metavar="SKETCH...", type=click.Path(path_type=Path))
@_out
def merge(sketches: tuple[Path, ...], out: Path) -> None:
    """Add sketches up: the sketch of all their rows, in any order the same bytes.

    \b
    Example:
      warehouse synth merge north.sketch south.sketch --out both.sketch
    """
    from warehouse.sketches import read

    first, *others = sketches
    made = read(first)
    for path in others:
        made = made + read(path)
    _say(made, _written(out, made))


@synth_verb.command("sample")
@click.argument("sketch", metavar="SKETCH", type=click.Path(path_type=Path))
@click.option("--rows", type=click.IntRange(1), required=True, help="How many rows to draw.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed, the same rows.")
@_out
def sample(sketch: Path, rows: int, seed: int, out: Path) -> None:
    """Draw rows into a Parquet file, each marked as synthetic.

    \b
    Example:
      warehouse synth sample both.sketch --rows 10000 --out synthetic.parquet
    """
    import pyarrow.parquet as pq

    from warehouse.cli.formats import replaced
    from warehouse.sketches import read
    from warehouse.synthetic import marked
    from warehouse.synthetic import sample as drawn

    made = read(sketch)
    _refuse_folder(out)
    if out.suffix != ".parquet":
        raise UsageError(f"--out {out}", allowed="a .parquet file")
    with replaced(out) as sink:
        pq.write_table(marked(drawn(made, rows, seed=seed), made, seed=seed), sink)
    click.echo(f"{rows:,} rows drawn from {made.n:,} counted, {table.size(out.stat().st_size)} in {out}")


@synth_verb.command("audit")
@place.as_json
@place.placed
def audit(json_: bool) -> None:
    """Read every stored sentence back, compare it with the marts as published, check marks and caps.

    Exit status 1 where a sentence does not say its row, or says what the marts no longer say, where a row lacks its
    mark, or a release is over its cap.

    \b
    Example:
      warehouse synth audit
    """
    from warehouse.answers.synthetic import audit as audited

    found = audited(place.project(), env=place.environment())
    place.print_json(found) if json_ else _say_audit(found)
    if found.faults:
        raise CheckFailed(
            f"{found.faults:,} faults in what is synthetic",
            allowed="sentences that say their rows, rows that are marked, releases under their caps",
            do="look at the findings, run 'warehouse run', audit again",
        )


def _say_audit(found: Audit) -> None:
    if not (found.texts or found.tables):
        return click.echo("nothing synthetic is published; write recipes/synthetic/NAME.yaml")
    for text in found.texts:
        click.echo(
            f"{text.name}: {text.documents:,} documents, {text.statements:,} sentences read back, "
            f"{text.wrong:,} wrong, {text.moved:,} moved, {text.gone:,} gone, {text.unmarked:,} unmarked"
        )
        for each in text.findings:
            click.echo(f"  {each.uri}: {each.why}")
            click.echo(f"    {table.cell(each.sentence)}")
    for rows in found.tables:
        click.echo(f"{rows.table}: {rows.rows:,} rows, {rows.unmarked:,} unmarked")
    click.echo(f"share of the text of all current documents: {found.share:.2%}")
    for release in found.releases:
        cap = "cap not readable" if release.cap is None else f"cap {release.cap:.0%}"
        click.echo(f"{release.release}: {release.share:.2%} synthetic, {cap}")
    return None

"""The verb that says how long the data lasts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warehouse.cli import place, table
from warehouse.errors import NotFound, UsageError

if TYPE_CHECKING:
    from warehouse.answers.runway import Runway
    from warehouse.runway import Forecast, Growth, OwnForecast, Plan


@click.command("runway")
@click.option("--target-tokens", type=int, metavar="D", help="Tokens to train on now [20 a parameter].")
@click.option("--parameters", type=int, metavar="N", help="Parameters of the model to train [124 million].")
@click.option("--epochs", type=float, metavar="E", help="Passes over the text, at most [4].")
@click.option("--synthetic-share", type=float, metavar="S", help="Of an export, 0.3 at most [0.3].")
@click.option("--horizon", type=int, metavar="YEARS", help="Years to look ahead for the own corpus [15].")
@click.option("--rules", metavar="SET", help="Rule set whose kept text counts [house].")
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE", help="Write the world's forecast as PNG.")
@click.option("--own-picture", type=click.Path(path_type=Path), metavar="FILE", help="The own corpus's as PNG.")
@place.as_json
@place.placed
def runway_verb(
    *,
    target_tokens: int | None,
    parameters: int | None,
    epochs: float | None,
    synthetic_share: float | None,
    horizon: int | None,
    rules: str | None,
    picture: Path | None,
    own_picture: Path | None,
    json_: bool,
) -> None:
    """How long the data lasts: the world's text and the corpus here.

    Defaults in brackets; recipes/runway.yaml states others.

    \b
    Example:
      warehouse runway --target-tokens 20000000000 --epochs 2
    """
    from warehouse import runway as stage
    from warehouse.answers import runway as answers

    project = place.project()
    settings = stage.changed(
        stage.load_settings(project.files("recipes", "runway.yaml")),
        target_tokens=target_tokens,
        parameters=parameters,
        epochs=epochs,
        synthetic_share=synthetic_share,
        horizon_years=horizon,
        rule_set=rules,
    )
    found = answers.runway(project, settings, env=place.environment())
    if picture:
        _save(picture, answers.world_picture(found.world))
    if own_picture:
        if found.own is None:
            raise NotFound(found.missing)
        _save(own_picture, answers.own_picture(found.own))
    return place.print_json(found) if json_ else _say(found)


def _save(path: Path, picture: bytes) -> None:
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}", do="name another file") from None


def _say(found: Runway) -> None:
    from warehouse.answers.runway import in_years
    from warehouse.runway import ORIGIN

    base = found.world.outcome("base")
    click.echo("The world's public text")
    click.echo(f"If trends continue, it is used in full {in_years((base.p10, base.median, base.p90))}.")
    click.echo(f"Published: {in_years(found.published)} ({ORIGIN}).")
    _say_outcomes(found.world, 2032)
    click.echo("\nThis warehouse's corpus")
    if found.own is None:
        return click.echo(found.missing)
    _say_own(found.own)
    return None


def _say_outcomes(forecast: Forecast, year: int) -> None:
    rows = [
        (
            each.scenario,
            *(_date(forecast, date) for date in (each.p10, each.median, each.p90)),
            f"{forecast.probability(each.scenario, year):.0%}",
            each.said,
        )
        for each in forecast.outcomes
    ]
    _table(("scenario", "10 %", "median", "90 %", f"by {year}", "assumes"), rows)
    for each in forecast.assumptions:
        click.echo(f"- {each}")


def _date(forecast: Forecast, date: float | None) -> str:
    if date is None:
        return f"> {forecast.last:.0f}"
    return f"{date:.2f}" if date > forecast.first else "now"


def _say_own(found: OwnForecast) -> None:
    from warehouse.answers.runway import lasts

    once = found.forecast.outcome("once")
    click.echo(
        f"{found.unique_tokens:,.0f} unique tokens, {found.kept_share:.0%} of what is here; read once, they last "
        f"{lasts(found.forecast, once.median)}."
    )
    _say_outcomes(found.forecast, int(found.forecast.first) + 1)
    click.echo("")
    names = ("source", "documents kept", "tokens", "of bytes", "known times", "tokens a year")
    _table(names, [_growth(each) for each in found.growth])
    click.echo("")
    _table(("the target of now is made of", "tokens", "note"), _plan(found.plan))


def _growth(each: Growth) -> tuple[str, ...]:
    grows = "unknown" if each.missing else f"{each.tokens_per_year:,.0f} +- {each.standard_error:,.0f}"
    counts = table.count(each.documents), f"{each.tokens:,.0f}", f"{each.kept_share:.0%}", table.count(each.times)
    return each.source, *counts, grows


def _plan(plan: Plan) -> list[tuple[str, str, str]]:
    return [
        ("unique text", f"{plan.unique:,.0f}", "read once"),
        (
            "repeated",
            f"{plan.repeated:,.0f}",
            f"{plan.epochs:.2f} epochs, of {plan.repeated_seen:,.0f} read again",
        ),
        ("synthetic", f"{plan.synthetic:,.0f}", f"of {plan.synthetic_made:,.0f} made, if as good as real"),
        ("missing", f"{plan.missing:,.0f}", ""),
        ("target", f"{plan.target:,.0f}", ""),
    ]


def _table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    for line in table.lines(names, rows, width=table.terminal_width()):
        click.echo(line)

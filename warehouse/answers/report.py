"""What a report shows: pictures of the published marts, releases, verdicts; and the one page that holds them.

The page opens from disk and needs nothing else: pictures are in it, and it loads no script, font or style.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import files

import jinja2

from warehouse import pictures
from warehouse.answers.runway import in_years, own_forecast, own_picture, world_picture
from warehouse.answers.status import ReleaseStatus, status
from warehouse.contracts import Check
from warehouse.errors import NotFound
from warehouse.gate import Tables, data_docs
from warehouse.project import Project
from warehouse.publish import connect_current
from warehouse.query import Connection, fetch_all
from warehouse.runway import Settings, load_settings, world


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG, what it shows in words for whoever does not see it, and the mart that holds its numbers."""

    name: str
    alt: str
    mart: str
    png: bytes

    @property
    def uri(self) -> str:
        """The picture as a data: URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


@dataclass(frozen=True, slots=True)
class Audited:
    """The verdicts of one table: how many passed, and Data Docs' table for each of its columns."""

    table: str
    passed: int
    checks: int
    docs: Tables


@dataclass(frozen=True, slots=True)
class Report:
    """A project at one generation of its snapshot. facts: label and value, the first things to know."""

    project: str
    env: str
    n: int
    created_at: datetime
    run_id: str
    facts: tuple[tuple[str, str], ...]
    pictures: tuple[Picture, ...]
    releases: tuple[ReleaseStatus, ...]
    audited: tuple[Audited, ...]


def report(project: Project, checks: Sequence[Check], *, env: str = "prod") -> Report:
    """The report of what is published in ``env``. checks: the last verdict of every check, passed or not.

    Raises NotFound where nothing is published.
    """
    found = status(project, env=env)
    if found.published is None:
        raise NotFound(f"nothing is published in {env}", do="run 'warehouse run' first")
    with connect_current(project.published, env, memory_limit=project.memory_limit) as con:
        drawn = (*_pictures(con), *_forecasts(con, load_settings(project.files("recipes", "runway.yaml"))))
        facts = (*_documents(con), *_verdicts(checks), *_released(found.releases), *_cost(con))
    published = found.published
    return Report(
        found.project, env, published.n, published.created_at, published.run_id, facts, drawn, found.releases,
        _audited(checks),
    )  # fmt: skip


def page(shown: Report) -> str:
    """The report as one HTML page."""
    text = files("warehouse.answers").joinpath("report.html.j2").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(text).render(report=shown)


def _audited(checks: Sequence[Check]) -> tuple[Audited, ...]:
    """Tables in order, those where something failed first."""
    by_table: dict[str, list[Check]] = defaultdict(list)
    for check in checks:
        by_table[check.table].append(check)
    docs = data_docs(checks)
    made = [
        Audited(table, sum(check.success for check in own), len(own), docs[table]) for table, own in by_table.items()
    ]
    return tuple(sorted(made, key=lambda audited: (audited.passed == audited.checks, audited.table)))


def _documents(con: Connection) -> list[tuple[str, str]]:
    sql = "SELECT count(*), coalesce(sum(bytes), 0) / 1e6 FROM staging.current_documents"
    documents, megabytes = fetch_all(con, sql)[0]
    return [("documents", f"{documents:,}"), ("text", f"{megabytes:,.1f} MB")]


def _verdicts(checks: Sequence[Check]) -> list[tuple[str, str]]:
    return [("checks passed", f"{sum(check.success for check in checks):,} of {len(checks):,}")]


def _released(releases: Sequence[ReleaseStatus]) -> list[tuple[str, str]]:
    tokens = sum(release.tokens for release in releases if release.state == "live")
    return [("releases", f"{len(releases):,}"), ("tokens released", f"{tokens:,}")]


def _cost(con: Connection) -> list[tuple[str, str]]:
    sql = "SELECT sum(last_cpu_s), sum(last_watt_hours), sum(last_grams_co2e) FROM marts.asset_costs"
    spent, watt_hours, grams = (value or 0 for value in fetch_all(con, sql)[0])
    return [
        ("CPU, last runs", f"{spent:,.1f} s"),
        ("energy", f"{watt_hours:.2g} Wh"),
        ("carbon", f"{grams:.2g} g CO2e"),
    ]


def _pictures(con: Connection) -> tuple[Picture, ...]:
    """A picture of each mart that has one and holds rows."""
    built = {name for (name,) in fetch_all(con, "SELECT name FROM meta.models WHERE skipped IS NULL AND rows <> 0")}
    drawn = (draw(con, mart) for mart, draw in DRAWN.items() if mart in built)
    return tuple(picture for picture in drawn if picture)


def _forecasts(con: Connection, settings: Settings) -> Iterator[Picture]:
    """When the world's text is used up and when this corpus is; without a kept document the world's alone."""
    found = world()
    base = found.outcome("base")
    alt = "The world's public text is used in full " + in_years((base.p10, base.median, base.p90))
    yield Picture("world", alt, "marts.runway", world_picture(found))
    try:
        own = own_forecast(con, settings)
    except NotFound:
        return
    alt = f"This corpus has {own.unique_tokens:,.0f} unique tokens for a target of {own.plan.target:,.0f}"
    yield Picture("corpus", alt, "marts.runway", own_picture(own))


def _funnel(con: Connection, mart: str) -> Picture | None:
    sql = "SELECT reason, sum(documents) FROM marts.removal_funnel WHERE rule_set = 'house' GROUP BY reason"
    counts = {str(reason): int(count) for reason, count in fetch_all(con, sql)}
    total, kept = sum(counts.values()), counts.pop("kept", 0)
    title, said = f"Rules keep {kept:,} of {total:,} documents", "Rule set house; each falls by its first failing rule"
    alt = f"{title}; the rest falls by the first rule that failed"
    drawn = pictures.funnel(list(counts.items()), kept, title=title, subtitle=said)
    return Picture("funnel", alt, mart, drawn)


def _costs(con: Connection, mart: str) -> Picture | None:
    rows = [(str(a), float(s)) for a, s in fetch_all(con, "SELECT asset, last_cpu_s FROM marts.asset_costs") if s]
    whole = sum(seconds for _, seconds in rows)
    if not rows:
        return None
    title = f"The last run of each asset took {whole:,.0f} CPU seconds in all"
    top = max(rows, key=lambda row: row[1])
    alt = f"{title}; the most costly is {top[0]} with {top[1]:,.1f}"
    return Picture("costs", alt, mart, pictures.costs(rows, title=title, subtitle="All threads and child processes"))


def _compute(con: Connection, mart: str) -> Picture | None:
    sql = """
        SELECT owner, quarter_start, sum(h100e) FROM marts.chips_by_owner_quarter
        WHERE complete GROUP BY owner, quarter_start"""
    quarters, added = _by_quarter(fetch_all(con, sql))
    owned = {owner: _cumulated(values) for owner, values in added.items()}
    last = sum(values[-1] for values in owned.values())
    first = max(owned, key=lambda owner: owned[owner][-1])
    title = f"AI chips acquired since {quarters[0].year} equal {last / 1e6:,.1f} million H100s"
    alt = f"{title}; {first} has most of it, {owned[first][-1] / 1e6:,.1f} million"
    note = "Epoch AI, median estimates of complete quarters; no chip is taken to be retired"
    return Picture("compute", alt, mart, pictures.compute(quarters, owned, title=title, note=note))


def _power(con: Connection, mart: str) -> Picture | None:
    sql = """
        SELECT owner, quarter_start, installed_mw / 1e3, tco2e, pue, load_factor, grid FROM marts.power_and_carbon
        WHERE complete"""
    rows = fetch_all(con, sql)
    quarters, installed = _by_quarter([row[:3] for row in rows], fill=True)
    _, carbon = _by_quarter([(owner, quarter, tonnes or 0.0) for owner, quarter, _, tonnes, *_ in rows])
    tonnes = [sum(values) for values in zip(*carbon.values(), strict=True)]
    gigawatts = sum(values[-1] for values in installed.values())
    title = f"Those chips can draw {gigawatts:,.1f} GW, and emit {sum(tonnes[-4:]) / 1e6:,.0f} Mt CO2e a year"
    pue, load, grid = rows[0][4:]
    note = f"Assumed: PUE {pue:g}, mean draw {load:.0%} of thermal design power, grid {grid}; without making the chips"
    return Picture("power", title, mart, pictures.power(quarters, installed, tonnes, title=title, note=note))


def _by_quarter(rows: Sequence[Sequence[object]], *, fill: bool = False) -> tuple[list[date], dict[str, list[float]]]:
    """The quarters in order, and each owner's value in each: 0 where there is none, or the last before it (fill)."""
    quarters = sorted({quarter for _, quarter, _ in rows if isinstance(quarter, date)})
    found: dict[str, dict[object, float]] = defaultdict(dict)
    for owner, quarter, value in rows:
        found[str(owner)][quarter] = float(str(value or 0))
    return quarters, {owner: _filled(values, quarters, fill) for owner, values in sorted(found.items())}


def _filled(values: Mapping[object, float], quarters: Sequence[date], fill: bool) -> list[float]:
    series: list[float] = []
    for quarter in quarters:
        before = series[-1] if fill and series else 0.0
        series.append(values.get(quarter, before))
    return series


def _cumulated(values: Sequence[float]) -> list[float]:
    return [sum(values[: at + 1]) for at in range(len(values))]


DRAWN: Mapping[str, Callable[[Connection, str], Picture | None]] = {
    "marts.removal_funnel": _funnel,
    "marts.chips_by_owner_quarter": _compute,
    "marts.power_and_carbon": _power,
    "marts.asset_costs": _costs,
}
"""Mart -> its picture. A new one is a function here and one in warehouse/pictures/."""

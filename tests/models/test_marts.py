"""The marts say what the sample and the publisher's own totals say."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pytest

from warehouse import curation, query
from warehouse.contracts import DOCUMENTS, RUNS
from warehouse.gate import grain_suite, load_suites, run_suite
from warehouse.models import Built

Make = Callable[[query.Connection], dict[str, Built]]


def rows(con: query.Connection, sql: str) -> list[tuple[Any, ...]]:
    return query.fetch_all(con, sql)


def test_every_mart_over_the_sample_keeps_its_grain_and_passes_its_suite(
    sample: query.Connection, project_models: Make, checkout: Path
) -> None:
    made = {name: each for name, each in project_models(sample).items() if not each.skipped}
    assert {"marts.chips_by_owner_quarter", "marts.power_and_carbon", "marts.inference_traffic_by_hour"} <= set(made)
    suites = [suite for suite in load_suites((checkout / "expectations").glob("*.json")) if suite.table in made]
    suites += [grain_suite(name, each.model.grain) for name, each in made.items()]
    failed = [check for suite in suites for check in run_suite(sample, suite) if not check.success]
    assert failed == []


def test_every_column_of_a_mart_that_is_described_exists_and_most_are_described(
    sample: query.Connection, project_models: Make
) -> None:
    for each in project_models(sample).values():
        if each.model.name.startswith("marts.") and not each.skipped:
            silent = [name for name, _, description in each.columns if not description]
            assert set(silent) <= {"unit", "entity", "variable"}, (each.model.name, silent)


def publisher_totals(folder: Path, name: str) -> dict[tuple[str, date], dict[str, float]]:
    """H100 equivalents by owner and quarter as the publisher adds them up itself."""
    with (folder / name).open(newline="", encoding="utf-8-sig") as handle:
        return {
            (row["Owner"], datetime.strptime(row["Start date"], "%m/%d/%Y").replace(tzinfo=UTC).date()): {
                "h100e": float(row["Compute estimate in H100e (median)"]),
                "h100e_p05": float(row["H100e (5th percentile)"]),
                "h100e_p95": float(row["H100e (95th percentile)"]),
                "units": float(row["Number of Units"]),
            }
            for row in csv.DictReader(handle)
        }


@pytest.mark.parametrize("manufacturer", ["Nvidia", "AMD"])
def test_owners_and_quarters_add_up_to_the_publishers_own_totals(
    sample: query.Connection, project_models: Make, shared_data: Path, manufacturer: str
) -> None:
    project_models(sample)
    folder = shared_data / "ai_chip_counts" / "owners_csv_export"
    totals = publisher_totals(folder, f"{manufacturer.lower()}_owners_quarters.csv")
    found = rows(
        sample,
        f"SELECT owner, quarter_start, units, h100e, h100e_p05, h100e_p95 FROM marts.chips_by_owner_quarter "
        f"WHERE manufacturer = '{manufacturer}'",
    )
    compared = [(totals[owner, start], figures) for owner, start, *figures in found if (owner, start) in totals]
    assert len(compared) >= 30
    for total, (units, h100e, p05, p95) in compared:
        assert units == pytest.approx(total["units"], rel=0.04)
        assert h100e == pytest.approx(total["h100e"], rel=0.04)
        assert p05 <= total["h100e_p05"] * 1.001
        assert p95 >= total["h100e_p95"] * 0.98
    shares = [p05 / total["h100e_p05"] for total, (_, _, p05, _) in compared]
    assert 0.9 < median(shares) <= 1


def test_all_owners_together_are_nvidias_total_but_for_xai(
    sample: query.Connection, project_models: Make, shared_data: Path
) -> None:
    project_models(sample)
    path = shared_data / "ai_chip_counts" / "csv_export" / "nvidia_cumulative_totals.csv"
    with path.open(newline="", encoding="utf-8-sig") as handle:
        ends = {row["End date"]: float(row["Compute estimate in H100e (median)"]) for row in csv.DictReader(handle)}
    ((ours,),) = rows(
        sample,
        "SELECT sum(h100e) FROM marts.chips_by_owner_quarter "
        "WHERE manufacturer = 'Nvidia' AND quarter_start < DATE '2025-10-01'",
    )
    assert 0.85 < ours / ends["9/30/2025"] <= 1.02


def test_stated_power_is_the_thermal_design_power(sample: query.Connection, shared_data: Path) -> None:
    path = shared_data / "ai_chip_counts" / "owners_csv_export" / "trainium_owners_quarters_by_chip.csv"
    with path.open(newline="", encoding="utf-8-sig") as handle:
        for row in csv.DictReader(handle):
            assert float(row["Power in MW (median)"]) == pytest.approx(
                float(row["Total TDP (W)"]) / 1e6, rel=0.02, abs=0.06
            )


def test_a_later_vintage_takes_the_place_of_an_earlier_one_and_nothing_is_counted_twice(
    sample: query.Connection, project_models: Make
) -> None:
    (definition,) = rows(sample, "SELECT sql FROM duckdb_views() WHERE view_name = 'ai_chips'")
    select = definition[0].partition(" AS ")[2].rstrip(";")
    sample.execute(f"CREATE VIEW repository.once AS {select}")
    sample.execute(
        "CREATE OR REPLACE VIEW repository.ai_chips AS SELECT * REPLACE (h100e_median * 2 AS h100e_median, "
        "_known_at + INTERVAL 1 DAY AS _known_at) FROM repository.once UNION ALL SELECT * FROM repository.once"
    )
    project_models(sample)
    assert rows(sample, "SELECT sum(h100e) FROM marts.chips_by_owner_quarter") == rows(
        sample, "SELECT 2 * sum(h100e_median) FROM repository.once"
    )


def test_power_and_carbon_follow_from_their_stated_assumptions(sample: query.Connection, project_models: Make) -> None:
    project_models(sample)
    quarters = rows(sample, "SELECT * FROM marts.power_and_carbon WHERE owner = 'Google' ORDER BY quarter_start")
    installed = 0.0
    for _, start, added, total, pue, load, grid, g_per_kwh, energy, tco2e, _ in quarters:
        following = date(start.year + (start.month == 10), (start.month + 2) % 12 + 1, 1)
        hours = (following - start).days * 24
        mean = installed + added / 2
        installed += added
        assert (pue, load, grid) == (1.2, 0.6, "world")
        assert total == pytest.approx(installed)
        assert energy == pytest.approx(mean * load * pue * hours / 1000)
        assert tco2e == pytest.approx(energy * 1e6 * g_per_kwh / 1e6)
    sample.execute("SET VARIABLE grid = 'FRA'; SET VARIABLE pue = 1.5")
    before = quarters[-1]
    (after,) = rows(
        sample, "SELECT * FROM marts.power_and_carbon WHERE owner = 'Google' ORDER BY quarter_start DESC LIMIT 1"
    )
    assert after[8] == pytest.approx(before[8] * 1.5 / 1.2)
    assert after[9] < before[9] / 4
    sample.execute("SET VARIABLE grid = 'nowhere'")
    assert rows(sample, "SELECT count(*), count(tco2e) FROM marts.power_and_carbon WHERE owner = 'Google'") == [
        (len(quarters), 0)
    ]


def test_the_energy_of_ai_chips_is_below_that_of_all_data_centres(
    sample: query.Connection, project_models: Make
) -> None:
    """The source document's 460 TWh in 2022 and 1,000 TWh in 2026 bound a year's AI compute from above."""
    project_models(sample)
    years = dict(
        rows(sample, "SELECT year(quarter_start), sum(energy_gwh) / 1e3 FROM marts.power_and_carbon GROUP BY 1")
    )
    assert 0.5 < years[2022] < 0.05 * 460
    assert 20 < years[2025] < 0.19 * 1000


def test_the_world_is_the_mean_of_the_countries_by_production(sample: query.Connection, project_models: Make) -> None:
    project_models(sample)
    countries = rows(sample, "SELECT g_per_kwh, twh FROM staging.grids WHERE grid <> 'world'")
    expected = sum(g * twh for g, twh in countries) / sum(twh for _, twh in countries)
    ((world,),) = rows(sample, "SELECT g_per_kwh FROM staging.grids WHERE grid = 'world'")
    assert world == pytest.approx(expected)
    assert 400 < world < 550


def test_traffic_by_hour_counts_every_request_once(
    sample: query.Connection, project_models: Make, checkout: Path
) -> None:
    project_models(sample)
    (path,) = (checkout / "sample" / "inference_trace").glob("*.csv")
    with path.open(newline="") as handle:
        requests = list(csv.DictReader(handle))
    hours = rows(
        sample,
        "SELECT hour, requests, observed_s, context_tokens, context_tokens_p50 FROM marts.inference_traffic_by_hour",
    )
    by_hour = defaultdict[str, list[int]](list)
    for request in requests:
        by_hour[request["TIMESTAMP"][:13]].append(int(request["ContextTokens"]))
    assert {hour.strftime("%Y-%m-%d %H"): (n, sum_, p50) for hour, n, _, sum_, p50 in hours} == {
        hour: (len(tokens), sum(tokens), median(tokens)) for hour, tokens in by_hour.items()
    }
    assert sum(seconds for _, _, seconds, _, _ in hours) == pytest.approx(1200, abs=2)


def test_a_figure_that_was_not_confirmed_is_never_shown_as_its_publishers(
    sample: query.Connection, project_models: Make
) -> None:
    project_models(sample)
    found = rows(sample, "SELECT attribution, publisher, publisher_confirmed FROM marts.infrastructure_figures")
    assert len(found) == 15
    assert {attribution for attribution, _, confirmed in found if not confirmed} == {"as stated in the source document"}
    assert all(attribution == publisher for attribution, publisher, confirmed in found if confirmed)


TEXTS = {
    "good": "The people of the town said that they would have to go to the river with the boat. " * 12
    + "It was a long way, and nobody knew of a shorter one that would be safe for all of them.",
    "short": "Too short.",
    "symbols": "# # # ... {{{ }}} " * 40,
}


def corpus(con: query.Connection) -> None:
    """Five documents of two sources, measured; one of them a copy."""
    texts = {f"{n:032x}": text for n, text in enumerate([*TEXTS.values(), TEXTS["good"], TEXTS["short"]])}
    measured = pa.record_batch({"doc_id": list(texts), "text": pa.array(texts.values(), pa.large_string())})
    start = datetime(2026, 1, 1, tzinfo=UTC)
    documents = pa.Table.from_pylist(
        [
            {"doc_id": d, "source": "web" if n < 3 else "mail", "uri": d, "record": "0", "known_at": start}
            | {"text": text, "content_hash": d, "synthetic": False, "generation": 0}
            for n, (d, text) in enumerate(texts.items())
        ],
        DOCUMENTS,
    )
    for name, table in (
        ("documents", documents),
        ("signals", pa.Table.from_batches([curation.measure(measured)])),
        ("paragraphs", pa.Table.from_batches([curation.paragraphs(measured)])),
        ("pii", pa.Table.from_batches([curation.pii(measured)])),
        ("minhash", pa.Table.from_batches([curation.minhash(measured)])),
        ("contamination", curation.CONTAMINATION.empty_table()),
        ("pairs", curation.PAIRS.empty_table()),
    ):
        con.register("arrow", table)
        con.execute(f"CREATE TABLE repository.kept_{name} AS FROM arrow")
        con.execute(f"CREATE VIEW repository.{name} AS FROM repository.kept_{name}")


def test_the_corpus_and_the_funnel_account_for_every_document(empty: query.Connection, project_models: Make) -> None:
    corpus(empty)
    project_models(empty)
    found = rows(
        empty,
        "SELECT source, sum(documents), sum(bytes), sum(kept) FROM marts.corpus_by_source_and_language GROUP BY 1",
    )
    web = [*TEXTS.values()]
    assert {source: (n, size) for source, n, size, _ in found} == {
        "web": (3, sum(map(len, web))),
        "mail": (2, len(TEXTS["good"]) + len(TEXTS["short"])),
    }
    kept = "SELECT count(*) FROM curation.decisions WHERE rule_set = 'house' AND kept"
    assert [(sum(row[3] for row in found),)] == rows(empty, kept)
    funnel = rows(
        empty, "SELECT rule_set, source, sum(documents), sum(share_of_documents) FROM marts.removal_funnel GROUP BY ALL"
    )
    assert {(source, n) for _, source, n, _ in funnel} == {("web", 3), ("mail", 2)}
    assert all(share == pytest.approx(1) for *_, share in funnel)
    assert rows(empty, "SELECT rule_set FROM marts.removal_funnel LIMIT 1") == [("house",)]


def test_personal_data_is_counted_in_current_documents_of_the_newest_search(
    empty: query.Connection, project_models: Make
) -> None:
    corpus(empty)
    span = "repeat('0', 32), {version}, {kind}, {start}, {stop}, 'mask'"
    old, new = curation.PII_VERSION - 1, curation.PII_VERSION
    for version, kind, start, stop in ((old, "'ip'", 0, 7), (new, "'email'", 5, 9), (new, "'email'", 20, 30)):
        row = span.format(version=version, kind=kind, start=start, stop=stop)
        empty.execute(f"INSERT INTO repository.kept_pii VALUES ({row})")
    empty.execute(f"INSERT INTO repository.kept_pii VALUES ('gone', {new}, 'card', 1, 2, 'mask')")
    project_models(empty)
    assert rows(empty, "FROM curation.pii_counts") == [("web", "email", 1, 2, 14)]


def test_costs_are_those_of_the_last_run_and_the_sum_of_all(empty: query.Connection, project_models: Make) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    runs = [
        {"asset": "a", "run_id": str(n), "started_at": start - timedelta(days=n), "wall_s": 2.0, "cpu_s": 1.0 + n,
         "peak_rss": (n + 1) * 10**6, "rows": 10, "bytes_read": 5 * 10**6, "bytes_written": 7,
         "watt_hours": None if n == 2 else 0.5 + n, "grams_co2e": None if n == 2 else 0.25, "grid": f"grid {n}"}
        for n in range(3)
    ]  # fmt: skip
    empty.register("arrow", pa.Table.from_pylist(runs, RUNS))
    empty.execute("CREATE TABLE repository.kept AS FROM arrow; CREATE VIEW repository.runs AS FROM repository.kept")
    project_models(empty)
    asked = "runs, last_cpu_s, last_peak_rss_mb, last_mb_per_cpu_s, cpu_s, peak_rss_mb, rows, bytes_read"
    assert rows(empty, f"SELECT {asked} FROM marts.asset_costs") == [(3, 1.0, 1.0, 5.0, 6.0, 3.0, 30, 15 * 10**6)]
    asked = "last_watt_hours, last_grid, watt_hours, grams_co2e, runs_without_energy"
    assert rows(empty, f"SELECT {asked} FROM marts.asset_costs") == [(0.5, "grid 0", 2.0, 0.5, 1)]

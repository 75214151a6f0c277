"""The sample's figures as tables of a repository, read by DuckDB itself and not by the code under test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from warehouse import query
from warehouse.models import Built, build, load_models

ORIGIN = """
    's' AS _source, filename AS _uri, CAST(row_number() OVER (PARTITION BY filename) AS VARCHAR) AS _record,
    'o' AS _object_sha256, TIMESTAMPTZ '2026-04-01' AS _known_at, 'r' AS _receipt_id
"""
TABLES = {
    "ai_chips": f"""
        SELECT "Chip manufacturer" AS manufacturer, Owner AS owner, "Chip type" AS chip,
            CAST(strptime("Start date", '%m/%d/%Y') AS DATE) AS quarter_start,
            CAST(coalesce("Number of Units", "Number of Units (median)") AS BIGINT) AS units_median,
            CAST("Compute estimate in H100e (median)" AS BIGINT) AS h100e_median,
            CAST("H100e (5th percentile)" AS BIGINT) AS h100e_p05,
            CAST("H100e (95th percentile)" AS BIGINT) AS h100e_p95,
            CAST("Total TDP (W)" AS BIGINT) AS tdp_w_median,
            CAST("Total TDP (W) (5th percentile)" AS BIGINT) AS tdp_w_p05,
            CAST("Total TDP (W) (95th percentile)" AS BIGINT) AS tdp_w_p95, Incomplete AS incomplete, Notes AS notes,
            {ORIGIN}
        FROM read_csv('{{sample}}/ai_chips/*/*.csv', union_by_name = true, all_varchar = true, filename = true)""",
    "grid_carbon": f"""
        SELECT iso_code, country_name, year, carbon_intensity AS carbon_intensity_g_per_kwh, total_TWh AS total_twh,
            {ORIGIN}
        FROM read_csv('{{sample}}/carbon/global_energy_mix.csv', filename = true)""",
    "inference_trace": f"""
        SELECT CAST(TIMESTAMP AS TIMESTAMPTZ) AS arrived_at, ContextTokens AS context_tokens,
            GeneratedTokens AS generated_tokens, {ORIGIN}
        FROM read_csv('{{sample}}/inference_trace/*.csv', filename = true)""",
    "figures": f"""
        SELECT * EXCLUDE (date, filename), CAST(date AS VARCHAR) AS date, {ORIGIN}
        FROM read_csv('{{sample}}/infrastructure_facts/*.csv', filename = true)""",
}


@pytest.fixture
def empty() -> Iterator[query.Connection]:
    """A connection with a repository that has no table yet."""
    with query.connect() as con:
        con.execute("ATTACH ':memory:' AS repository")
        yield con


@pytest.fixture
def sample(empty: query.Connection, checkout: Path) -> query.Connection:
    """A connection whose repository holds the figures of sample/."""
    for name, sql in TABLES.items():
        empty.execute(f"CREATE VIEW repository.{name} AS {sql.replace('{sample}', str(checkout / 'sample'))}")
    return empty


@pytest.fixture
def project_models(checkout: Path) -> Callable[[query.Connection], dict[str, Built]]:
    """Builds the project's own models on a connection."""

    def made(con: query.Connection) -> dict[str, Built]:
        return {each.model.name: each for each in build(con, load_models((checkout / "sql").rglob("*.sql")))}

    return made

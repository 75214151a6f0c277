"""The rows of a forecast as the repository stores them: grain (forecast, scenario, year, known_at)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import pyarrow as pa

from warehouse.contracts import TIMESTAMP
from warehouse.runway.exhaustion import Forecast

RUNWAY = pa.schema(
    [
        ("forecast", pa.string()),  # 16 hexadecimal digits over every input: equal inputs, equal rows
        ("scope", pa.string()),  # world | own
        ("scenario", pa.string()),
        ("year", pa.int32()),
        ("stock_p10", pa.float64()),  # tokens
        ("stock_median", pa.float64()),
        ("stock_p90", pa.float64()),
        ("demand_p10", pa.float64()),
        ("demand_median", pa.float64()),
        ("demand_p90", pa.float64()),
        ("run_out_probability", pa.float64()),  # that the stock is used in full by this year
        ("run_out_p10", pa.float64()),  # decimal years of the scenario, the same in all its rows; null: not by 'last'
        ("run_out_median", pa.float64()),
        ("run_out_p90", pa.float64()),
        ("assumes", pa.string()),  # the scenario in words
        ("known_at", TIMESTAMP),
        ("receipt_id", pa.string()),
    ]
)


def batch(forecast: Forecast, *, known_at: datetime) -> pa.RecordBatch:
    """One row for each scenario and whole year."""
    common = {"forecast": forecast.identity, "scope": forecast.scope, "known_at": known_at, "receipt_id": ""}
    told = {
        each.scenario: {
            "run_out_p10": each.p10,
            "run_out_median": each.median,
            "run_out_p90": each.p90,
            "assumes": each.said,
        }
        for each in forecast.outcomes
    }
    rows = [{**common, **told[row.scenario], **asdict(row)} for row in forecast.rows]
    return pa.RecordBatch.from_pylist(rows, schema=RUNWAY)

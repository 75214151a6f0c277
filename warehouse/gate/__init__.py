"""Suites in Great Expectations' format, each compiled to one DuckDB query; nothing that fails is published or exported.

Won: 22 expectations over 200,000 rows cost one scan where Great Expectations on pandas needs the whole table in memory;
importing this needs neither it nor pandas. Lost: what is not compiled is refused, there is no slow path.
"""

from warehouse.gate.compile import Compiled, compile_suite
from warehouse.gate.run import run_suite, table_columns
from warehouse.gate.suite import KWARGS, Expectation, Suite, grain_suite, load_suites

__all__ = [
    "KWARGS",
    "Compiled",
    "Expectation",
    "Suite",
    "compile_suite",
    "grain_suite",
    "load_suites",
    "run_suite",
    "table_columns",
]

"""The command line starts fast, and its help is one screen with an example for each verb."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from warehouse.cli.app import MODULES

HEAVY = {"dagster", "duckdb", "polars", "pyarrow", "numpy", "numba", "deltalake", "tokenizers", "yaml"}
PROBE = """
import json, resource, sys
from warehouse.cli.app import run
status = run(["--help"])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([status, sorted({name.partition(".")[0] for name in sys.modules}), used.ru_utime + used.ru_stime]))
"""


def test_help_loads_nothing_heavy_and_takes_less_than_0_3_cpu_seconds():
    probe = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    status, modules, cpu_s = json.loads(probe.stdout.splitlines()[-1])
    assert status == 0
    assert HEAVY.isdisjoint(modules)
    assert cpu_s < 0.3


def test_help_is_one_screen_with_every_verb(warehouse):
    lines = warehouse("--help").out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert set(MODULES) <= {line.split()[0] for line in lines if line.startswith("  ")}


@pytest.mark.parametrize("verb", MODULES)
def test_help_of_a_verb_has_an_example(verb, warehouse):
    ended = warehouse(verb, "--help")
    assert ended.status == 0
    assert f"warehouse {verb}" in ended.out.partition("Example:")[2]


@pytest.mark.parametrize("command", [["-m", "warehouse.cli"], ["-c", "from warehouse.cli import main; main()"]])
def test_the_module_and_the_entry_point_are_the_same_command(command):
    ended = subprocess.run([sys.executable, *command, "--version"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("warehouse ")

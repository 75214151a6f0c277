"""Energy is linear in CPU seconds, comes from the named tables, and says what it does not know."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.costs import Part, metered
from pipelines.definitions import build_definitions
from warehouse.answers.status import costs
from warehouse.contracts import RUNS
from warehouse.energy import (
    DEFAULT_W,
    Processor,
    Rate,
    carbon,
    find,
    package_threads,
    parse_processor,
    power,
    rate,
    read_grids,
    read_tdp,
)
from warehouse.errors import RecipeError
from warehouse.models import build, load_models
from warehouse.project import Energy, Project, load
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository

TABLES = Path(__file__).resolve().parents[2] / "sample" / "carbon"
TDP, GRIDS = read_tdp(TABLES / "cpu_power.csv"), read_grids(TABLES / "global_energy_mix.csv")
RATE = Rate(2.5, "a processor", 400.0, "a grid")
SECONDS = st.floats(0, 1e9)
BEFORE = pa.schema([field for field in RUNS if field.name not in ("watt_hours", "grams_co2e", "power_model", "grid")])
"""Columns of ``runs`` before energy was counted."""


def csv(name: str) -> str:
    return f"read_csv('{TABLES / name}', all_varchar = true)"


@given(parts=st.lists(SECONDS, max_size=20))
def test_the_energy_of_parts_adds_up_to_that_of_their_sum(parts):
    whole, each = RATE.used(sum(parts)), [RATE.used(part) for part in parts]
    assert sum(used.watt_hours for used in each) == pytest.approx(whole.watt_hours)
    assert sum(used.grams_co2e for used in each) == pytest.approx(whole.grams_co2e)


@given(less=SECONDS, more=SECONDS)
def test_more_cpu_time_never_takes_less_energy_and_none_takes_none(less, more):
    low, high = RATE.used(min(less, more)), RATE.used(max(less, more))
    assert (low.watt_hours <= high.watt_hours, low.grams_co2e <= high.grams_co2e) == (True, True)
    assert (RATE.used(0).watt_hours, RATE.used(0).grams_co2e) == (0, 0)


def test_an_hour_of_one_thread_is_its_watts_in_watt_hours_and_a_thousand_of_them_the_grids_factor():
    assert RATE.used(3600).watt_hours == 2.5
    assert RATE.used(3600 * 400).grams_co2e == 400.0  # 400 h x 2.5 W = 1 kWh


def test_watts_of_every_processor_are_those_of_the_table_as_duckdb_reads_it():
    sql = f"SELECT Name, try_cast(TDP AS DOUBLE) / 24 FROM {csv('cpu_power.csv')} WHERE try_cast(TDP AS DOUBLE) > 0"
    expected = dict(duckdb.sql(sql).fetchall())
    assert len(expected) == len(TDP) > 4_000
    for name, watts in expected.items():
        found, said = power(Energy(), Processor(name, 12, 24), TDP) if "-Core" not in name else (watts, name)
        assert (found, name in said) == (pytest.approx(watts), True)


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "Intel Xeon Platinum 8375C"),
        ("Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", "Intel Xeon E5-2686 v4"),
        ("13th Gen Intel(R) Core(TM) i9-13900K", "Intel Core i9-13900K"),
        ("Intel(R) Core(TM)2 Duo CPU     T7500  @ 2.20GHz", "Intel Core 2 Duo T7500"),
        ("AMD EPYC 7763 64-Core Processor", "AMD EPYC 7763"),
        ("AMD Ryzen 7 5800H with Radeon Graphics", "AMD Ryzen 7 5800H"),
        ("AMD Ryzen Threadripper PRO 3995WX 64-Cores", "AMD Ryzen Threadripper PRO 3995WX"),
    ],
)
def test_a_name_as_the_kernel_writes_it_finds_its_own_row(written, known):
    assert known in TDP
    assert find(written, TDP) == known


@pytest.mark.parametrize("name", ["AMD EPYC", "Intel(R) Xeon(R) CPU @ 2.20GHz", "AMD EPYC 776", "Processor", ""])
def test_a_processor_that_the_table_does_not_have_is_said_and_counted_at_the_stated_constant(name):
    watts, said = power(Energy(), Processor(name, 4, 8), TDP)
    assert watts == DEFAULT_W
    assert (name or "unnamed processor") in said
    assert "not in codecarbon cpu_power.csv" in said and "4 W a thread" in said


def test_a_virtual_machine_hides_threads_unless_the_name_tells_the_cores_or_the_project_the_threads():
    hidden = Processor("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", 1, 2, virtual=True)
    watts, said = power(Energy(), hidden, TDP)
    assert (watts, "hides its threads" in said) == (DEFAULT_W, True)
    watts, said = power(Energy(threads=64), hidden, TDP)
    assert (watts, "64 threads (warehouse.toml)" in said) == (300 / 64, True)
    named = Processor("AMD EPYC 7763 64-Core Processor", 2, 4, virtual=True)
    assert (package_threads(named), power(Energy(), named, TDP)[0]) == (128, 280 / 128)


def test_what_the_project_states_counts_before_any_table():
    watts, said = power(Energy(tdp_w=120.0, threads=48), Processor("AMD EPYC 7763", 64, 128), TDP)
    assert (watts, said) == (2.5, "TDP 120 W / 48 threads (warehouse.toml)")


def test_the_processor_is_the_first_of_cpuinfo_and_an_empty_one_where_it_tells_nothing():
    text = "processor\t: 0\nmodel name\t: AMD EPYC\nsiblings\t: 2\ncpu cores\t: 1\nflags\t\t: fpu hypervisor\n\n"
    assert parse_processor(text + text.replace("EPYC", "other")) == Processor("AMD EPYC", 1, 2, virtual=True)
    assert parse_processor("processor\t: 0\nBogoMIPS\t: 50.00\nCPU part\t: 0xd0c\n") == Processor()
    assert parse_processor("") == Processor()


def test_the_world_is_the_mean_of_the_countries_by_production():
    sql = f"""
        SELECT sum(carbon_intensity::DOUBLE * total_TWh::DOUBLE) / sum(total_TWh::DOUBLE)
        FROM {csv("global_energy_mix.csv")}"""
    [(mean,)] = duckdb.sql(sql).fetchall()
    found, said = carbon("world", GRIDS)
    assert found == pytest.approx(mean)
    assert "world: 481 g" in said and "global_energy_mix.csv" in said


def test_every_country_has_the_factor_of_its_row():
    rows = duckdb.sql(f"SELECT iso_code, carbon_intensity::DOUBLE FROM {csv('global_energy_mix.csv')}").fetchall()
    assert len(rows) == len(GRIDS) > 200
    for code, factor in rows:
        found, said = carbon(code, GRIDS)
        assert (found, said.startswith(f"{code}: ")) == (factor, True)


def project_of(folder: Path, text: str) -> Project:
    (folder / "warehouse.toml").write_text(text)
    return load(folder)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('name = "a"\n\n[energy]\ngird = "DEU"\n', 4, "unknown key 'gird' in [energy]. Allowed: grid, tdp_w, threads"),
        ("[energy]\ngrid = 3\n", 2, "grid is 3. Allowed: grid = an ISO 3166 code"),
        ("[energy]\nthreads = 8\ntdp_w = -1\n", 3, "tdp_w is -1. Allowed: tdp_w = watts"),
        ("[energy]\ntdp_w = inf\nthreads = 8\n", 2, "tdp_w is inf"),
        ("[energy]\n# threads\nthreads = 1.5\n", 3, "threads is 1.5"),
        ("[energy]\nthreads = true\n", 2, "threads is True"),
        ("\n[energy]\ntdp_w = 100\n", 3, "tdp_w without threads"),
        ('energy = "DEU"\n', 1, "energy is 'DEU'. Allowed: energy = a table"),
        ('name = "a"\nenergy = {gird = "DEU"}\n', 2, "unknown key 'gird'"),
        ('name = "a"\nenergy.gird = "DEU"\n', 2, "unknown key 'gird'"),
        ('# nothing\nnaem = "a"\n', 2, "unknown key 'naem'. Allowed: name"),
    ],
)
def test_a_wrong_key_of_the_project_is_refused_with_file_and_line(tmp_path, text, line, message):
    with pytest.raises(RecipeError) as caught:
        project_of(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'warehouse.toml'}:{line}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("grid", "hint"),
    [("Germany", "'DEU' (Germany)"), ("deu", "'DEU'"), ("GRX", "did you mean"), ("", "Allowed: an ISO")],
)
def test_an_unknown_grid_is_refused_before_anything_runs_with_the_nearest(tmp_path, grid, hint):
    project = project_of(tmp_path, f'name = "a"\n[energy]\ngrid = "{grid}"\n')
    with pytest.raises(RecipeError, match=re.escape(hint)) as caught:
        build_definitions(project)
    assert str(caught.value).startswith(f"{tmp_path / 'warehouse.toml'}:3: no grid {grid!r}")


def test_the_grid_of_the_project_is_the_one_that_counts(tmp_path):
    found = rate(project_of(tmp_path, '[energy]\ngrid = "FRA"\nthreads = 10\ntdp_w = 50\n'))
    assert (found.watts, found.g_per_kwh, found.grid[:4]) == (5.0, GRIDS["FRA"].g_per_kwh, "FRA:")


@pytest.fixture
def project(tmp_path) -> Project:
    """A project without a run."""
    return project_of(tmp_path, '[energy]\ngrid = "FRA"\nthreads = 10\ntdp_w = 50\n')


def old_run(repository: Repository, asset: str, cpu_s: float) -> None:
    """A run of before energy was counted, as its version wrote it."""
    row = {"asset": asset, "run_id": "old", "started_at": 0, "wall_s": 1.0, "cpu_s": cpu_s, "peak_rss": 2 * 10**6}
    row |= {"rows": 1, "bytes_read": 1, "bytes_written": 1}
    batch = pa.RecordBatch.from_pylist([row], schema=BEFORE)
    repository.append("runs", [batch], schema=BEFORE, source="pipelines", run_id="old")


def work(project: Project, asset: str, part: float) -> dict[str, float | int | str]:
    with metered(project, asset, "new") as meter:
        sum(range(300_000))
        meter.parts["marts/part"] = Part(part, 0.0, 3)
    return meter.cost()


def mart(project: Project, checkout: Path) -> list[tuple]:
    with connect() as con:
        attach_repository(con, [Repository(project.root).snapshot("runs")])
        list(build(con, load_models([checkout / "sql/marts/asset_costs.sql"])))
        return fetch_all(
            con, "SELECT asset, cpu_s, watt_hours, grams_co2e, runs_without_energy FROM marts.asset_costs ORDER BY 1"
        )


def test_a_step_states_its_energy_and_that_of_its_parts_and_the_total_is_their_sum(project, checkout):
    said = work(project, "sources/a", 0.0)
    work(project, "published/snapshot", 7.2)
    found = costs(project)
    for asset in found.assets:
        assert asset.watt_hours == pytest.approx(asset.cpu_s * 5 / 3600)
        assert asset.grams_co2e == pytest.approx(asset.watt_hours / 1000 * GRIDS["FRA"].g_per_kwh)
        assert (asset.power_model, asset.grid[:12]) == (
            "TDP 50 W / 10 threads (warehouse.toml)",
            carbon("FRA", GRIDS)[1][:12],
        )
    assert said["watt_hours"] == next(each for each in found.assets if each.asset == "sources/a").watt_hours > 0
    assert {"grams_co2e", "power_model", "grid"} <= set(said)
    rows = mart(project, checkout)
    assert [row[0] for row in rows] == ["marts/part", "published/snapshot", "sources/a"]
    assert found.runs == 4
    for total, of_mart, of_assets in zip(
        (found.cpu_s, found.watt_hours, found.grams_co2e),
        (1, 2, 3),
        ("cpu_s_of_all", "watt_hours_of_all", "grams_co2e_of_all"),
        strict=True,
    ):
        assert total == pytest.approx(sum(row[of_mart] for row in rows))
        assert total == pytest.approx(sum(getattr(asset, of_assets) for asset in found.assets))


def test_a_table_of_before_energy_was_counted_is_read_and_added_to(project, checkout):
    assert dataclasses.astuple(costs(project))[:6] == ((), 0, 0, 0, 0, 0)
    old_run(Repository(project.root), "sources/a", 3.0)
    found = costs(project)
    assert (found.cpu_s, found.watt_hours, found.runs_without_energy, found.power_models) == (3.0, 0, 1, ())
    assert (found.assets[0].watt_hours, found.assets[0].watt_hours_of_all) == (None, None)
    assert mart(project, checkout) == [("sources/a", 3.0, None, None, 1)]
    work(project, "sources/a", 1.0)
    found = costs(project)
    assert (found.runs, found.runs_without_energy, found.grids) == (3, 1, (carbon("FRA", GRIDS)[1],))
    assert found.watt_hours == pytest.approx((found.cpu_s - 3.0) * 5 / 3600)
    assert mart(project, checkout)[1][4] == 1

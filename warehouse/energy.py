"""Electricity and carbon of CPU time, each number with the model that it comes from.

Watts of a busy hardware thread = thermal design power of the processor / its hardware threads (CPU seconds are counted
on threads); Wh = cpu_s x W / 3600; g CO2e = Wh / 1000 x carbon intensity of the grid. Power and grids are the tables of
codecarbon (MIT) in ``sample/carbon``, which travel in the wheel. Won: no sensor, no privilege, the same on any machine.
Lost: memory, disks, network, cooling, idle threads and the making of the machine are not counted, and TDP is no
measurement. A processor that the table does not have, or whose threads a virtual machine hides, is said to be so and
counted at codecarbon's 4 W a thread (an EPYC 7763 has 2.2, a Xeon Platinum 8375C 4.7).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from warehouse.errors import RecipeError
from warehouse.project import WORLD, Energy, Project, builtin_folder, line_of

TABLES = Path("sample/carbon")
CPU_POWER, GRID_CARBON = "cpu_power.csv", "global_energy_mix.csv"
DEFAULT_W = 4.0
"""codecarbon/core/cpu.py, DEFAULT_POWER_PER_CORE: watts of a thread of a processor that its table does not have."""

_WRITTEN = re.compile(r"@.*|\bwith .*|\((?:r|tm)\)|\b\d+-cores?\b|\b\d+th gen\b|\bprocessor\b|\bcpu\b|\u200b")


@dataclass(frozen=True, slots=True)
class Processor:
    """What the kernel tells of one processor: its name (empty: none), and its cores and threads as far as they show."""

    name: str = ""
    cores: int = 0
    threads: int = 0
    virtual: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A country's electricity in its newest year: g_per_kwh in grams of CO2 equivalent, twh produced."""

    name: str
    year: int
    g_per_kwh: float
    twh: float


@dataclass(frozen=True, slots=True)
class Used:
    """Electricity of some CPU time and its carbon; power_model and grid say how they were made."""

    watt_hours: float
    grams_co2e: float
    power_model: str
    grid: str


@dataclass(frozen=True, slots=True)
class Rate:
    """What CPU time is counted at: watts of a busy thread and g CO2e/kWh, each with its origin."""

    watts: float
    power_model: str
    g_per_kwh: float
    grid: str

    def used(self, cpu_s: float) -> Used:
        """What so many CPU seconds come to; linear, so that parts add up to their sum."""
        watt_hours = cpu_s * self.watts / 3600
        return Used(watt_hours, watt_hours / 1000 * self.g_per_kwh, self.power_model, self.grid)


def rate(project: Project) -> Rate:
    """What this project's CPU time is counted at on this machine.

    Raises RecipeError, with the line of warehouse.toml, for a grid that the table does not have.
    """
    grids = read_grids(builtin_folder() / TABLES / GRID_CARBON)
    if project.energy.grid not in {WORLD, *grids}:
        raise _no_such_grid(project, grids)
    watts, power_model = power(project.energy, this_processor(), read_tdp(builtin_folder() / TABLES / CPU_POWER))
    return Rate(watts, power_model, *carbon(project.energy.grid, grids))


def power(stated: Energy, processor: Processor, tdp: Mapping[str, float]) -> tuple[float, str]:
    """Watts of a busy thread, and the model in words: what is stated, else the table, else DEFAULT_W and why."""
    if stated.tdp_w and stated.threads:
        return stated.tdp_w / stated.threads, f"TDP {stated.tdp_w:g} W / {stated.threads} threads (warehouse.toml)"
    name, threads = find(processor.name, tdp), stated.threads or package_threads(processor)
    if name and threads:
        said = " (warehouse.toml)" if stated.threads else ""
        return tdp[name] / threads, f"{name}: TDP {tdp[name]:g} W (codecarbon {CPU_POWER}) / {threads} threads{said}"
    if name:
        why = f"{name} in a virtual machine that hides its threads"
    else:
        why = f"{processor.name or 'unnamed processor'}, not in codecarbon {CPU_POWER}"
    return DEFAULT_W, f"{why}: {DEFAULT_W:g} W a thread (codecarbon's default)"


def find(name: str, tdp: Mapping[str, float]) -> str | None:
    """The table's name of a processor: as it is written, else the same without marks, clock and core count.

    A part of a name finds nothing: "AMD EPYC" is a family, of 50 to 500 W.
    """
    if name in tdp or not bare(name):
        return name if name in tdp else None
    wanted = bare(name)
    last = wanted.split()[-1]
    return next((known for known in tdp if last in known.lower() and bare(known) == wanted), None)


def bare(name: str) -> str:
    """``Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz`` as ``intel core i7-8550u``."""
    return " ".join(_WRITTEN.sub(" ", name.lower().replace("(tm)2", "(tm) 2")).split())


def package_threads(processor: Processor) -> int | None:
    """Hardware threads of the whole processor: by the core count in its name, else as the kernel sees them.

    None in a virtual machine whose processor's name tells no cores: it sees only what it was given.
    """
    named = re.search(r"\b(\d+)-Core", processor.name)
    if named:
        return int(named[1]) * max(1, processor.threads // max(1, processor.cores))
    return None if processor.virtual else processor.threads or None


def carbon(grid: str, grids: Mapping[str, Grid]) -> tuple[float, str]:
    """Grams of CO2 equivalent a kilowatt-hour, and the grid in words; the world is the mean by production."""
    if grid == WORLD:
        total = sum(each.twh for each in grids.values())
        mean = sum(each.g_per_kwh * each.twh for each in grids.values()) / total
        return mean, f"world: {mean:.0f} g CO2e/kWh, {len(grids)} countries by production (codecarbon {GRID_CARBON})"
    found = grids[grid]
    said = f"{grid}: {found.g_per_kwh:.0f} g CO2e/kWh, {found.name} {found.year} (codecarbon {GRID_CARBON})"
    return found.g_per_kwh, said


def parse_processor(cpuinfo: str) -> Processor:
    """The first processor of a text in the format of ``/proc/cpuinfo``."""
    first = cpuinfo.partition("\n\n")[0]
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    counts = [int(facts[key]) if facts.get(key, "").isdigit() else 0 for key in ("cpu cores", "siblings")]
    return Processor(facts.get("model name", ""), counts[0], counts[1], "hypervisor" in facts.get("flags", "").split())


@cache
def this_processor() -> Processor:
    """The processor of this machine; nothing of it where there is no ``/proc/cpuinfo``."""
    path = Path("/proc/cpuinfo")
    return parse_processor(path.read_text("utf-8", "replace") if path.exists() else "")


@cache
def read_tdp(path: Path) -> Mapping[str, float]:
    """Thermal design power in watts by the name of the processor; the 4 rows of two numbers in one are left out."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [(row["Name"], row["TDP"]) for row in csv.DictReader(file)]
    return {name: float(watts) for name, watts in rows if re.fullmatch(r"\d+(\.\d+)?", watts) and float(watts) > 0}


@cache
def read_grids(path: Path) -> Mapping[str, Grid]:
    """Grids by ISO 3166 code."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {
            row["iso_code"]: Grid(
                row["country_name"], int(row["year"]), float(row["carbon_intensity"]), float(row["total_TWh"])
            )
            for row in csv.DictReader(file)
        }


def _no_such_grid(project: Project, grids: Mapping[str, Grid]) -> RecipeError:
    came = project.energy.grid
    by_name = {each.name.lower(): code for code, each in grids.items()}
    near = by_name.get(came.lower()) or next(iter(get_close_matches(came.upper(), grids, 1)), None)
    return RecipeError(
        f"{line_of(project.marker, ('energy', 'grid'))}: no grid {came!r}",
        allowed=f"an ISO 3166 code of codecarbon {GRID_CARBON} such as DEU, or {WORLD}",
        do=f"did you mean {near!r} ({grids[near].name})?" if near else "",
    )

"""What is published works without the checkout: the whole stack from the wheel, and the loader by itself."""

from __future__ import annotations

import email
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement

ALONE = """
import sys
sys.path.append(sys.argv.pop(1))
"""
READ = """
from warehouse.loader import Loader
batches = list(Loader(sys.argv[1], batch=2))
foreign = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(len(batches), *batches[0].shape, *sorted(foreign - {"__main__"}))
"""
PULL = """
from warehouse.loader import pull
print(pull(sys.argv[1], sys.argv[2]).files)
foreign = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(*sorted(foreign - {"__main__"}))
"""
VERB = "from warehouse.cli import main; main()"


COMPILE = """
import numba, numpy, warehouse.kernels.pack
from pathlib import Path
compiled = lambda: len(list(Path(numba.config.CACHE_DIR).glob("*.nbi")))
print(compiled(), *warehouse.kernels.pack.best_fit(numpy.array([3, 2, 1]), 4), compiled())
"""


@pytest.fixture(scope="module")
def project(in_bare, memory_folder: Path) -> Path:
    """An empty folder made a project, run and exported by the installed command."""
    folder = memory_folder / "project"
    folder.mkdir()
    for arguments in (["init"], ["run"], ["export", "example"]):
        ended = in_bare(folder, "warehouse", *arguments)
        assert (ended.returncode, ended.stderr) == (0, "")
    return folder


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as packed:
        return packed.namelist()


def test_the_wheel_carries_the_pipelines_and_the_built_in_files_and_neither_tests_nor_sample(wheel, checkout):
    top = {name.partition("/")[0] for name in names(wheel) if ".dist-info/" not in name}
    assert top == {"warehouse", "pipelines"}
    for kind in ("sql", "expectations"):
        stored = {path.relative_to(checkout).as_posix() for path in (checkout / kind).rglob("*") if path.is_file()}
        assert {f"warehouse/builtin/{name}" for name in stored} <= set(names(wheel))
    tables = ("LICENSE", "cpu_power.csv", "global_energy_mix.csv")
    with zipfile.ZipFile(wheel) as packed:
        for name in tables:
            packed_bytes = packed.read(f"warehouse/builtin/sample/carbon/{name}")
            assert packed_bytes == (checkout / "sample/carbon" / name).read_bytes()
    code = {path.relative_to(checkout).as_posix() for path in (checkout / "pipelines").glob("*.py")}
    assert code <= set(names(wheel))
    assert not [name for name in names(wheel) if name.endswith((".pyc", ".nbc", ".nbi"))]


def test_the_metadata_asks_for_numpy_and_xxhash_and_the_rest_is_an_extra(wheel):
    with zipfile.ZipFile(wheel) as packed:
        (path,) = (name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(packed.read(path))
    wanted = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    assert {each.name for each in wanted if each.marker is None} == {"numpy", "xxhash"}
    assert "all" in metadata.get_all("Provides-Extra", [])
    stack = {each.name for each in wanted if each.marker and each.marker.evaluate({"extra": "all"})}
    assert {"click", "dagster", "dagster-webserver", "deltalake", "duckdb", "great-expectations", "numba"} <= stack


def test_the_installed_package_is_not_the_checkout(in_bare, bare, tmp_path):
    code = "import warehouse, pipelines; print(warehouse.__file__, pipelines.__file__)"
    for path in in_bare(tmp_path, "python", "-c", code).stdout.split():
        assert Path(path).is_relative_to(bare)


def test_what_one_installation_compiles_another_of_the_same_sources_finds(bare, tmp_path):
    said = []
    for python in (bare / "bin/python", Path(sys.executable)):
        command = [str(python), "-W", "error", "-c", COMPILE]
        ended = subprocess.run(
            command, cwd=tmp_path, env={"XDG_CACHE_HOME": str(tmp_path)}, capture_output=True, text=True, check=False
        )
        assert ended.stderr == ""
        said.append(ended.stdout.split())
    (none, *bins, compiled), (found, *again, after) = said
    assert (none, bins, found, after) == ("0", again, compiled, compiled)
    assert int(compiled) > 1


def test_the_install_step_runs_every_kernel_and_says_how_long_it_took(in_bare, project):
    ended = in_bare(project, "python", "-W", "error", "-m", "warehouse.kernels")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("kernels ready after ")


def test_an_empty_folder_becomes_a_project_that_answers(in_bare, project):
    sql = "SELECT count(*) AS kept FROM curation.decisions WHERE rule_set = 'house' AND kept"
    ended = in_bare(project, "warehouse", "sql", sql, "--json")
    assert (json.loads(ended.stdout), ended.stderr) == ([{"kept": 20}], "")


def test_energy_is_counted_from_the_tables_in_the_wheel(in_bare, project):
    ended = in_bare(project, "warehouse", "status", "--costs", "--json")
    costs = json.loads(ended.stdout)
    assert (costs["watt_hours"] > 0 < costs["grams_co2e"], costs["grids"][0][:11]) == (True, "world: 481 ")


def test_a_release_of_the_installed_command_is_rebuilt_byte_for_byte(in_bare, project):
    ended = in_bare(project, "warehouse", "verify", "example@1", "--rebuild")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "every byte is the same" in ended.stdout


def test_any_file_is_ingested_by_the_installed_command(in_bare, project):
    (project / "pages.jsonl").write_text('{"text": "A page that is not among the notes."}\n')
    ended = in_bare(project, "warehouse", "ingest", "pages.jsonl", "--as", "x")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "1 in, 1 written" in ended.stdout


def test_dagster_loads_the_project_from_the_installed_package(in_bare, project):
    ended = in_bare(project, "python", "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml")
    assert ended.returncode == 0, ended.stderr


def test_nothing_of_the_checkout_was_opened(in_bare, project, checkout, used_of_checkout):
    assert not used_of_checkout.exists(), used_of_checkout.read_text()
    in_bare(project, "python", "-c", f"open({str(checkout / 'warehouse.toml')!r})")
    assert used_of_checkout.read_text().split() == [str(checkout / "warehouse.toml")]


def by_itself(alone: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that sees the standard library and the folder ``alone``, and nothing else."""
    command = [sys.executable, "-I", "-S", "-c", ALONE + code, str(alone), *arguments]
    return subprocess.run(command, cwd=alone.parent, env={}, capture_output=True, text=True, check=False)


def test_the_loader_reads_a_release_with_numpy_and_xxhash_alone(alone, project):
    ended = by_itself(alone, READ, str(project / ".warehouse/datasets/example/1"))
    assert ended.stderr == ""
    batches, rows, width, *foreign = ended.stdout.split()
    assert (int(batches) > 3, rows, width) == (True, "2", "128")
    assert foreign == ["numpy", "warehouse", "xxhash"]


def test_a_release_is_pulled_with_numpy_and_xxhash_alone(alone, project, tmp_path):
    ended = by_itself(alone, PULL, str(project / ".warehouse/datasets/example"), str(tmp_path / "to"))
    assert ended.stderr == ""
    assert ended.stdout.splitlines()[1:] == ["numpy warehouse xxhash"]
    assert (tmp_path / "to/manifest.json").is_file()


@pytest.mark.parametrize("verb", ["status", "run", "--help"])
def test_a_verb_without_the_stack_says_which_extra_to_install(verb, alone):
    ended = by_itself(alone, VERB, verb)
    assert ended.returncode == 2
    assert ended.stderr == "warehouse: the package 'click' is not installed. Do: pip install 'ml-warehouse[all]'.\n"


@pytest.mark.parametrize("verb", ["status", "run", "sql", "ingest"])
def test_a_verb_without_part_of_the_stack_says_the_same(verb, alone, project, tmp_path):
    (tmp_path / "click").symlink_to(Path(click.__file__).parent)
    code = f"sys.path.append({str(tmp_path)!r}); {VERB}"
    ended = by_itself(
        alone, code, verb, "--project", str(project), *{"sql": ["SELECT 1"], "ingest": ["x"]}.get(verb, [])
    )
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1), ended.stderr
    assert ended.stderr.startswith(f"warehouse {verb}: the package ")
    assert ended.stderr.endswith("is not installed. Do: pip install 'ml-warehouse[all]'.\n")

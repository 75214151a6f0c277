"""The wheel as it would be published, built by the pinned backend, and environments that hold it alone."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

Call = Callable[..., subprocess.CompletedProcess[str]]

WATCH = """\
import os, sys

def watch(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and arguments and isinstance(arguments[0], (str, bytes)):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if path.startswith({checkout!r}) and not path.startswith({prefix!r}):
            with open({log!r}, "a") as log:
                log.write(path + "\\n")

sys.addaudithook(watch)
"""
"""Every Python process of an environment notes what it opens or lists below the checkout."""


@pytest.fixture(scope="session")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(checkout)]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="session")
def used_of_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with every path of the checkout that the bare environment's processes opened."""
    return tmp_path_factory.mktemp("used") / "paths"


@pytest.fixture(scope="session")
def bare(wheel: Path, checkout: Path, used_of_checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment outside the checkout with the wheel installed, and the dependencies by a plain path.

    The path file names this environment's packages; path files within them, such as that of an editable install, are
    not processed.
    """
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(folder, symlinks=True)
    install = ["install", "--no-deps", "--no-index", "--disable-pip-version-check", "--quiet", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), *install], check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    watch = WATCH.format(checkout=f"{checkout}/", prefix=f"{os.path.realpath(sys.prefix)}/", log=str(used_of_checkout))
    (packages / "watched.py").write_text(watch)
    (packages / "watched.pth").write_text("import watched\n")  # a system's Python may have a sitecustomize of its own
    return folder


@pytest.fixture(scope="session")
def in_bare(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Call:
    """Run a program of the bare environment in a folder, with nothing of this environment's variables.

    But for the cache of compiled kernels: the sources are the same, so the code is too.
    """
    home = str(tmp_path_factory.mktemp("home"))

    def call(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.defpath, "XDG_CACHE_HOME": home, "HOME": home, "DAGSTER_DISABLE_TELEMETRY": "1"}
        environment["NUMBA_CACHE_DIR"] = os.environ["NUMBA_CACHE_DIR"]
        command = [str(bare / "bin" / program), *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    return call


@pytest.fixture(scope="session")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, numpy and xxhash: what ``pip install ml-warehouse`` brings."""
    folder = tmp_path_factory.mktemp("alone") / "packages"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    installed = Path(sysconfig.get_path("platlib"))
    for package in ("numpy", "numpy.libs", "xxhash"):
        if (installed / package).exists():
            (folder / package).symlink_to(installed / package)
    return folder

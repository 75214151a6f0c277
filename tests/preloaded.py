"""What a command line loads and compiles at its first use, done once in a process whose forks then start warm."""

from __future__ import annotations

import gc
import tempfile
from importlib import import_module
from pathlib import Path

from pipelines.definitions import build_definitions
from pipelines.records import dagster_instance
from warehouse import pictures, query, runway
from warehouse.kernels.warm import warm
from warehouse.project import load

LATER = ("pipelines.run", "warehouse.cli.app")
"""What a command line imports when it needs it."""


def preload() -> None:
    """Modules, kernels, models, pictures, the world's forecast, and Dagster's storage; no thread is left."""
    for name in LATER:
        import_module(name)
    warm()
    pictures.costs([("any", 1.0)], title="loads matplotlib")
    runway.world()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "warehouse.toml").touch()
        project = load(Path(folder))
        build_definitions(project)
        with dagster_instance(project):
            pass
    query._parser.cache_clear()
    gc.freeze()

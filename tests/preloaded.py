"""What a command line loads and compiles at its first use, done once in a process whose forks then start warm."""

from __future__ import annotations

import gc
import tempfile
from importlib import import_module
from pathlib import Path

import migrations
import pyarrow as pa

from pipelines.definitions import build_definitions
from pipelines.records import dagster_instance
from pipelines.runway import WIDTH_PX
from warehouse import curation, pictures, query, runway
from warehouse.answers.runway import world_picture
from warehouse.kernels.warm import warm
from warehouse.project import load

LATER = ("pipelines.run", "warehouse.cli.app")
"""What a command line imports when it needs it."""


def preload() -> None:
    """Modules, kernels, models, pictures, the world's forecast, and Dagster's storage; no thread is left."""
    migrations.read_once()
    for name in LATER:
        import_module(name)
    warm()
    curation.measure(pa.RecordBatch.from_pydict({"doc_id": ["any"], "text": ["loads the model of languages"]}))
    pictures.costs([("any", 1.0)], title="loads matplotlib")
    world_picture(runway.world(), width_px=WIDTH_PX)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "warehouse.toml").touch()
        project = load(Path(folder))
        build_definitions(project)
        with dagster_instance(project):
            pass
    query._parser.cache_clear()
    gc.freeze()

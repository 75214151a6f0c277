"""A small project on real text: the reference manual's topics that every Python carries, and a table of figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics

import pytest

from warehouse.project import Project, load

SOURCES = {
    "manual": "reader: jsonl\nuri: data/manual*.jsonl\nlicence: PSF-2.0\nfields: {title: name, text: body}\n",
    "chips": "reader: csv\nuri: data/chips.csv\ntable: chips\nlicence: MIT\ncolumns: {units: int64}\n",
}
DATASET = """\
select: SELECT doc_id FROM curation.decisions WHERE rule_set = 'house' AND kept
splits: {train: 0.8, validation: 0.2}
tokenizer: {train: {vocab_size: 512, max_bytes: 200000}}
sequence_length: 64
packing: best_fit
shards: 2
seed: 3
"""


def manual(names: list[str]) -> str:
    """Topics of the language reference as JSON Lines."""
    return "".join(json.dumps({"name": name, "body": topics[name]}) + "\n" for name in names)


@pytest.fixture(scope="session")
def project_at() -> Callable[[Path], Project]:
    """A function that makes the small project in a folder that does not exist yet."""
    return _make


@pytest.fixture
def make_project(memory_folder: Path, request: pytest.FixtureRequest) -> Callable[[], Project]:
    """A function that makes the small project in this test's folder."""
    return lambda: _make(memory_folder / request.node.name)


def _make(folder: Path) -> Project:
    for name, text in SOURCES.items():
        _write(folder / "recipes/sources" / f"{name}.yaml", text)
    _write(folder / "recipes/datasets/corpus.yaml", DATASET)
    names = sorted(topics)
    _write(folder / "data/manual-1.jsonl", manual(names[:30]) + '{"name": "broken"\n')
    _write(folder / "data/manual-2.jsonl", manual(names[25:50]))
    _write(folder / "data/chips.csv", "owner,units\nA,10\nB,20\n")
    _write(folder / "warehouse.toml", 'name = "small"\n')
    return load(folder)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")

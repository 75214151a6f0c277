"""Worlds and releases for the tests of the stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_world import RECIPE, World, row, texts, write_world

from warehouse.datasets import DatasetRecipe, Release


@pytest.fixture(scope="session")
def make_world() -> Callable[..., World]:
    return write_world


@pytest.fixture(scope="session")
def make_row() -> Callable[..., dict[str, Any]]:
    return row


@pytest.fixture(scope="session")
def recipe() -> DatasetRecipe:
    return RECIPE


@pytest.fixture(scope="session")
def rows() -> list[dict[str, Any]]:
    return [
        row(number, text, licence=None if number % 5 == 0 else "MIT", source="made" if number % 3 else "other")
        for number, text in enumerate(texts(120))
    ]


@pytest.fixture
def world(tmp_path: Path, rows: list[dict[str, Any]]) -> World:
    return write_world(tmp_path / "world", rows)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> tuple[World, Release]:
    """A world and one release of it, to be read only."""
    world = write_world(tmp_path_factory.mktemp("made"), rows)
    return world, world.export()

"""What the tests of frameworks have in common."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """JAX last: once it has started its threads it warns of every fork, and PyTorch's workers are forks."""
    items.sort(key=lambda item: item.path.stem == "test_jax")

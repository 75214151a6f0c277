"""What every test may ask for: the real input data where it is present, and a project in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of this repository."""
    return CHECKOUT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real input data beside the checkout; a test that needs it is skipped where it is absent."""
    folder = CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real input data in ../shared/data")
    return folder

"""Reading bytes as an object of a source, for tests that look at what comes out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from outcomes import Outcome, outcome

Reading = Callable[..., Outcome]


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    """reading(bytes or path, uri, **source options): an Outcome. The archived copy's name tells nothing."""

    def run(content: bytes | Path, uri: str, **options: Any) -> Outcome:
        if isinstance(content, Path):
            return outcome(content, uri, **options)
        path = tmp_path / "0badc0de"
        path.write_bytes(content)
        return outcome(path, uri, **options)

    return run

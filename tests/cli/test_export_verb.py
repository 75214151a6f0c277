"""What an export says when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from small_project import small_project

from warehouse.datasets import shards
from warehouse.datasets.encoding import make_encoder

RECIPE = """select: SELECT doc_id FROM repository.documents
tokenizer: {train: {vocab_size: 300}}
sequence_length: 16
"""


def test_an_export_warns_where_the_kernel_was_found_out(
    tmp_path: Path, warehouse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_project(tmp_path / "project").folder
    (folder / "recipes" / "datasets").mkdir()
    (folder / "recipes" / "datasets" / "notes.yaml").write_text(RECIPE)

    def wrong(*arguments: Any) -> Any:
        encoder = make_encoder(*arguments)
        assert encoder is not None
        return lambda texts: _reversed(encoder, texts)

    monkeypatch.setattr(shards, "make_encoder", wrong)
    ended = warehouse("export", "notes", "--project", str(folder))
    assert ended.status == 0, ended.err
    assert "\nwarning: train-00000-of-00001: the kernel's ids of document" in f"\n{ended.err}"
    monkeypatch.undo()
    sound = RECIPE.replace("16", "32")
    (folder / "recipes" / "datasets" / "notes.yaml").write_text(sound)
    assert "warning" not in warehouse("export", "notes", "--project", str(folder)).err


def _reversed(encoder: Any, texts: Sequence[str]) -> Any:
    return ((ids[::-1], ends) for ids, ends in encoder(texts))

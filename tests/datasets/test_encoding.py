"""The kernel changes no byte of a release, a failed proof leaves it to tokenizers, and files know their hashes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from chat_world import conversations, export
from hypothesis import given
from hypothesis import strategies as st

from warehouse.datasets import DatasetRecipe, chat_shards, rebuild, shards
from warehouse.datasets.chat_encoding import Encoded, encode_fast
from warehouse.datasets.encoding import make_encoder
from warehouse.datasets.hashed import HashedFile
from warehouse.manifest import BLOCK_BYTES, hash_file


def test_the_bytes_are_those_that_tokenizers_makes(
    world: Any, recipe: DatasetRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = world.export(recipe, out="fast")
    monkeypatch.setattr(shards, "make_encoder", lambda *_: None)
    slow = world.export(recipe, out="slow")
    assert fast.id == slow.id and fast.manifest == slow.manifest
    assert (fast.run["warnings"], slow.run["warnings"]) == ([], [])


def test_a_kernel_that_is_wrong_is_found_out_told_and_not_used(
    world: Any, recipe: DatasetRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = world.export(recipe, out="right")

    def wrong(*arguments: Any) -> Any:
        encoder = make_encoder(*arguments)
        assert encoder is not None

        def encode(texts: Sequence[str]) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.int64]]]:
            for ids, ends in encoder(texts):
                yield ids[::-1], ends

        return encode

    monkeypatch.setattr(shards, "make_encoder", wrong)
    proven = world.export(recipe, out="wrong")
    assert proven.id == right.id
    made = sum(len(split.shards) for split in right.manifest.splits.values())
    assert len(proven.run["warnings"]) == made and "differ from those of tokenizers" in proven.run["warnings"][0]
    assert rebuild(right.path, world.snapshot).id == right.id


def test_conversations_are_the_same_by_the_kernel_and_by_tokenizers_and_a_wrong_kernel_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = conversations(60)
    right = export(tmp_path, rows, out="right")
    monkeypatch.setattr(chat_shards, "make_chat_encoder", lambda _: None)
    slow = export(tmp_path, rows, out="slow")
    assert right.manifest == slow.manifest and right.run["warnings"] == slow.run["warnings"] == []
    monkeypatch.undo()

    def wrong(*arguments: Any) -> Iterator[Encoded]:
        for each in encode_fast(*arguments):
            yield replace(each, learnt=~each.learnt)

    monkeypatch.setattr(chat_shards, "encode_fast", wrong)
    proven = export(tmp_path, rows, out="wrong")
    assert proven.id == right.id and len(proven.run["warnings"]) == 4
    assert 'of document {"id": ' in proven.run["warnings"][0]


@given(st.lists(st.integers(0, 700_000), max_size=6))
def test_a_hashed_file_is_what_hash_file_reads(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    folder = tmp_path_factory.mktemp("hashed")
    sizes = [*sizes, BLOCK_BYTES // 2] if len(sizes) % 2 else sizes
    with HashedFile(folder, "file") as file:
        for size in sizes:
            file.write((np.arange(size) * 7919).astype("<u2"))
    assert file.entry() == hash_file(folder, "file")
    assert file.entry().bytes == 2 * sum(sizes)

"""verify names what differs, rebuild makes the same bytes again, trace leads to the very bytes of a text."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from warehouse.contracts import content_hash
from warehouse.datasets import DatasetRecipe, Release, rebuild, trace, verify
from warehouse.errors import IntegrityError, NotFound
from warehouse.loader import Loader, pull
from warehouse.manifest import CARDS


@pytest.fixture
def copy(tmp_path: Path, made: tuple[Any, Release]) -> Path:
    """A copy of the release that a test may damage."""
    return Path(shutil.copytree(made[1].path, tmp_path / "copy"))


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def test_a_flipped_byte_of_any_file_is_named(copy: Path, made: tuple[Any, Release]) -> None:
    for name, entry in made[1].manifest.files.items():
        flip(copy / name, entry.bytes // 2)
        with pytest.raises(IntegrityError, match=rf"^{name}: block 0 \(bytes 0 to {entry.bytes}\) differs"):
            verify(copy)
        flip(copy / name, entry.bytes // 2)
    assert verify(copy).id == made[1].id


def test_a_file_that_is_missing_longer_or_shorter_is_named(copy: Path) -> None:
    path = copy / "train-00001-of-00003.bin"
    raw = path.read_bytes()
    for bad in (raw + b"x", raw[:-1]):
        path.write_bytes(bad)
        with pytest.raises(IntegrityError, match=r"^train-00001-of-00003\.bin"):
            verify(copy)
    path.unlink()
    with pytest.raises(IntegrityError, match=r"^train-00001-of-00003\.bin: the file is missing"):
        verify(copy)
    with pytest.raises(IntegrityError, match="missing"):
        Loader(copy, batch=1)


def test_an_altered_manifest_is_refused(copy: Path) -> None:
    path = copy / "manifest.json"
    path.write_text(path.read_text().replace('"documents": 1', '"documents": 2', 1))
    with pytest.raises(IntegrityError, match="altered"):
        verify(copy)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_rebuild_gives_the_same_bytes(made: tuple[Any, Release], tmp_path: Path, processes: int) -> None:
    world, release = made
    done = rebuild(release.path, world.snapshot, processes=processes, batch_rows=13, scratch=tmp_path)
    assert done.files == len(release.manifest.files) - len(CARDS) and list(tmp_path.iterdir()) == []


def test_a_rebuild_needs_the_texts_not_the_version(
    made: tuple[Any, Release], make_world: Callable[..., Any], make_row: Callable[..., Any], tmp_path: Path
) -> None:
    world, release = made
    later = [row | {"known_at": datetime(2026, 1, 1, tzinfo=UTC), "licence": "none"} for row in world.rows[:9]]
    newer = make_world(tmp_path, [make_row(999, "new"), *later, *reversed(world.rows)], version=4)
    assert rebuild(release.path, newer.snapshot).id == release.id
    fewer = make_world(tmp_path, world.rows[4:], version=5)
    with pytest.raises(NotFound, match=r"\d of \d+ documents are not in documents at version 5"):
        rebuild(release.path, fewer.snapshot)


def test_a_text_that_was_altered_in_place_is_caught(
    made: tuple[Any, Release], make_world: Callable[..., Any], tmp_path: Path
) -> None:
    world, release = made
    altered = make_world(tmp_path, [world.rows[0] | {"text": world.rows[0]["text"] + "!"}, *world.rows[1:]])
    with pytest.raises(IntegrityError, match=f"text of document {world.rows[0]['doc_id']}"):
        rebuild(release.path, altered.snapshot)


def test_a_release_that_does_not_come_out_again_names_its_first_different_byte(
    made: tuple[Any, Release], copy: Path
) -> None:
    """The recipe beside the shards is another one than they were made by."""
    recipe = copy / "recipe" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("sequence_length: 64", "sequence_length: 65"))
    with pytest.raises(IntegrityError, match=r"comes out differently from byte \d+ \(block 0\) on: \d+ bytes released"):
        rebuild(copy, made[0].snapshot)


def test_every_segment_leads_to_the_bytes_of_its_text(made: tuple[Any, Release]) -> None:
    world, release = made
    texts = {row["doc_id"]: row["text"] for row in world.rows}
    tokenizer = Tokenizer.from_file(str(release.path / "recipe" / "tokenizer.json"))
    covered: dict[str, int] = {}
    for batch in Loader(release.path, split="validation", batch=1).batches():
        sample = int(batch.samples[0])
        for piece in trace(release.path, "validation", sample):
            raw = texts[piece.doc_id].encode()[piece.text_start : piece.text_end]
            ids = batch.tokens[0, piece.position : piece.position + piece.length]
            assert tokenizer.decode(ids.tolist()) == raw.decode("utf-8", "replace")
            assert content_hash(texts[piece.doc_id]) == piece.content_hash
            covered[piece.doc_id] = covered.get(piece.doc_id, 0) + len(raw)
    assert covered == {doc: len(texts[doc].encode()) for doc in covered} and len(covered) > 10


def test_one_token_is_traced_to_its_own_bytes(made: tuple[Any, Release]) -> None:
    world, release = made
    texts = {row["doc_id"]: row["text"] for row in world.rows}
    sample = np.concatenate([batch for batch in Loader(release.path, batch=1)])
    assert sample.shape[1] == 64
    for token in range(40):
        (piece,) = trace(release.path, "train", 2, token)
        raw = texts[piece.doc_id].encode()[piece.text_start : piece.text_end]
        assert (piece.position, piece.length) == (token, 1)
        assert piece.preview == raw.decode("utf-8", "replace")


def test_what_cannot_be_traced_is_refused(world: Any, recipe: DatasetRecipe) -> None:
    release = world.export(replace(recipe, sequence_length=4096, splits=(("train", 1.0),)))
    most = release.manifest.splits["train"].samples - 1
    for split, sample, token, message in (
        ("dev", 0, None, "no split 'dev'"),
        ("train", most + 1, None, rf"no sample {most + 1} .*0 to {most}"),
        ("train", -1, None, "no sample -1"),
        ("train", most, 4095, "no text.*padding follows"),
    ):
        with pytest.raises(NotFound, match=message):
            trace(release.path, split, sample, token)


def test_a_part_is_neither_made_again_nor_traced(made: tuple[Any, Release], tmp_path: Path) -> None:
    world, release = made
    part = pull(release.path, tmp_path / "part", splits=["train"]).path
    verify(part)
    for refused in (lambda: rebuild(part, world.snapshot), lambda: trace(part, "train", 0)):
        with pytest.raises(NotFound, match="holds a part of a release"):
            refused()

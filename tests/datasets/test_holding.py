"""The inverse of trace is exact: every token of every sample, of every document, and of nothing else."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_world import texts, write_world

from warehouse.answers.holding import Job, find_holding, read_state
from warehouse.datasets import DatasetRecipe, Release, holding, trace
from warehouse.errors import NotFound, StateError, UsageError
from warehouse.loader import Loader


def places(piece: Any) -> tuple[Any, ...]:
    where = (piece.split, piece.sample, piece.position, piece.length, piece.token_offset)
    return (*where, piece.text_start, piece.text_end, piece.doc_id, piece.uri)


@pytest.mark.parametrize("packing", ["best_fit", "concatenate"])
def test_every_piece_of_every_sample_is_held_once_and_no_other(
    tmp_path: Path, make_row: Any, recipe: DatasetRecipe, packing: str
) -> None:
    rows = [make_row(number, text) for number, text in enumerate(texts(12))]
    release = write_world(tmp_path, rows).export(replace(recipe, packing=packing))
    traced = defaultdict(list)
    for name, split in release.manifest.splits.items():
        for sample in range(split.samples):
            for segment in trace(release.path, name, sample):
                traced[segment.doc_id].append(places(segment))
    assert sum(map(len, traced.values())) > release.manifest.documents
    for doc, expected in traced.items():
        found = find_holding(release.path, "doc", doc)
        assert [places(piece) for held in found.samples for piece in held.pieces] == expected
    every = holding(release.path, range(release.manifest.documents))
    tokens = sum(piece.length for piece in every)
    assert tokens == sum(split.tokens for split in release.manifest.splits.values())


@pytest.fixture
def hosts(tmp_path: Path, make_world: Any, make_row: Any, recipe: DatasetRecipe) -> Release:
    uris = (
        "https://a.example/1",
        "https://u:p@B.a.example:80/2",
        "https://ba.example/3",
        "file.txt",
        "https://c.example",
    )
    rows = [make_row(n, f"words of number {n} " * 40, uri=uri) for n, uri in enumerate(uris)]
    release: Release = make_world(tmp_path, rows).export(replace(recipe, splits=(("train", 1.0),)))
    return release


def test_a_domain_means_its_host_and_those_below_it(hosts: Release) -> None:
    found = find_holding(hosts.path, "domain", "A.example")
    assert found.documents == 2
    assert {piece.uri for held in found.samples for piece in held.pieces} == {
        "https://a.example/1",
        "https://u:p@B.a.example:80/2",
    }
    assert find_holding(hosts.path, "uri", "file.txt").documents == 1
    with pytest.raises(NotFound, match=r"no document of domain 'example\.com'"):
        find_holding(hosts.path, "domain", "example.com")


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_sample_is_seen_at_the_step_at_which_the_loader_gave_it(
    hosts: Release, tmp_path: Path, world_size: int
) -> None:
    given = {}
    for rank in range(world_size):
        loader = Loader(hosts.path, batch=4, world=world_size, rank=rank, seed=5, epoch=2)
        for step, batch in enumerate(loader.batches()):
            given |= {sample: (step, rank, row) for row, sample in enumerate(batch.samples.tolist())}
            if step == 1:
                state = loader.state()
    (tmp_path / "state.json").write_text(json.dumps(state))
    job = Job(read_state(tmp_path / "state.json"), batch=4, world=world_size)
    found = find_holding(hosts.path, "source", "made", job)
    assert len(found.samples) == hosts.manifest.splits["train"].samples > len(given) > 8
    for held in found.samples:
        sighting = held.sighting
        place = given.get(held.sample)
        assert (sighting.step, sighting.rank, sighting.row) == (place or (None, None, None))
        assert sighting.seen == (place is not None and place[0] < 2)


def test_what_is_no_state_of_this_release_is_refused(hosts: Release, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    for text, error, message in (
        ("{", UsageError, "no state in"),
        ("[]", StateError, "a state of"),
        ('{"dataset": "x"}', StateError, "a state of"),
    ):
        path.write_text(text)
        with pytest.raises(error, match=message):
            read_state(path)
    state = Loader(hosts.path, batch=1).state()
    for wrong in ({"dataset": "0" * 32}, {"split": "test"}):
        with pytest.raises(StateError, match="state of data set"):
            find_holding(hosts.path, "uri", "file.txt", Job({**state, **wrong}, 1))

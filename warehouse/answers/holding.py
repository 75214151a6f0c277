"""Which samples hold anything of a document, a uri or a host, and when a training job sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from warehouse import query
from warehouse.answers.takedown import ASKED, HOST
from warehouse.datasets import DOCUMENTS, Manifest, Piece, holding, read_manifest
from warehouse.errors import NotFound, StateError, UsageError
from warehouse.loader import State
from warehouse.loader.course import unlike
from warehouse.loader.parts import windows_of
from warehouse.loader.seen import seen


@dataclass(frozen=True, slots=True)
class Job:
    """A training job as its state tells of it; batch: the global one, over ``world`` ranks."""

    state: State
    batch: int
    world: int = 1
    drop_last: bool = True


@dataclass(frozen=True, slots=True)
class Sighting:
    """A sample in the state's epoch. seen: whether it is behind the state; step: its batch, from 0; row: within the
    rank's part of it. None, each of these three, for a sample that the epoch leaves out.
    """

    seen: bool
    step: int | None
    rank: int | None
    row: int | None


@dataclass(frozen=True, slots=True)
class Held:
    """A sample and the pieces in it that were asked for; sighting: None without a job, or not in its split."""

    split: str
    sample: int
    pieces: tuple[Piece, ...]
    sighting: Sighting | None


@dataclass(frozen=True, slots=True)
class Holding:
    """All samples that hold anything of the documents, by split and number; tokens: of these documents, in them."""

    release: Path
    documents: int
    tokens: int
    samples: tuple[Held, ...]
    state: State | None


def find_holding(release: Path, asked: str, value: str, job: Job | None = None) -> Holding:
    """The samples of a release that hold anything of what ``asked`` (of ASKED) and ``value`` name.

    Raises NotFound where the release has nothing of it, StateError for the state of another release, UsageError for a
    batch that its world does not divide.
    """
    manifest = read_manifest(release)
    if job is not None:
        _refuse_other(job.state, manifest)
    rows, documents = _documents(release, asked, value)
    pieces = sorted(holding(release, rows), key=lambda piece: (piece.split, piece.sample))
    grouped = [(key, tuple(items)) for key, items in groupby(pieces, key=lambda piece: (piece.split, piece.sample))]
    sightings = _sightings(manifest, job, [key for key, _ in grouped]) if job else {}
    samples = tuple(Held(*key, items, sightings.get(key)) for key, items in grouped)
    return Holding(release, documents, sum(piece.length for piece in pieces), samples, job.state if job else None)


def read_state(path: Path) -> State:
    """A loader state from its JSON file. Raises UsageError for what is no JSON, StateError for what is no state."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no state in {path}: {error}", allowed="what json.dump(loader.state(), file) writes"
        ) from None
    try:
        return State(
            dataset=found["dataset"],
            split=found["split"],
            seed=found["seed"],
            epoch=found["epoch"],
            samples=found["samples"],
        )
    except (KeyError, TypeError):
        raise unlike(found) from None


def _refuse_other(state: State, manifest: Manifest) -> None:
    if state["dataset"] != manifest.id or state["split"] not in manifest.splits:
        raise StateError(
            f"state of data set {state['dataset']}, split {state['split']!r}",
            allowed=f"data set {manifest.id}, splits {', '.join(manifest.splits)}",
            do="name the release that the state was taken from",
        )


def _documents(release: Path, asked: str, value: str) -> tuple[list[int], int]:
    """Rows of documents.parquet, and the documents that they are copies of."""
    facts = pq.read_table(release / DOCUMENTS, columns=["doc_id", "source", "uri", "licence"])
    with query.connect() as con:
        con.register("documents", facts)
        hosted = f"SELECT *, {HOST}, row_number() OVER () - 1 AS row FROM documents"
        rows = query.fetch_all(con, f"SELECT row, doc_id FROM ({hosted}) WHERE {ASKED[asked]} ORDER BY row", [value])
    if not rows:
        raise NotFound(
            f"{release} holds no document of {asked} {value!r}",
            allowed=f"{facts.num_rows} documents, listed in {release / DOCUMENTS}",
        )
    return [row for row, _ in rows], len({doc_id for _, doc_id in rows})


def _sightings(manifest: Manifest, job: Job, samples: list[tuple[str, int]]) -> dict[tuple[str, int], Sighting]:
    split = job.state["split"]
    mine = [sample for name, sample in samples if name == split]
    found = seen(
        job.state,
        mine,
        total=manifest.splits[split].samples,
        batch=job.batch,
        world=job.world,
        drop_last=job.drop_last,
        windows=windows_of(manifest, job.state),
    )
    columns = (found.seen.tolist(), *map(_known, (found.step, found.rank, found.row)))
    return {(split, sample): Sighting(*values) for sample, *values in zip(mine, *columns, strict=True)}


def _known(values: Any) -> Iterator[int | None]:
    return (None if value < 0 else value for value in values.tolist())

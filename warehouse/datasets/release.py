"""A release of a recipe: selected, frozen, tokenised, packed, hashed, described, and shown in one rename.

Equal recipes over equal tables give equal bytes, on any number of processes and with any batch size; a release whose id
is that of a live version is not written again. A shard of 4.5 M tokens (16 MB of text of all kinds) takes 0.91 CPU s
from the stored table on, 0.58 of them tokenising (``make bench AREA=datasets``).
"""

from __future__ import annotations

import json
import os
import platform
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from warehouse import engine, query, signature
from warehouse import manifest as manifests
from warehouse.contracts import Check, Snapshot
from warehouse.datasets import mixing, shelf, timing
from warehouse.datasets.card import cards
from warehouse.datasets.decontamination import Overlap, decontaminate
from warehouse.datasets.description import describe
from warehouse.datasets.lines import edit, words_of
from warehouse.datasets.mixing import Counting, mix
from warehouse.datasets.recipe import DatasetRecipe
from warehouse.datasets.rendering import Progress, Rendered, render
from warehouse.datasets.selection import check_synthetic, freeze, select
from warehouse.energy import Rate
from warehouse.errors import CheckFailed
from warehouse.manifest import Manifest, TableManifest, hash_file

Kind = TypeVar("Kind", Manifest, TableManifest)


@dataclass(frozen=True, slots=True)
class Release(Generic[Kind]):
    """A version on the shelf. written is False if an equal one was there already; run: what run.json says."""

    name: str
    version: int
    path: Path
    manifest: Kind
    written: bool
    run: Mapping[str, Any]

    @property
    def id(self) -> str:
        return self.manifest.id


@dataclass(frozen=True, slots=True)
class Basis:
    """What releases are made from, and where they go.

    con: a connection to a published snapshot; inputs: its tables with their Delta versions; checks: that it passed;
    datasets: the folder of all data sets; at: what energy is counted at in run.json, which None leaves out;
    signing_key: PEM file of the private key that signs the manifest.
    """

    con: query.Connection
    inputs: Mapping[str, int]
    checks: Sequence[Check]
    model_fingerprints: Mapping[str, str]
    datasets: Path
    created_at: datetime
    run_id: str
    at: Rate | None = None
    signing_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Draft(Generic[Kind]):
    """A release whose content files are written: its manifest, the texts of CARDS, and what run.json will say more."""

    manifest: Kind
    cards: Mapping[str, str]
    run: Mapping[str, Any]


def export(
    recipe: DatasetRecipe,
    basis: Basis,
    *,
    snapshot_documents: Snapshot,
    snapshot_pii: Snapshot | None = None,
    overlap: Overlap | None = None,
    processes: int = 1,
    batch_rows: int = 4096,
    progress: Progress | None = None,
) -> Release[Manifest]:
    """Make a release of ``recipe`` from a published snapshot and the documents that it pins.

    snapshot_pii: the pinned spans of personal data, where the recipe masks some; overlap: with benchmarks, where it
    keeps them out. Raises CheckFailed for a failed check or too much synthetic text, RecipeError for a select that is
    refused, NotFound for documents that the pinned tables lack, Busy while another process exports this data set,
    StorageFull.
    """
    con, home = basis.con, basis.datasets / recipe.name

    @engine.one_pool()
    def make(folder: Path) -> Draft[Manifest]:
        search = overlap.search() if overlap and recipe.lines and recipe.contamination else None
        edited = edit(recipe, select(recipe, con), snapshot_documents, search, words_of(con))
        cleaned = decontaminate(recipe, edited, con, overlap)
        frozen = freeze(recipe, cleaned, con, snapshot_documents, snapshot_pii)
        counting = Counting(snapshot_documents, folder, processes, batch_rows, progress)
        mixed = mix(recipe, frozen, counting)
        check_synthetic(recipe, mixed.frozen)
        made = render(
            recipe,
            mixed.frozen,
            snapshot_documents,
            folder=folder,
            processes=processes,
            batch_rows=batch_rows,
            progress=progress,
            earlier=earlier_of(home, Manifest),
            vocabulary=mixed.vocabulary,
        )
        manifest = describe(
            made,
            inputs=basis.inputs,
            checks=basis.checks,
            model_fingerprints=basis.model_fingerprints,
            contamination=cleaned.verdict,
            lines=edited.verdict,
            timing=timing.summary(recipe, cleaned.selection.num_rows, frozen.num_rows),
            mixture=mixing.summary(recipe, mixed.groups, made.documents),
        )
        counted = {"count_cpu_s": round(mixed.cpu_s, 3)} if mixed.groups else {}
        run = {**rendering_facts(made, batch_rows=batch_rows, processes=processes), **counted}
        return Draft(manifest, cards(manifest, recipe, made.documents), run)

    return shelve(basis, recipe.name, make)


def earlier_of(home: Path, kind: type[Kind]) -> Path | None:
    """The last live version of a data set, if its manifest is of this kind and its files are on this machine."""
    live = [there for there in shelf.versions_of(home) if there.state == "live"]
    there = live[-1] if live and isinstance(live[-1].manifest, kind) else None
    return there.path if there and all((there.path / name).is_file() for name in there.manifest.files) else None


def shelve(basis: Basis, name: str, make: Callable[[Path], Draft[Kind]]) -> Release[Kind]:
    """What ``make`` writes into an empty folder, shown as the next version of ``name``; a live equal one stays alone.
    Either is signed where there is a key.

    Raises CheckFailed unless every check held, Busy while another process exports this data set, StorageFull.
    """
    _refuse_failed(basis.checks)
    home, signing_key = basis.datasets / name, basis.signing_key
    before = time.perf_counter(), cpu_seconds()
    if signing_key is not None:
        signature.sign(b"", signing_key)  # a key that cannot sign is told before the work
    with shelf.building(home) as folder:
        draft = make(folder)
        for there in shelf.versions_of(home):
            if there.state == "live" and there.id == draft.manifest.id:
                shelf.sign(there.path, signing_key)
                return Release(name, there.version, there.path, cast("Kind", there.manifest), False, there.run)
        manifest = _seal(draft, folder)
        run = {**_run_facts(before, basis), **draft.run}
        (folder / shelf.RUN).write_text(json.dumps(run, indent=1) + "\n", "utf-8")
        shelf.sign(folder, signing_key)
        version = shelf.place(folder, home)
    return Release(name, version, home / str(version), manifest, True, run)


def _refuse_failed(checks: Sequence[Check]) -> None:
    """Raise CheckFailed, naming the first, unless every check held."""
    failed = [check for check in checks if not check.success]
    if failed:
        first = failed[0]
        raise CheckFailed(
            f"{len(failed)} of {len(checks)} checks failed, first {first.suite}: {first.expectation} on {first.table}"
            f"{f'.{first.column}' if first.column else ''} ({first.unexpected_count} of {first.element_count})",
            allowed="none",
            do="mend the rows or the expectation; nothing was exported",
        )


def _seal(draft: Draft[Kind], folder: Path) -> Kind:
    """Write the cards and manifest.json, which holds their hashes and its own seal."""
    for name, text in draft.cards.items():
        (folder / name).write_text(text, "utf-8")
    described = {name: hash_file(folder, name) for name in draft.cards}
    whole = replace(draft.manifest, files={**draft.manifest.files, **described})
    sealed = replace(whole, seal=manifests.seal(whole))
    (folder / manifests.NAME).write_bytes(manifests.encode(sealed))
    return sealed


def _run_facts(before: tuple[float, float], basis: Basis) -> dict[str, Any]:
    """What differs from run to run: time, cost and energy since ``before`` (wall, CPU seconds), and where it ran."""
    cpu_s = round(cpu_seconds() - before[1], 3)
    return {
        "created_at": basis.created_at.isoformat(),
        "run_id": basis.run_id,
        "wall_s": round(time.perf_counter() - before[0], 3),
        "cpu_s": cpu_s,
        **(asdict(basis.at.used(cpu_s)) if basis.at else {}),
        "exporter_pid": os.getpid(),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def rendering_facts(made: Rendered, *, batch_rows: int, processes: int) -> dict[str, Any]:
    """Which processes tokenised, and at what cost."""
    return {
        "tokenise_cpu_s": round(sum(done.cpu_s for done in made.done), 3),
        "processes": processes,
        "batch_rows": batch_rows,
        "pids": sorted({done.pid for done in made.done if done.pid is not None}),
        "reused_shards": sum(done.pid is None for done in made.done),
        "warnings": [done.warning for done in made.done if done.warning],
    }


def cpu_seconds() -> float:
    """User and system time of this process and of the children it waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)

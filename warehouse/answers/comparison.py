"""What another version of a data set holds that the first does not, by document and by reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.answers.absence import Why, absences, selected_from
from warehouse.answers.alike import Changes, Shards, changes, shards, stated
from warehouse.datasets import DOCUMENTS, DatasetRecipe, Manifest, load_recipe, read_manifest
from warehouse.errors import NotFound
from warehouse.project import Project

DIMENSIONS = ("source", "licence", "language")
COMPARED = ("split", "masked", "licence", "language", "copies")
"""Of a document in both releases; its text is the same, by its doc_id."""
PLACE = ("source", "uri", "record")


@dataclass(frozen=True, slots=True)
class Held:
    """A document of a release. bytes: of its text as it went out; tokens: with the end-of-text one; both as often as it
    goes out.
    """

    doc_id: str
    source: str
    uri: str
    record: str
    split: str
    licence: str | None
    language: str | None
    tokens: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A document that differs: added (before is None), removed (after is None) or changed.

    what: of a changed one text (other content at the same place), masked (other masks or edits), split, licence,
    language or copies (it goes out more or less often); why: of an added or removed one, why the release that lacks it
    does.
    """

    before: Held | None
    after: Held | None
    what: tuple[str, ...] = ()
    why: Why | None = None


@dataclass(slots=True)
class Sums:
    """Documents, tokens and bytes."""

    documents: int = 0
    tokens: int = 0
    bytes: int = 0

    def count(self, held: Held) -> None:
        """Add a document."""
        self.documents, self.tokens, self.bytes = self.documents + 1, self.tokens + held.tokens, self.bytes + held.bytes


@dataclass(slots=True)
class Balance:
    """Of one source, licence or language: what went, what came, and what stood in both but differs."""

    added: Sums = field(default_factory=Sums)
    removed: Sums = field(default_factory=Sums)
    changed_before: Sums = field(default_factory=Sums)
    changed_after: Sums = field(default_factory=Sums)


@dataclass(frozen=True, slots=True)
class Side:
    """A release that is compared. exact: whether the snapshot that it was selected from is still published."""

    path: Path
    id: str
    name: str
    documents: int
    tokens: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that differs. recipe, inputs, models: name -> before, after, of those that differ (None: not there);
    tokenizer: whether it is the same, without which no shard can be; by: dimension -> value -> Balance.
    """

    before: Side
    after: Side
    recipe: Changes
    inputs: Changes
    models: Changes
    tokenizer: bool
    shards: Shards
    added: tuple[Difference, ...]
    removed: tuple[Difference, ...]
    changed: tuple[Difference, ...]
    by: Mapping[str, Mapping[str, Balance]]


@dataclass(frozen=True, slots=True)
class _Release:
    path: Path
    manifest: Manifest
    recipe: DatasetRecipe
    stated: Mapping[str, Any]
    documents: pa.Table


def compare(project: Project, before: Path, after: Path, *, env: str = "prod") -> Comparison:
    """What ``after`` holds otherwise than ``before``, both folders of releases of texts.

    Raises NotFound where a folder is no release, FormatError for one of rows.
    """
    one, other = _opened(before), _opened(after)
    removed, added, changed = _differences(one, other)
    with selected_from(project, env, other.manifest, or_current=True) as asked:
        lost, exact_after = (
            _explained(absences(asked, project, other.recipe, _facts(one, removed)), removed),
            asked.exact,
        )
    with selected_from(project, env, one.manifest, or_current=False) as asked:
        came, exact_before = _explained(absences(asked, project, one.recipe, _facts(other, added)), added), asked.exact
    return Comparison(
        before=_side(one, exact_before),
        after=_side(other, exact_after),
        recipe=changes(one.stated, other.stated),
        inputs=changes(one.manifest.inputs, other.manifest.inputs),
        models=changes(one.manifest.model_fingerprints, other.manifest.model_fingerprints),
        tokenizer=one.manifest.tokenizer_sha256 == other.manifest.tokenizer_sha256,
        shards=shards(one.path, one.manifest, other.path, other.manifest),
        added=came,
        removed=lost,
        changed=changed,
        by={name: _balances(name, [*came, *lost, *changed]) for name in DIMENSIONS},
    )


def _opened(path: Path) -> _Release:
    manifest, recipe = read_manifest(path), load_recipe(path / "recipe" / "recipe.yaml")
    if not isinstance(recipe, DatasetRecipe):
        raise NotFound(f"{path} holds no recipe of texts", do="compare releases of texts")
    return _Release(path, manifest, recipe, stated(path), _each_once(pq.read_table(path / DOCUMENTS)))


def _each_once(documents: pa.Table) -> pa.Table:
    """A row a document: ``copies`` of it go out, which have ``tokens`` and ``bytes`` together."""
    if "copy" not in documents.column_names:
        return documents.append_column("copies", pa.repeat(1, documents.num_rows))
    sums = documents.group_by("doc_id").aggregate([("tokens", "sum"), ("bytes", "sum"), ("doc_id", "count")])
    first = documents.filter(pc.equal(documents["copy"], 0))
    own = sums.take(pc.index_in(first["doc_id"], value_set=sums["doc_id"]))
    columns = {"tokens": own["tokens_sum"], "bytes": own["bytes_sum"], "copies": own["doc_id_count"]}
    return pa.table({**{name: first[name] for name in first.column_names}, **columns})


def _side(release: _Release, exact: bool) -> Side:
    manifest = release.manifest
    tokens = sum(split.tokens for split in manifest.splits.values())
    return Side(release.path, manifest.id, manifest.name, release.documents.num_rows, tokens, exact)


def _differences(one: _Release, other: _Release) -> tuple[list[Difference], list[Difference], tuple[Difference, ...]]:
    """Removed, added and changed; a document of which the place holds another text by then is a changed one."""
    left, right = (_rows(one, but=other), _rows(other, but=one))
    came = defaultdict[tuple[str, ...], list[Held]](list)
    for held in right:
        came[_place(held)].append(held)
    pairs = [(held, came[_place(held)].pop(0)) if came[_place(held)] else (held, None) for held in left]
    removed = [Difference(held, None) for held, then in pairs if then is None]
    texts = [Difference(held, then, ("text",)) for held, then in pairs if then is not None]
    added = [Difference(None, held) for left_over in came.values() for held in left_over]
    return removed, added, (*texts, *_same_text(one, other))


def _place(held: Held) -> tuple[str, ...]:
    return held.source, held.uri, held.record


def _rows(release: _Release, *, but: _Release) -> list[Held]:
    mine = pc.invert(pc.is_in(release.documents["doc_id"], value_set=but.documents["doc_id"]))
    return _held(release.documents.filter(mine).sort_by([(name, "ascending") for name in (*PLACE, "doc_id")]))


def _held(documents: pa.Table) -> list[Held]:
    return [Held(**row) for row in documents.select(list(Held.__slots__)).to_pylist()]


def _same_text(one: _Release, other: _Release) -> list[Difference]:
    """Documents in both that went out otherwise."""
    index = pc.index_in(other.documents["doc_id"], value_set=one.documents["doc_id"])
    after = other.documents.filter(pc.is_valid(index))
    before = one.documents.take(index.drop_null())
    found: dict[int, list[str]] = defaultdict(list)
    for name in COMPARED:
        sides = [side[name].to_pylist() if name in side.column_names else [] for side in (before, after)]
        for row, (then, now) in enumerate(zip(*sides, strict=False)):
            if then != now:
                found[row].append(name)
    rows = pa.array(sorted(found), pa.int64())
    pairs = zip(sorted(found), _held(before.take(rows)), _held(after.take(rows)), strict=True)
    return [Difference(then, now, tuple(found[row])) for row, then, now in pairs]


def _facts(release: _Release, differences: Iterable[Difference]) -> pa.Table:
    wanted = [(item.before or item.after) for item in differences]
    names = pa.array([held.doc_id for held in wanted if held], pa.string())
    mine = pc.is_in(release.documents["doc_id"], value_set=names)
    return release.documents.select(["doc_id", *PLACE, "content_hash"]).filter(mine)


def _explained(whys: Mapping[str, Why], differences: Iterable[Difference]) -> tuple[Difference, ...]:
    sides = ((item, item.before or item.after) for item in differences)
    return tuple(Difference(item.before, item.after, (), whys[held.doc_id]) for item, held in sides if held)


def _balances(name: str, differences: Iterable[Difference]) -> dict[str, Balance]:
    found = defaultdict[str, Balance](Balance)
    for item in differences:
        for held, alone, beside in ((item.before, "removed", "changed_before"), (item.after, "added", "changed_after")):
            if held is not None:
                balance = found[getattr(held, name) or "unknown"]
                sums: Sums = getattr(balance, beside if item.what else alone)
                sums.count(held)
    return dict(sorted(found.items()))


def reasons(differences: Iterable[Difference]) -> list[tuple[str, Sums]]:
    """Documents by reason, of changed ones by what changed, most documents first."""
    found = defaultdict[str, Sums](Sums)
    for item in differences:
        if held := item.before or item.after:
            found[item.why.reason if item.why else ", ".join(item.what)].count(held)
    return sorted(found.items(), key=lambda each: (-each[1].documents, each[0]))

"""Content taken down: planned, barred, its releases revoked, cut out of tables and archive, and the proof of it.

A plan is written before anything is removed (``<root>/takedowns/<id>.json``: doc_ids, content hashes, objects, no text;
beside it ``<id>.prints``: hashes of runs of words) and deleted when the proof has found nothing; while it is there, the
same takedown goes on where it was cut short. Every step may be done again. Between the two assets models are trained
anew, the snapshots published and the revoked data sets exported again, by runs of their own.
"""

import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pyarrow as pa

from pipelines.costs import metered
from pipelines.cutters import cutter, unknown
from pipelines.ingest import OWNERS
from pipelines.synthesise import bind
from warehouse import datasets, mirror, publish
from warehouse.answers import proof
from warehouse.answers import takedown as answers
from warehouse.contracts import ObjectFact, Wanted, digest
from warehouse.errors import IntegrityError, NotFound, WarehouseError
from warehouse.kernels.prints import Known, known
from warehouse.models import load_models
from warehouse.project import Project, prepare, write_whole
from warehouse.repository import TAKEDOWNS, Barred, Erased, Gone, Origins, Repository, keyed_hash, row_names
from warehouse.sources import closing_parser, load_source
from warehouse.synthetic import load_synthetic

REMOVED = dg.AssetKey(["takedown", "removed"])
PROVED = dg.AssetKey(["takedown", "proved"])
TABLE = "takedowns"
SHOWN = 20
BAR_ROWS = 100_000
NOTHING = {"takedown": "nothing was asked for"}


class TakedownConfig(dg.Config):
    """asked: uri | domain | source | doc | licence, or "" for nothing, as where all assets are made; value: which; why:
    the reason that revoked releases give; short: refuse | keep | remove, rows a cell of which equals a short text.
    """

    asked: str = ""
    value: str = ""
    why: str = "taken down"
    short: str = "refuse"


class ProofConfig(dg.Config):
    """takedown: the plan to prove, by id, or "" for none."""

    takedown: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a takedown is to remove."""

    id: str
    asked: str
    value: str
    why: str
    at: str
    reach: answers.Reach

    def portions(self, project: Project) -> Iterator[Known]:
        """What its contents are known by, so many runs of words at a time."""
        for runs in answers.portions(_prints(project, self.id)):
            yield known(runs, self.reach.contents)

    @property
    def documents(self) -> int:
        """How many documents go."""
        return len({each.doc_id for each in self.reach.documents})

    @property
    def rows(self) -> int:
        """How many rows of other tables go."""
        return sum(each.rows for each in self.reach.rows)

    @property
    def models(self) -> list[str]:
        """Models that go, as NAME@VERSION."""
        return [f"{name}@{version}" for name, version, _ in self.reach.models]


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed: rows of all tables, and of objects, how many were cut and how many went whole, by reason."""

    plan: Plan
    erased: Erased
    objects: Mapping[str, int]


def pending(project: Project) -> list[Plan]:
    """The plans that are not proved yet, oldest first."""
    mirror.fetch_below(_folder(project))
    plans = [_read(path) for path in _folder(project).glob("*.json")]
    return sorted(plans, key=lambda plan: (plan.at, plan.id))


def reached(project: Project, asked: str, value: str, *, short: answers.Short) -> answers.Reach:
    """What a takedown would reach, without a trace. Raises as answers.reach."""
    with tempfile.TemporaryDirectory() as folder:
        marked = Path(folder) / "prints"
        return answers.reach(project, asked, value, marked=marked, made_of=_made_of(project), short=short)


def _made_of(project: Project) -> dict[str, list[str]]:
    """Typed table -> recipes of something synthetic that read it, directly or through models."""
    recipes = [load_synthetic(path) for path in project.files("recipes/synthetic", "*.yaml")]
    found: dict[str, list[str]] = defaultdict(list)
    if recipes:
        sources = (load_source(path) for path in project.files("recipes/sources", "*.yaml"))
        typed, loaded = {source.table for source in sources}, load_models(project.files("sql", "*.sql"))
        for recipe in recipes:
            for table in bind(recipe, loaded, typed).tables:
                found[table].append(recipe.name)
    return found


def remove(
    project: Project,
    asked: str,
    value: str,
    why: str,
    *,
    run_id: str,
    now: datetime,
    short: answers.Short = "refuse",
) -> Removed:
    """Do what is to be done before the snapshots are published anew. The plan, and what was removed.

    A plan for the same that was cut short goes on. Raises NotFound where there is no such document or row, Busy,
    StorageFull, InputError as answers.reach.
    """
    repository = Repository(project.root)
    held = [plan for plan in pending(project) if (plan.asked, plan.value) == (asked, value)]
    plan = held[0] if held else _planned(project, asked, value, why, run_id=run_id, now=now, short=short)
    _bar(repository, plan, run_id=run_id)
    for release in plan.reach.releases:
        name, _, version = release.partition("@")
        datasets.revoke(project.datasets / name, int(version), why=plan.why, at=datetime.fromisoformat(plan.at))
    erased = [_erased(repository, table, plan, project) for table in repository.tables()]
    objects = Counter(_redacted(repository, project, each, plan, run_id=run_id) for each in plan.reach.objects)
    for _, _, model in plan.reach.models:
        objects[repository.redact(model, None, takedown_id=plan.id, run_id=run_id).reason] += 1
    mirror.remove(project.root / "report")
    total = Erased(sum(each.rows for each in erased), sum(each.files for each in erased))
    return Removed(plan, total, objects)


def _erased(repository: Repository, table: str, plan: Plan, project: Project) -> Erased:
    """What was cut out of a table: a pass for each portion of runs."""
    rows = files = 0
    for marks in plan.portions(project):
        done = repository.erase(table, replace(plan.reach.gone, marks=marks))
        rows, files = rows + done.rows, files + done.files
    return Erased(rows, files)


def _redacted(repository: Repository, project: Project, each: answers.Object, plan: Plan, *, run_id: str) -> str:
    """Why the object is as it is now: ``cut``, or why all of it went."""
    recipes = {path.stem: path for path in project.files("recipes/sources", "*.yaml")}
    fact = ObjectFact(each.uri, each.sha256, 0, datetime.fromtimestamp(0, UTC), each.reader)
    source = load_source(recipes[each.source]) if each.source in recipes else unknown(fact)
    wanted = Wanted(frozenset(each.contents), frozenset(each.uris), frozenset(each.records))
    with closing_parser():
        return repository.redact(
            each.sha256,
            None if each.whole else cutter(source, fact, wanted),
            takedown_id=plan.id,
            run_id=run_id,
        ).reason


def prove(project: Project, takedown: str, *, run_id: str) -> Plan:
    """Remove the snapshots of before, look for what is left, and if nothing is, say so in ``takedowns``.

    Raises NotFound for a plan that is not there, IntegrityError, with the places, where something is left.
    """
    mirror.fetch_below(_folder(project))
    path = _folder(project) / f"{takedown}.json"
    if not path.is_file():
        raise NotFound(
            f"no takedown {takedown!r} is under way", allowed=", ".join(each.id for each in pending(project))
        )
    plan = _read(path)
    for env in environments(project):
        publish.remove_before(project.published, env, publish.current(project.published, env).n)
    found = {
        each.path: each
        for marks in plan.portions(project)
        for each in proof.left(project, marks, without=[*_folder(project).glob("*")])
    }
    if found:
        places = [f"{each.path} ({each.what})" for each in found.values()]
        raise IntegrityError(
            f"{len(found)} files still hold what was taken down: {', '.join(places[:SHOWN])}",
            do="remove them, then run the same takedown again",
            places=places,
        )
    _record(Repository(project.root), [_said(plan, "proved", run_id=run_id)], run_id=run_id)
    mirror.remove(_prints(project, plan.id))
    mirror.remove(path)
    return plan


def environments(project: Project) -> list[str]:
    """Those in which something is published."""
    return sorted(path.parent.name for path in project.published.glob(f"*/{publish.CURRENT}"))


def _folder(project: Project) -> Path:
    return project.root / "takedowns"


def _prints(project: Project, takedown: str) -> Path:
    return _folder(project) / f"{takedown}.prints"


def _planned(
    project: Project, asked: str, value: str, why: str, *, run_id: str, now: datetime, short: answers.Short
) -> Plan:
    folder, takedown = _folder(project), digest(asked, value, run_id)
    folder.mkdir(mode=0o700, exist_ok=True)
    planned = {path.stem for path in folder.glob("*.json")}
    for stray in folder.iterdir():
        if stray.suffix == ".draft" or stray.stem not in planned:
            mirror.remove(stray)
    try:
        reach = answers.reach(
            project, asked, value, marked=_prints(project, takedown), made_of=_made_of(project), short=short
        )
    except WarehouseError:
        mirror.remove(_prints(project, takedown))
        raise
    plan = Plan(takedown, asked, value, why, now.isoformat(), reach)
    values = {**asdict(plan), "reach": {**asdict(reach), "origins": _listed(reach.origins)}}
    mirror.send(_prints(project, takedown))
    write_whole(folder / f"{plan.id}.json", json.dumps(values))
    mirror.send(folder / f"{plan.id}.json")
    return plan


def _listed(origins: Origins) -> dict[str, list[str]]:
    return {name: sorted(values) for name, values in asdict(origins).items()}


def _read(path: Path) -> Plan:
    values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    reach = values.pop("reach")
    objects = [
        answers.Object(
            **{
                **each,
                "contents": tuple(each["contents"]),
                "uris": tuple(each["uris"]),
                "records": tuple((uri, record) for uri, record in each["records"]),
            }
        )
        for each in reach["objects"]
    ]
    return Plan(
        **values,
        reach=answers.Reach(
            tuple(answers.Reached(**each) for each in reach["documents"]),
            tuple(answers.Rows(**each) for each in reach["rows"]),
            tuple(objects),
            tuple(reach["releases"]),
            tuple((name, version, model) for name, version, model in reach["models"]),
            Origins(**{name: frozenset(each) for name, each in reach["origins"].items()}),
            tuple(reach["short"]),
        ),
    )


def _bar(repository: Repository, plan: Plan, *, run_id: str) -> None:
    """Rows of ``takedowns`` of step taken: what may not come in again from then on. Of a uri and a host that were asked
    for themselves, of documents the contents, of rows their values.
    """
    secret, said = repository.takedown_key(), _said(plan, "taken", run_id=run_id)
    rows: dict[str, dict[str, Any]] = {}
    counts = Counter({each.doc_id: each.content_hash for each in plan.reach.documents}.values())
    for barred, value in _barred(repository, plan):
        hashed = keyed_hash(secret, value, barred)
        documents = counts[value] if barred == "content" else 0
        rows[hashed] = said | {"barred": barred, "keyed_hash": hashed, "documents": documents, "rows": 0}
        if len(rows) >= BAR_ROWS:
            _record(repository, rows.values(), run_id=run_id)
            rows = {}
    _record(repository, rows.values(), run_id=run_id)


def _barred(repository: Repository, plan: Plan) -> Iterator[tuple[Barred, str]]:
    """What is barred, and its value."""
    if plan.asked == "uri":
        yield "uri", plan.value
    if plan.asked == "domain":
        yield "domain", plan.value.lower()
    for content in sorted(plan.reach.contents):
        yield "content", content
    asked = Gone(frozenset(), frozenset(), frozenset(), plan.reach.origins)
    for table in sorted({each.table for each in plan.reach.rows if each.why == "asked"}):
        for batch in repository.matching(table, asked):
            yield from (("row", name) for name in row_names(batch, table))


def _said(plan: Plan, step: str, *, run_id: str) -> dict[str, Any]:
    """A row of ``takedowns``, without what is barred."""
    return {
        "takedown_id": plan.id,
        "step": step,
        "asked": plan.asked,
        "value": plan.value,
        "why": plan.why,
        "at": datetime.now(UTC),
        "run_id": run_id,
        "barred": None,
        "keyed_hash": None,
        "documents": plan.documents,
        "rows": plan.rows,
        "releases": list(plan.reach.releases),
        "models": plan.models,
        "receipt_id": "",
    }


def _record(repository: Repository, rows: Iterable[Mapping[str, Any]], *, run_id: str) -> None:
    batch = pa.RecordBatch.from_pylist(list(rows), schema=TAKEDOWNS)
    repository.append(
        TABLE,
        [batch],
        schema=TAKEDOWNS,
        source="takedown",
        run_id=run_id,
        keys=("takedown_id", "step", "keyed_hash"),
    )


def takedown_assets(project: Project) -> Sequence[dg.AssetsDefinition]:
    """The assets ``takedown/removed`` and ``takedown/proved``, which only a takedown makes."""

    @dg.asset(
        key=REMOVED,
        group_name="takedown",
        description="Content that was taken down: barred, its releases revoked, cut out of tables and archive.",
        kinds={"deltalake"},
        owners=OWNERS,
    )
    def _removed(context: dg.AssetExecutionContext, config: TakedownConfig) -> dg.MaterializeResult[None]:
        prepare(project)
        if not config.asked:
            return dg.MaterializeResult(metadata=NOTHING)
        run_id = context.run.run_id
        with metered(project, "takedown/removed", run_id) as meter:
            removed = remove(
                project,
                config.asked,
                config.value,
                config.why,
                run_id=run_id,
                now=datetime.now(UTC),
                short=cast("answers.Short", config.short),
            )
            meter.rows = removed.erased.rows
        plan = removed.plan
        return dg.MaterializeResult(
            metadata={
                "takedown": plan.id,
                "documents": plan.documents,
                "rows": plan.rows,
                "rows_cut_out": removed.erased.rows,
                "files_written_again": removed.erased.files,
                "objects": sum(removed.objects.values()),
                "objects_by_reason": dict(removed.objects),
                "releases_revoked": ", ".join(plan.reach.releases) or "none",
                "models_removed": ", ".join(plan.models) or "none",
                **meter.cost(),
            }
        )

    @dg.asset(
        key=PROVED,
        group_name="takedown",
        description="Every file that is left, decoded: none holds a content hash or 13 words of what was taken down.",
        kinds={"python"},
        owners=OWNERS,
    )
    def _proved(context: dg.AssetExecutionContext, config: ProofConfig) -> dg.MaterializeResult[None]:
        if not config.takedown:
            return dg.MaterializeResult(metadata=NOTHING)
        with metered(project, "takedown/proved", context.run.run_id) as meter:
            plan = prove(project, config.takedown, run_id=context.run.run_id)
            meter.rows = plan.documents
        return dg.MaterializeResult(metadata={"takedown": plan.id, **meter.cost()})

    return _removed, _proved

"""Content taken down: planned, barred, its releases revoked, cut out of tables and archive, and the proof of it.

A plan is written before anything is removed (``<root>/takedowns/<id>.json``: doc_ids, content hashes, prints of runs of
words, no text) and deleted when the proof has found nothing; while it is there, the same takedown goes on where it was
cut short. Every step may be done again. Between the two assets the snapshots are published anew and the revoked data
sets exported again, by runs of their own.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from pipelines.costs import metered
from pipelines.ingest import OWNERS
from warehouse import datasets, publish
from warehouse.answers import takedown as answers
from warehouse.contracts import digest
from warehouse.errors import IntegrityError, NotFound
from warehouse.project import Project, prepare, write_whole
from warehouse.repository import TAKEDOWNS, Erased, Gone, Repository, keyed_hash

REMOVED = dg.AssetKey(["takedown", "removed"])
PROVED = dg.AssetKey(["takedown", "proved"])
TABLE = "takedowns"
SHOWN = 20
NOTHING = {"takedown": "nothing was asked for"}


class TakedownConfig(dg.Config):
    """asked: uri | domain | source | doc | licence, or "" for nothing, as where all assets are made; value: which; why:
    the reason that revoked releases give.
    """

    asked: str = ""
    value: str = ""
    why: str = "taken down"


class ProofConfig(dg.Config):
    """takedown: the plan to prove, by id, or "" for none."""

    takedown: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a takedown is to remove; prints: of runs of 13 words that no other document has, under ``seed``."""

    id: str
    asked: str
    value: str
    why: str
    at: str
    documents: tuple[answers.Reached, ...]
    objects: tuple[answers.Object, ...]
    releases: tuple[str, ...]
    prints: tuple[int, ...]
    seed: int

    @property
    def marks(self) -> answers.Marks:
        """What the removed contents are known by."""
        hashes = frozenset(each.content_hash for each in self.documents)
        return answers.Marks(hashes, frozenset(self.prints), self.seed)

    @property
    def gone(self) -> Gone:
        """Its documents, as the repository finds their rows."""
        places = frozenset((each.source, each.uri, each.record) for each in self.documents)
        return Gone(frozenset(each.doc_id for each in self.documents), self.marks.hashes, places)


def pending(project: Project) -> list[Plan]:
    """The plans that are not proved yet, oldest first."""
    plans = [_read(path) for path in _folder(project).glob("*.json")]
    return sorted(plans, key=lambda plan: (plan.at, plan.id))


def remove(project: Project, asked: str, value: str, why: str, *, run_id: str, now: datetime) -> tuple[Plan, Erased]:
    """Do what is to be done before the snapshots are published anew. The plan, and the rows that were cut out.

    A plan for the same that was cut short goes on. Raises NotFound where there is no such document, Busy, StorageFull.
    """
    repository = Repository(project.root)
    held = [plan for plan in pending(project) if (plan.asked, plan.value) == (asked, value)]
    plan = held[0] if held else _planned(project, asked, value, why, run_id=run_id, now=now)
    _record(repository, plan, "taken", run_id=run_id)
    for release in plan.releases:
        name, _, version = release.partition("@")
        datasets.revoke(project.datasets / name, int(version), why=plan.why, at=datetime.fromisoformat(plan.at))
    erased = [repository.erase(table, plan.gone) for table in repository.tables()]
    for each in plan.objects:
        repository.redact(each.sha256, each.taken, kind=each.kind, takedown_id=plan.id, run_id=run_id)
    shutil.rmtree(project.root / "report", ignore_errors=True)
    return plan, Erased(sum(each.rows for each in erased), sum(each.files for each in erased))


def prove(project: Project, takedown: str, *, run_id: str) -> Plan:
    """Remove the snapshots of before, look for what is left, and if nothing is, say so in ``takedowns``.

    Raises NotFound for a plan that is not there, IntegrityError, with the places, where something is left.
    """
    path = _folder(project) / f"{takedown}.json"
    if not path.is_file():
        raise NotFound(
            f"no takedown {takedown!r} is under way", allowed=", ".join(each.id for each in pending(project))
        )
    plan = _read(path)
    for env in environments(project):
        publish.remove_before(project.published, env, publish.current(project.published, env).n)
    found = answers.left(project, plan.marks, without=[*_folder(project).glob("*")])
    if found:
        places = [f"{each.path} ({each.what})" for each in found]
        raise IntegrityError(
            f"{len(found)} files still hold what was taken down: {', '.join(places[:SHOWN])}",
            do="remove them, then run the same takedown again",
            places=places,
        )
    _record(Repository(project.root), plan, "proved", run_id=run_id)
    path.unlink()
    return plan


def environments(project: Project) -> list[str]:
    """Those in which something is published."""
    return sorted(path.parent.name for path in project.published.glob(f"*/{publish.CURRENT}"))


def _folder(project: Project) -> Path:
    return project.root / "takedowns"


def _planned(project: Project, asked: str, value: str, why: str, *, run_id: str, now: datetime) -> Plan:
    reach = answers.reach(project, asked, value)
    seed = int.from_bytes(Repository(project.root).takedown_key()[:8], "little")
    marked = answers.marks(project, {each.doc_id for each in reach.documents}, seed=seed)
    plan = Plan(
        digest(asked, value, run_id),
        asked,
        value,
        why,
        now.isoformat(),
        reach.documents,
        reach.objects,
        reach.releases,
        tuple(sorted(marked.prints)),
        seed,
    )
    folder = _folder(project)
    folder.mkdir(mode=0o700, exist_ok=True)
    for draft in folder.glob("*.draft"):
        draft.unlink()
    write_whole(folder / f"{plan.id}.json", json.dumps(asdict(plan)))
    return plan


def _read(path: Path) -> Plan:
    values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    documents = tuple(answers.Reached(**each) for each in values.pop("documents"))
    objects = tuple(
        answers.Object(**{**each, "taken": tuple((content, uri) for content, uri in each["taken"])})
        for each in values.pop("objects")
    )
    values |= {name: tuple(values[name]) for name in ("releases", "prints")}
    return Plan(**values, documents=documents, objects=objects)


def _record(repository: Repository, plan: Plan, step: str, *, run_id: str) -> None:
    """Rows of ``takedowns``: of step taken one a content, which bars it from then on; of step proved one."""
    batch = pa.RecordBatch.from_pylist(list(_rows(repository, plan, step, run_id=run_id)), schema=TAKEDOWNS)
    repository.append(
        TABLE,
        [batch],
        schema=TAKEDOWNS,
        source="takedown",
        run_id=run_id,
        keys=("takedown_id", "step", "keyed_hash"),
    )


def _rows(repository: Repository, plan: Plan, step: str, *, run_id: str) -> Iterator[dict[str, Any]]:
    said: dict[str, Any] = {
        "takedown_id": plan.id,
        "step": step,
        "asked": plan.asked,
        "value": plan.value,
        "why": plan.why,
    }
    said |= {"at": datetime.now(UTC), "run_id": run_id, "releases": list(plan.releases), "receipt_id": ""}
    if step == "proved":
        yield {**said, "keyed_hash": None, "documents": len({each.doc_id for each in plan.documents})}
        return
    secret = repository.takedown_key()
    for content in sorted(plan.marks.hashes):
        count = len({each.doc_id for each in plan.documents if each.content_hash == content})
        yield {**said, "keyed_hash": keyed_hash(secret, content), "documents": count}


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
            plan, erased = remove(project, config.asked, config.value, config.why, run_id=run_id, now=datetime.now(UTC))
            meter.rows = erased.rows
        return dg.MaterializeResult(
            metadata={
                "takedown": plan.id,
                "documents": len({each.doc_id for each in plan.documents}),
                "rows_cut_out": erased.rows,
                "files_written_again": erased.files,
                "objects": len(plan.objects),
                "releases_revoked": ", ".join(plan.releases) or "none",
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
            meter.rows = len(plan.documents)
        return dg.MaterializeResult(metadata={"takedown": plan.id, "prints": len(plan.prints), **meter.cost()})

    return _removed, _proved

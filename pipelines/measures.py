"""Documents measured for what was not measured of them yet: one step for all tables, so that a text is read once.

Each table is committed part by part, so what a killed run lacks the next one measures, of each table by itself.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import dagster as dg
import pyarrow as pa

from pipelines.build import Event, Suites
from pipelines.costs import Part, cost_metadata, cpu_seconds, metered
from pipelines.gates import audit, check_specs, table_metadata
from pipelines.ingest import OWNERS
from pipelines.parts import COMMIT_BYTES, Added, append_parts, held, in_parts
from warehouse import curation
from warehouse.contracts import Snapshot, Words
from warehouse.curation import Found, Function, ListRecipe, Measure
from warehouse.project import Project
from warehouse.query import Connection, attach_repository, literal, shared
from warehouse.repository import Repository
from warehouse.sources import BENCHMARKS, LISTED_HERE

Plan = Callable[[Connection, Mapping[str, Snapshot]], Measure]
"""How a table is filled, given a connection to what it reads and these tables as they are, by name."""


@dataclass(frozen=True, slots=True)
class MeasuredTable:
    """A table of what is measured of every document by itself, and its asset.

    reads: repository tables beside documents and its own that ``plan`` reads, with the columns that it needs of them.
    after: those of them that the asset waits for.
    """

    table: str
    schema: pa.Schema
    plan: Plan
    description: str = ""
    code_version: str | None = None
    reads: Mapping[str, pa.Schema] = field(default_factory=dict)
    after: Sequence[str] = ()

    @property
    def key(self) -> dg.AssetKey:
        """Its asset."""
        return dg.AssetKey(["repository", self.table])


def measured_tables(words: Words, lists: Sequence[ListRecipe] = (), *, registered: bool = False) -> list[MeasuredTable]:
    """What is measured of every document, in this order.

    words: how a text is cut into words; lists: recipes; registered: whether a source of the project is a benchmark.
    """
    versions = curation.VERSIONS
    every = [
        _measured_once(
            "signals",
            curation.SIGNALS,
            partial(curation.measure, words=words),
            "Statistics of every document that the rules of Gopher, C4 and FineWeb need, and its language.",
            {"version": versions["signals"], "words_mode": words},
            gives="language",
        ),
        _measured_once(
            "paragraphs",
            curation.PARAGRAPHS,
            curation.paragraphs,
            "Hash and length of every line of 20 bytes and more, for duplicates across documents.",
            {"version": versions["paragraphs"]},
        ),
        _measured_once(
            "pii",
            curation.PII,
            curation.pii,
            "Where each document holds e-mail, phone, IP, card or account numbers; places, not the text.",
            {"version": versions["pii"]},
        ),
        _measured_once(
            "minhash",
            curation.MINHASH,
            curation.minhash,
            "MinHash bands of every document, by which near duplicates meet.",
            {"version": versions["minhash"]},
        ),
        MeasuredTable(
            "contamination",
            curation.CONTAMINATION,
            lambda con, _: curation.overlaps(con),
            "Runs of words in documents whose 13-grams a registered benchmark holds.",
            code_version=str(versions["contamination"]),
            reads={BENCHMARKS: curation.BENCHMARKS},
            after=[BENCHMARKS] * registered,
        ),
    ]
    if lists:
        every.append(
            MeasuredTable(
                *LISTED_HERE,
                curation.LISTS,
                lambda con, _: curation.listed(con, lists),
                "How often entries of each list in recipes/lists stand in each document, or in its URL.",
                reads={"signals": curation.SIGNALS},
                after=["signals"] * any(recipe.kind == "words" for recipe in lists),
            )
        )
    return every


def _measured_once(
    table: str,
    schema: pa.Schema,
    function: Function,
    description: str,
    now: Mapping[str, int | str],
    *,
    gives: str = "",
) -> MeasuredTable:
    """A table with the rows that a function makes of every document, and again where a column has another value ``now``
    than its rows have.
    """
    name = " ".join(map(str, now.values()))

    def plan(_: Connection, tables: Mapping[str, Snapshot]) -> Measure:
        current = " AND ".join(f"{column} = {literal(str(value))}" for column, value in now.items())
        older = not now.keys() <= set(tables[table].schema.names)
        known = f"SELECT doc_id, {literal(name)} AS thing FROM repository.{table} WHERE {'false' if older else current}"
        return Measure(table, {name: ("text",)}, known, lambda _: function, gives=gives)

    return MeasuredTable(table, schema, plan, description, code_version=name)


def measure(
    repository: Repository,
    wanted: Sequence[MeasuredTable],
    *,
    run_id: str,
    memory_limit: str,
    commit_bytes: int = COMMIT_BYTES,
    threads: int = 1,
) -> dict[str, Added]:
    """Append to each table what its measure says of every document that it has no row of; by table what that was.

    Raises RecipeError for a list that cannot be read, Busy where another run has measured meanwhile.
    """
    before = {each.table: held(repository, each.table, each.schema) for each in wanted}
    read = {name: held(repository, name, schema) for each in wanted for name, schema in each.reads.items()} | before
    con = shared(memory_limit)
    attach_repository(con, [repository.snapshot("documents"), *read.values()])
    plans = [each.plan(con, {name: read[name] for name in (each.table, *each.reads)}) for each in wanted]
    first = [{each.table: [Found(each.first, 0, 0)]} for each in plans if each.first]
    with closing(curation.missing(con, plans, threads=threads)) as found:  # also where a write fails: con is shared
        parts = chain(first, in_parts(found, commit_bytes))
        return append_parts(repository, list(before.values()), parts, run_id=run_id)


def measures_asset(project: Project, suites: Suites, every: Sequence[MeasuredTable]) -> dg.AssetsDefinition:
    """The assets ``repository/<table>`` of these tables, each audited by its suite. Any may run without the others, and
    checks without their assets.
    """
    audits = {each.table: suites[f"repository.{each.table}"] for each in every}

    @dg.multi_asset(
        name="measure_documents",
        specs=[_spec(each) for each in every],
        check_specs=[spec for each in every for spec in check_specs(each.key, audits[each.table])],
        can_subset=True,
    )
    def _measured_documents(context: dg.AssetExecutionContext) -> Iterator[Event]:
        wanted = [each for each in every if each.key in context.selected_asset_keys]
        asked = context.selected_asset_check_keys
        if wanted:
            yield from _events(project, wanted, audits, asked=asked, run_id=context.run.run_id)
        for each in every:
            if each not in wanted and any(key.asset_key == each.key for key in asked):
                yield from _verdicts(project, each, audits, asked)

    return _measured_documents


def _spec(each: MeasuredTable) -> dg.AssetSpec:
    return dg.AssetSpec(
        each.key,
        deps=[dg.AssetKey(["repository", table]) for table in ("documents", *each.after)],
        group_name="curation",
        description=each.description,
        kinds={"deltalake", "numba"},
        owners=OWNERS,
        code_version=each.code_version,
        skippable=True,
    )


def _verdicts(
    project: Project, each: MeasuredTable, audits: Suites, asked: AbstractSet[dg.AssetCheckKey]
) -> list[dg.AssetCheckResult]:
    """The verdicts that are asked for of a table as it is."""
    found = audit(each.key, audits[each.table], Repository(project.root), memory_limit=project.memory_limit)
    return [verdict for verdict in found if dg.AssetCheckKey(each.key, str(verdict.check_name)) in asked]


def _events(
    project: Project,
    wanted: Sequence[MeasuredTable],
    audits: Suites,
    *,
    asked: AbstractSet[dg.AssetCheckKey],
    run_id: str,
) -> Iterator[Event]:
    """Materialisation and verdicts of each table."""
    repository, limit = Repository(project.root), project.memory_limit
    with metered(project, wanted[0].key.to_user_string(), run_id) as meter:
        cpu, wall = cpu_seconds(), time.perf_counter()
        added = measure(repository, wanted, run_id=run_id, memory_limit=limit, threads=project.threads)
        results = [_verdicts(project, each, audits, asked) for each in wanted]
        parts = _shared(list(added.values()), cpu_seconds() - cpu, time.perf_counter() - wall)
        meter.rows, meter.bytes_read = parts[0].rows, parts[0].bytes_read
        meter.parts |= {each.key.to_user_string(): part for each, part in zip(wanted[1:], parts[1:], strict=True)}
    for each, part, verdicts in zip(wanted, parts, results, strict=True):
        snapshot, cost = repository.snapshot(each.table), cost_metadata(part.cpu_s, part.wall_s, meter.rate)
        counts = {"new_rows": part.rows, "documents_measured": added[each.table].compared}
        yield dg.MaterializeResult(
            asset_key=each.key,
            metadata={**table_metadata(snapshot), **counts, **cost},
            data_version=dg.DataVersion(str(snapshot.version)),
            check_results=verdicts,
        )


def _shared(added: Sequence[Added], cpu_s: float, wall_s: float) -> list[Part]:
    """What the step took, shared as the seconds of the measures alone are, or equally where nothing was measured."""
    own = sum(each.cpu_s for each in added)
    shares = [each.cpu_s / own if own else 1 / len(added) for each in added]
    return [
        Part(share * cpu_s, share * wall_s, each.rows, each.bytes) for share, each in zip(shares, added, strict=True)
    ]

"""Documents measured for what was not measured of them yet: one step for all tables, so that a text is read once.

Each table is committed part by part, so what a killed run lacks the next one measures, of each table by itself.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import dagster as dg
import pyarrow as pa
from tqdm import tqdm

from pipelines.build import Event, Suites
from pipelines.contamination import contamination_asset
from pipelines.costs import Part, cost_metadata, cpu_seconds, metered
from pipelines.gates import audit, check_specs, table_metadata
from pipelines.ingest import OWNERS
from pipelines.pairs import pairs_asset
from pipelines.parts import held
from warehouse import curation
from warehouse.contracts import TEXT_ROWS, Snapshot, Words
from warehouse.curation import COMMIT_BYTES
from warehouse.engine import run_threads
from warehouse.project import Project
from warehouse.query import attach_repository, fetch_one, literal, shared, stream
from warehouse.repository import Repository

HELD_BYTES = 32 << 20
"""Rows held until they are committed, for short documents have as many bytes of them as of text. Four times as many
took 480 MB more of memory for 1 GB of text.
"""


@dataclass(frozen=True, slots=True)
class Measure:
    """A table with one row or more for each document, which ``function`` makes of a batch of doc_id and text.

    measured_as: columns and the values they have now; a document without a row of these is measured.
    """

    table: str
    schema: pa.Schema
    function: Callable[[pa.RecordBatch], pa.RecordBatch]
    description: str
    measured_as: Mapping[str, int | str]

    @property
    def key(self) -> dg.AssetKey:
        """Its asset."""
        return dg.AssetKey(["repository", self.table])


def measures(words: Words) -> list[Measure]:
    """What is measured of every document by itself; words: how its text is cut into words."""
    return [
        Measure(
            "signals",
            curation.SIGNALS,
            partial(curation.measure, words=words),
            "Statistics of every document that the rules of Gopher, C4 and FineWeb need, and its language.",
            {"version": curation.VERSIONS["signals"], "words_mode": words},
        ),
        Measure(
            "paragraphs",
            curation.PARAGRAPHS,
            curation.paragraphs,
            "Hash and length of every line of 20 bytes and more, for duplicates across documents.",
            {"version": curation.VERSIONS["paragraphs"]},
        ),
        Measure(
            "pii",
            curation.PII,
            curation.pii,
            "Where each document holds e-mail, phone, IP, card or account numbers; places, not the text.",
            {"version": curation.VERSIONS["pii"]},
        ),
        Measure(
            "minhash",
            curation.MINHASH,
            curation.minhash,
            "MinHash bands of every document, by which near duplicates meet.",
            {"version": curation.VERSIONS["minhash"]},
        ),
    ]


@dataclass(frozen=True, slots=True)
class Timed:
    """Rows that a measure made of so many bytes of text, in so many seconds of its thread."""

    rows: pa.RecordBatch
    bytes: int
    cpu_s: float


def measure(
    repository: Repository, wanted: Sequence[Measure], *, run_id: str, memory_limit: str, threads: int = 1
) -> dict[str, Part]:
    """Append to each table what its measure says of every document that it has no row of; by table what that took.

    The seconds are those of the measures alone. Raises Busy where another run has measured meanwhile.
    """
    before = [held(repository, each.table, each.schema) for each in wanted]
    at = {snapshot.table: snapshot.version for snapshot in before}
    took = {each.table: Part(0.0, 0.0, 0) for each in wanted}
    texts = _unmeasured(repository, wanted, before, memory_limit=memory_limit)
    measured = run_threads(partial(_measured, wanted=wanted), texts, threads=threads)
    with closing(texts), closing(measured):  # also where a write fails: the connection is shared
        for some in chain(_commits(measured), [[]]):  # the empty end makes the table, clears what a kill left in it
            for each in wanted:
                own = [found[each.table] for found in some]
                receipt = repository.append(
                    each.table,
                    (found.rows for found in own),
                    schema=each.schema,
                    source="curation",
                    run_id=run_id,
                    after=at[each.table],
                )
                at[each.table] = max(at[each.table], receipt.version)
                took[each.table] = _added(took[each.table], receipt.rows_out, own)
    return took


def _added(part: Part, rows: int, found: Sequence[Timed]) -> Part:
    cpu_s = part.cpu_s + sum(each.cpu_s for each in found)
    return Part(cpu_s, part.wall_s, part.rows + rows, part.bytes_read + sum(each.bytes for each in found))


def _measured(batch: pa.RecordBatch, wanted: Sequence[Measure]) -> dict[str, Timed]:
    """By table, what its measure finds in those texts of a batch that it lacks."""
    found = dict[str, Timed]()
    for each in wanted:
        began, lacking = time.thread_time(), batch[each.table]
        own = batch if lacking.true_count == batch.num_rows else batch.filter(lacking)
        rows = each.function(own.select(["doc_id", "text"]))
        found[each.table] = Timed(rows, own.nbytes, time.thread_time() - began)
    return found


def _commits(measured: Iterable[Mapping[str, Timed]]) -> Iterator[list[Mapping[str, Timed]]]:
    """What was found in runs of about COMMIT_BYTES of text, or of HELD_BYTES."""
    some, read, made = list[Mapping[str, Timed]](), 0, 0
    for found in measured:
        some.append(found)
        read += max(each.bytes for each in found.values())
        made += sum(each.rows.nbytes for each in found.values())
        if read >= COMMIT_BYTES or made >= HELD_BYTES:
            yield some
            some, read, made = [], 0, 0
    if some:
        yield some


def _unmeasured(
    repository: Repository, wanted: Sequence[Measure], before: Sequence[Snapshot], *, memory_limit: str
) -> Generator[pa.RecordBatch]:
    """doc_id and text of documents that a table lacks, each once however many facts there are of it, and by the names
    of the tables whether it lacks the document.
    """
    con = shared(memory_limit)
    attach_repository(con, [repository.snapshot("documents"), *(each for each in before if each.version >= 0)])
    lacks = ", ".join(_lacks(*pair) for pair in zip(wanted, before, strict=True))
    lacked = " OR ".join(each.table for each in wanted)
    first = "SELECT doc_id, min(known_at) AS known_at FROM repository.documents GROUP BY doc_id"
    con.execute(f"CREATE OR REPLACE TEMP TABLE unmeasured AS FROM (SELECT *, {lacks} FROM ({first})) WHERE {lacked}")
    total = fetch_one(con, "SELECT count(*) FROM unmeasured")
    with tqdm(total=total[0] if total else 0, desc="measure", unit="doc", disable=None, delay=2) as progress:
        sql = "SELECT unmeasured.*, text FROM repository.documents JOIN unmeasured USING (doc_id, known_at)"
        with stream(con, sql, batch_rows=TEXT_ROWS) as batches:
            for batch in batches:
                progress.update(batch.num_rows)
                yield batch
    con.execute("DROP TABLE unmeasured")


def _lacks(each: Measure, before: Snapshot) -> str:
    """Whether a table has no row of a document as it is measured now, under the table's name."""
    if before.version < 0 or not each.measured_as.keys() <= set(before.schema.names):
        return f"true AS {each.table}"
    current = " AND ".join(f"{column} = {literal(str(value))}" for column, value in each.measured_as.items())
    return f"doc_id NOT IN (SELECT doc_id FROM repository.{each.table} WHERE {current}) AS {each.table}"


def measures_asset(project: Project, suites: Suites) -> dg.AssetsDefinition:
    """The assets ``repository/<table>`` of all measures, each audited by its suite. Any may run without the others, and
    checks without their assets. Where the version of a measurement (curation.VERSIONS) is another, every document is
    measured again.
    """
    every = measures(project.words)
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


def _spec(each: Measure) -> dg.AssetSpec:
    return dg.AssetSpec(
        each.key,
        deps=[dg.AssetKey(["repository", "documents"])],
        group_name="curation",
        description=each.description,
        kinds={"deltalake", "numba"},
        owners=OWNERS,
        code_version=" ".join(map(str, each.measured_as.values())),
        skippable=True,
    )


def _verdicts(
    project: Project, each: Measure, audits: Suites, asked: AbstractSet[dg.AssetCheckKey]
) -> list[dg.AssetCheckResult]:
    """The verdicts that are asked for of a table as it is."""
    found = audit(each.key, audits[each.table], Repository(project.root), memory_limit=project.memory_limit)
    return [verdict for verdict in found if dg.AssetCheckKey(each.key, str(verdict.check_name)) in asked]


def _events(
    project: Project,
    wanted: Sequence[Measure],
    audits: Suites,
    *,
    asked: AbstractSet[dg.AssetCheckKey],
    run_id: str,
) -> Iterator[Event]:
    """Materialisation and verdicts of each table."""
    repository, limit = Repository(project.root), project.memory_limit
    with metered(project, wanted[0].key.to_user_string(), run_id) as meter:
        cpu, wall = cpu_seconds(), time.perf_counter()
        took = measure(repository, wanted, run_id=run_id, memory_limit=limit, threads=project.threads)
        results = [_verdicts(project, each, audits, asked) for each in wanted]
        parts = _shared(list(took.values()), cpu_seconds() - cpu, time.perf_counter() - wall)
        meter.rows, meter.bytes_read = parts[0].rows, parts[0].bytes_read
        meter.parts |= {each.key.to_user_string(): part for each, part in zip(wanted[1:], parts[1:], strict=True)}
    for each, part, verdicts in zip(wanted, parts, results, strict=True):
        snapshot = repository.snapshot(each.table)
        cost = cost_metadata(part.cpu_s, part.wall_s, meter.rate)
        yield dg.MaterializeResult(
            asset_key=each.key,
            metadata={**table_metadata(snapshot), "new_rows": part.rows, **cost},
            data_version=dg.DataVersion(str(snapshot.version)),
            check_results=verdicts,
        )


def _shared(parts: Sequence[Part], cpu_s: float, wall_s: float) -> list[Part]:
    """The parts with their share of what the step took: as that of their own seconds in all, or equal ones of none."""
    own = sum(part.cpu_s for part in parts)
    shares = [part.cpu_s / own if own else 1 / len(parts) for part in parts]
    return [
        replace(part, cpu_s=share * cpu_s, wall_s=share * wall_s) for part, share in zip(parts, shares, strict=True)
    ]


def curation_assets(project: Project, suites: Suites, *, registered: bool) -> list[dg.AssetsDefinition]:
    """Signals, paragraphs, personal data, MinHash bands, near pairs and benchmarks met of every document.

    registered: whether a source of the project is a benchmark.
    """
    return [
        measures_asset(project, suites),
        pairs_asset(project, suites["repository.pairs"]),
        contamination_asset(project, suites["repository.contamination"], registered=registered),
    ]

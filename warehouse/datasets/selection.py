"""Which documents a release holds: the recipe's SELECT, frozen with their facts in an order that SQL never decides.

Split, shard and order are seeded hashes (xxh3-64) of the cluster and of doc_id, so a document's place depends on
nothing but itself (of splits by time also on the times of all): one document more or less changes one shard. Won: equal
texts never lie in two splits. Lost: shares of splits and sizes of shards are met on average only. Memory: some 400
bytes a document.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from warehouse import query
from warehouse.contracts import TIMESTAMP, Snapshot
from warehouse.datasets.decontamination import Cleaned, with_cuts
from warehouse.datasets.lines import with_lines
from warehouse.datasets.masks import MASKED, with_masks
from warehouse.datasets.mixture import GROUPS, NO_GROUP
from warehouse.datasets.recipe import DatasetRecipe
from warehouse.datasets.shares import Shares, cumulated
from warehouse.datasets.texts import SAME_TEXT
from warehouse.datasets.timing import OF_DOCUMENTS, split_by_time, timed
from warehouse.errors import CheckFailed, NotFound, RecipeError

FROZEN = pa.schema(
    [
        ("doc_id", pa.string()),
        ("split", pa.string()),
        ("shard", pa.int32()),
        ("cluster", pa.string()),
        ("source", pa.string()),
        ("uri", pa.string()),
        ("record", pa.string()),
        ("object_sha256", pa.string()),
        ("content_hash", pa.string()),
        ("licence", pa.string()),
        ("language", pa.string()),
        ("known_at", TIMESTAMP),
        ("synthetic", pa.bool_()),
        ("generation", pa.int32()),
        ("bytes", pa.int64()),  # UTF-8 bytes of the text as it goes out
        ("masked", MASKED),  # spans of the stored text in order, and what stands in their place
    ]
)
OPTIONAL = pa.schema(
    [
        ("time", TIMESTAMP),  # where the recipe splits by it
        ("group", pa.string()),  # of the mixture
        ("copy", pa.int32()),  # 0 where a document goes out for the first time: with doc_id the key of a row
        ("trained_on", pa.bool_()),  # whether the tokenizer was trained on it
    ]
)
"""Columns of the frozen table that a recipe asks for, after those of FROZEN."""

# A text is known under the last facts of its doc_id: a licence stated later holds.
_FREEZE = """
WITH documents AS ({documents}),
facts AS (
    SELECT doc_id, source, uri, record, object_sha256, content_hash, licence, known_at, synthetic, generation,
           strlen(text) AS bytes, {cluster} AS own_cluster, published_at
    FROM documents
    SEMI JOIN selection USING (doc_id)
    QUALIFY row_number() OVER (PARTITION BY doc_id ORDER BY known_at DESC, object_sha256, receipt_id) = 1
)
SELECT facts.* EXCLUDE (own_cluster, published_at), CAST({given} AS VARCHAR) AS cluster,
       CAST({language} AS VARCHAR) AS language{asked}
FROM facts JOIN selection USING (doc_id)
"""


def select(recipe: DatasetRecipe, con: query.Connection) -> pa.Table:
    """What the recipe's SELECT gives: doc_id, cluster and language where it has them, what the recipe names; no row
    twice.

    Raises RecipeError for anything but one SELECT with doc_id, for null or repeated ids, for an empty selection, and
    for a column that the recipe names and the SELECT does not give.
    """
    table = run_select(con, recipe.select, at=recipe.at)
    if "doc_id" not in table.column_names:
        raise RecipeError(f"{recipe.at}: the select gives {', '.join(table.column_names)}", allowed="doc_id among them")
    if not table.num_rows:
        raise RecipeError(
            f"{recipe.at}: the select gives no document",
            do="run it with 'warehouse sql' and look which condition empties it",
        )
    ids = table["doc_id"].cast(pa.string())
    distinct = pc.count_distinct(ids, mode="only_valid").as_py()
    if distinct != table.num_rows:
        raise RecipeError(
            f"{recipe.at}: the select gives {table.num_rows} rows but {distinct} documents",
            allowed="each doc_id once, none null",
            do="add DISTINCT or the condition that was forgotten (a rule_set?)",
        )
    kept = [name for name in ("cluster", "language") if name in table.column_names]
    return pa.table({"doc_id": ids} | {name: table[name] for name in dict.fromkeys([*kept, *_named(recipe, table)])})


def _named(recipe: DatasetRecipe, table: pa.Table) -> list[str]:
    """The columns of the SELECT that other keys of the recipe name."""
    times = [recipe.time] if recipe.time and recipe.time not in OF_DOCUMENTS else []
    groups = [recipe.mixture.by] if recipe.mixture and recipe.mixture.by not in GROUPS else []
    for name in (*times, *groups):
        if name not in table.column_names:
            raise RecipeError(f"{recipe.at}: the select gives no {name}", allowed=", ".join(table.column_names))
    for name in times:
        if not pa.types.is_date(table[name].type) and not pa.types.is_timestamp(table[name].type):
            raise RecipeError(f"{recipe.at}: time {name} is {table[name].type}", allowed="a date or a timestamp")
    return [*times, *groups]


def run_select(con: query.Connection, sql: str, *, at: str) -> pa.Table:
    """What one SELECT gives. Raises RecipeError, which names ``at``, for anything else and for what DuckDB refuses."""
    try:
        statements = query.statements(sql)
        if len(statements) != 1 or statements[0].kind != "SELECT":
            kinds = ", ".join(statement.kind for statement in statements) or "nothing"
            raise RecipeError(f"{at}: the select holds {kinds}", allowed="one SELECT")
        return query.arrow(con, statements[0].sql)
    except query.Error as error:
        first = str(error).strip().splitlines()[0]
        raise RecipeError(f"{at}: {first}", do="try the select in 'warehouse sql'") from None


def freeze(
    recipe: DatasetRecipe,
    cleaned: Cleaned,
    con: query.Connection,
    documents: Snapshot,
    spans: Snapshot | None = None,
) -> pa.Table:
    """What may go out, with its facts, split, shard and order (FROZEN, OPTIONAL), by split, shard, seeded hash.

    spans: the table pii, where the recipe masks. Raises NotFound if a selected document is not in ``documents``, or was
    not searched for what is to be masked, RecipeError for one without the time that the recipe splits by, CheckFailed
    for one that is further from real text than the recipe allows.
    """
    selection = cleaned.selection
    facts = _facts(recipe, selection, con, documents)
    if facts.num_rows != selection.num_rows:
        raise NotFound(
            f"{selection.num_rows - facts.num_rows} of {selection.num_rows} selected documents are not in "
            f"{documents.table} at version {documents.version}",
            do="publish again, so that the snapshot and the repository are of one run",
        )
    _refuse_generations(recipe, facts)
    cut = with_cuts(with_masks(recipe, facts, con, spans), cleaned.spans)
    return arranged(recipe, timed(recipe, with_lines(cut, cleaned.edits)))


def _facts(recipe: DatasetRecipe, selection: pa.Table, con: query.Connection, documents: Snapshot) -> pa.Table:
    given = "selection.cluster" if "cluster" in selection.column_names else "facts.own_cluster"
    language = "selection.language" if "language" in selection.column_names else "NULL"
    private = con.cursor()  # names registered on it are its own
    private.register("selection", selection)
    relation = query.relation_sql(private, documents)
    try:
        return query.arrow(
            private,
            _FREEZE.format(
                documents=relation,
                cluster=recipe.cluster or SAME_TEXT,
                given=given,
                language=language,
                asked=_asked(recipe),
            ),
        )
    except query.Error as error:
        first = str(error).strip().splitlines()[0]
        raise RecipeError(f"{recipe.at}: cluster {recipe.cluster!r}: {first}", allowed="SQL over documents") from None
    finally:
        private.close()


def _asked(recipe: DatasetRecipe) -> str:
    """The columns of OPTIONAL that the recipe wants, as SQL."""
    asked = []
    if recipe.time:
        held = "facts" if recipe.time in OF_DOCUMENTS else "selection"
        asked.append(f", CAST({held}.{query.quoted(recipe.time)} AS TIMESTAMPTZ) AS time")
    if recipe.mixture:
        held = "facts" if recipe.mixture.by in GROUPS else "selection"
        by = f"CAST({held}.{query.quoted(recipe.mixture.by)} AS VARCHAR)"
        asked.append(f", coalesce({by}, {query.literal(NO_GROUP)}) AS {query.quoted('group')}")
    return "".join(asked)


def _refuse_generations(recipe: DatasetRecipe, facts: pa.Table) -> None:
    """Raise CheckFailed for a document that is further from real text than max_generation."""
    deep = facts.filter(pc.greater(facts["generation"], recipe.max_generation))
    if deep.num_rows:
        generation, source = deep["generation"][0], deep["source"][0]
        raise CheckFailed(
            f"{deep.num_rows:,} of {facts.num_rows:,} selected documents are of a generation above "
            f"{recipe.max_generation}, such as {ids(deep)[0]} of {source}, which is of {generation}",
            allowed=f"max_generation of {recipe.max_generation}: 0 for real text, 1 for text made of it",
            do="leave them out in the select",
        )


def check_synthetic(recipe: DatasetRecipe, facts: pa.Table) -> None:
    """Raise CheckFailed if more than max_synthetic_share of the text bytes that go out are synthetic."""
    share = synthetic_share(facts)
    if share > recipe.max_synthetic_share:
        raise CheckFailed(
            f"{share:.1%} of the text that goes out is synthetic "
            f"({synthetic_bytes(facts):,} of {_total(facts):,} bytes)",
            allowed=f"max_synthetic_share of {recipe.max_synthetic_share:.1%}",
            do="select more real documents or fewer synthetic ones",
            share=share,
        )


def synthetic_bytes(facts: pa.Table) -> int:
    """Text bytes of synthetic documents."""
    return int(pc.sum(facts["bytes"].filter(pc.fill_null(facts["synthetic"], False))).as_py() or 0)


def synthetic_share(facts: pa.Table) -> float:
    """Their share of all text bytes; 0 for no text."""
    return synthetic_bytes(facts) / max(_total(facts), 1)


def _total(facts: pa.Table) -> int:
    return int(pc.sum(facts["bytes"]).as_py() or 0)


def arranged(recipe: DatasetRecipe, facts: pa.Table, schema: pa.Schema | None = None) -> pa.Table:
    """``facts`` with split and shard as ``schema`` (None: that of frozen documents), in the order of the release."""
    clusters = facts["cluster"].to_pylist() if facts.num_rows else []
    named = [cluster if cluster is not None else doc for cluster, doc in zip(clusters, ids(facts), strict=True)]
    split = (
        split_by_time(recipe, named, facts["time"])
        if recipe.time
        else split_of(recipe.splits, hashes("split", recipe.seed, named))
    )
    shard = (hashes("shard", recipe.seed, named) % np.uint64(recipe.shards)).astype(np.int32)
    place = np.lexsort((hashes("order", recipe.seed, ids(facts)), shard, split))
    names = np.array([name for name, _ in recipe.splits], dtype=object)
    columns = {"split": pa.array(names[split], pa.string()), "shard": shard, "cluster": pa.array(named, pa.string())}
    table = pa.table({**{name: facts[name] for name in facts.column_names}, **columns})
    schema = schema or frozen_schema(table.column_names)
    return table.select(schema.names).cast(schema).take(place)


def frozen_schema(names: Collection[str]) -> pa.Schema:
    """FROZEN, and of OPTIONAL the columns that are among ``names``."""
    return pa.schema([*FROZEN, *(each for each in OPTIONAL if each.name in names)])


def ids(table: pa.Table) -> list[str]:
    """The doc_id column."""
    return list(table["doc_id"].to_pylist())


def hashes(purpose: str, seed: int, values: list[str]) -> npt.NDArray[np.uint64]:
    """xxh3-64 of each value, under a seed of its own for each purpose."""
    key = xxhash.xxh3_64_intdigest(f"{purpose}/{seed}".encode())
    return np.array([xxhash.xxh3_64_intdigest(value.encode(), key) for value in values], dtype=np.uint64)


def split_of(splits: Shares, hashed: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """The number of the split of each cluster: its hash against the cumulated shares of 2^64."""
    ends = cumulated(splits, 1 << 64)
    bounds = np.array([min(end, (1 << 64) - 1) for end in ends], dtype=np.uint64)
    return np.searchsorted(bounds, hashed, side="right").astype(np.int64)

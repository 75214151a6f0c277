"""Scores by models that are trained here: which texts a recipe trains on and holds out, and the scores of documents.

Of the texts that a recipe's SELECTs choose each counts once, whatever documents hold it, in an order of its own hash
and the seed: so a model is the same however documents came, and no text that is held out was trained on. A document
has a score of each recipe by its newest model; a new model scores all documents again, one that is there none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from warehouse.contracts import TIMESTAMP, digest
from warehouse.curation.measure import doc_ids, require, sliced
from warehouse.curation.pending import Measure, versions
from warehouse.curation.score_models import Buckets, Model, auc, features, fit_classifier, fit_perplexity, scores
from warehouse.curation.score_recipe import ScoreRecipe
from warehouse.errors import CheckFailed
from warehouse.query import Connection, fetch_all, refusals, stream

TRAINED_CHARS = 1 << 16
"""Of each text, from its beginning, when models are trained and measured; documents are scored whole."""

SCORES = pa.schema(
    [
        ("doc_id", pa.string()),
        ("name", pa.string()),  # of the recipe
        ("version", pa.int32()),  # of its model
        ("score", pa.float64()),  # null where the text has no word
    ]
)
SCORE_MODELS = pa.schema(
    [
        ("name", pa.string()),
        ("version", pa.int32()),  # 1, 2, 3... of the name
        ("kind", pa.string()),
        ("model", pa.string()),  # sha256 of its bytes in the archive
        ("recipe", pa.string()),  # ScoreRecipe.fingerprint
        ("inputs", pa.string()),  # JSON: version of each repository table that the SELECTs read, id of the release
        ("texts", pa.string()),  # digest of the texts that it was trained on, with their labels, in order
        ("documents", pa.int64()),  # trained on
        ("held_out", pa.int64()),
        ("measure", pa.string()),  # auc or bits_per_word, of the texts held out
        ("value", pa.float64()),
        ("known_at", TIMESTAMP),
        ("receipt_id", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Trained:
    """A model with the digest of the texts it was trained on, their number, that of those held out, and the measure of
    these: AUC, or bits a word.
    """

    model: Model
    texts: str
    documents: int
    held_out: int
    value: float


@dataclass(frozen=True, slots=True)
class _Text:
    """A text that a SELECT chose: one document that has it, that one's source, its bytes and its place in the order."""

    key: str
    doc_id: str
    source: str
    label: int
    bytes: int


def train(con: Connection, recipe: ScoreRecipe) -> Trained | str:
    """The model of a recipe, or which texts are missing for one.

    ``con`` has repository.documents and all that the SELECTs read. Raises RecipeError for a SELECT that DuckDB refuses,
    CheckFailed for a text that is both positive and negative.
    """
    every = _chosen(con, recipe)
    trained, held = ([text for text in every if _held_out(text, recipe) == out] for out in (False, True))
    for name, part in (("to train on", trained), ("held out", held)):
        for label, select in enumerate(recipe.selects):
            if not any(text.label == label for text in part):
                return f"{select} has no text {name}"
    trained, held = ([text for label in (0, 1) for text in _within(part, label, recipe)] for part in (trained, held))
    trained.sort(key=lambda text: text.key)
    given = _features(con, trained, recipe)
    labels = [text.label for text in trained]
    if recipe.kind == "classifier":
        model = fit_classifier(given, labels, bits=recipe.bits, seed=recipe.seed)
    else:
        model = fit_perplexity(given, bits=recipe.bits)
    told = digest(*(f"{text.key} {text.label}" for text in trained))
    return Trained(model, told, len(trained), len(held), _measured(con, held, model))


_CHOSEN = """
CREATE OR REPLACE TEMP TABLE chosen AS
WITH labelled AS ({labelled})
SELECT
    documents.content_hash,
    min(documents.doc_id) AS doc_id,
    arg_min(documents.source, documents.doc_id) AS source,
    min(labelled.label) AS label,
    max(labelled.label) AS other,
    max(strlen(documents.text)) AS bytes
FROM repository.documents
JOIN labelled ON documents.doc_id = labelled.doc_id
WHERE $synthetic OR NOT coalesce(documents.synthetic, false)
GROUP BY documents.content_hash
"""


def _chosen(con: Connection, recipe: ScoreRecipe) -> list[_Text]:
    """The texts of a recipe in their order."""
    for label, (name, select) in enumerate(recipe.selects.items()):
        with refusals(recipe.at(name)):
            con.execute(f"CREATE OR REPLACE TEMP TABLE selected_{label} AS SELECT doc_id FROM (\n{select}\n)")
    labelled = " UNION ALL ".join(
        f"SELECT *, {label} AS label FROM selected_{label}" for label in range(len(recipe.selects))
    )
    con.execute(_CHOSEN.format(labelled=labelled), {"synthetic": recipe.synthetic})
    both = fetch_all(con, "SELECT count(*), min(doc_id) FROM chosen WHERE label <> other")[0]
    if both[0]:
        raise CheckFailed(
            f"{both[0]:,} texts are positive and negative in {recipe.path}, {both[1]} among them",
            allowed="a text in one of the two",
            do="make the SELECTs differ",
        )
    rows = fetch_all(con, "SELECT content_hash, doc_id, source, label, bytes FROM chosen")
    return sorted((_Text(digest(str(recipe.seed), key), *rest) for key, *rest in rows), key=lambda text: text.key)


def _held_out(text: _Text, recipe: ScoreRecipe) -> bool:
    """By its source where sources are named, else by a hash of its own."""
    if isinstance(recipe.held_out, tuple):
        return text.source in recipe.held_out
    return int(digest("held_out", text.key), 16) < recipe.held_out * (1 << 128)


def _within(part: Sequence[_Text], label: int, recipe: ScoreRecipe) -> Iterator[_Text]:
    """Those of a label that the limits let in, the first whatever its size."""
    size = count = 0
    for text in part:
        if text.label == label:
            size, count = size + min(text.bytes, TRAINED_CHARS), count + 1
            if count > 1 and (size > recipe.max_bytes or count > recipe.max_documents):
                return
            yield text


def _batches(con: Connection, part: Sequence[_Text]) -> Iterator[pa.RecordBatch]:
    """place (in ``part``) and the beginning of the text, each once, in any order."""
    ids = pa.table({"doc_id": [text.doc_id for text in part], "place": np.arange(len(part))})
    con.register("training_texts", ids)
    sql = f"""
        SELECT place, any_value(left(text, {TRAINED_CHARS})) AS text
        FROM repository.documents JOIN training_texts USING (doc_id) GROUP BY place"""
    yield from stream(con, sql, batch_rows=2048)


def _features(con: Connection, part: Sequence[_Text], recipe: ScoreRecipe) -> list[Buckets]:
    found: dict[int, Buckets] = {}
    for batch in _batches(con, part):
        own = features(batch["text"], recipe.kind, bits=recipe.bits)
        found.update(zip(batch["place"].to_pylist(), own, strict=True))
    return [found[place] for place in range(len(part))]


def _measured(con: Connection, held: Sequence[_Text], model: Model) -> float:
    """AUC, or bits a word, of texts that the model was not trained on."""
    found = np.empty(len(held))
    words = np.zeros(len(held), np.int64)
    for batch in _batches(con, held):
        place = batch["place"].to_numpy()
        found[place] = scores(batch["text"], [model])[0]
        words[place] = [part.size for part in features(batch["text"], "perplexity", bits=model.bits)]
    if model.kind == "classifier":
        return round(auc(np.nan_to_num(found), [text.label for text in held]), 6)
    return round(float((np.log2(found) * words)[words > 0].sum() / max(words.sum(), 1)), 6)


def scored(models: Mapping[str, tuple[int, Model]]) -> Measure:
    """Every document scored by every model. models: version and model of each name."""
    now = versions({name: version for name, (version, _) in models.items()})
    return Measure(
        "scores",
        dict.fromkeys(models, ("text",)),
        f"SELECT doc_id, name AS thing FROM repository.scores WHERE (name, version) IN ({now})",
        lambda names: partial(score, models={name: models[name] for name in names}),
    )


def score(batch: pa.RecordBatch, models: Mapping[str, tuple[int, Model]]) -> pa.RecordBatch:
    """Rows of SCORES: of each model in order of name, every document of a batch. Takes what ``measure`` takes.

    models: version and model of each name.
    """
    require(batch)
    return sliced(batch, lambda part: _rows(part, models))


def _rows(batch: pa.RecordBatch, models: Mapping[str, tuple[int, Model]]) -> pa.RecordBatch:
    named, rows = sorted(models.items()), batch.num_rows
    found = np.concatenate(scores(batch["text"], [model for _, (_, model) in named]))
    columns = [
        pa.concat_arrays([doc_ids(batch)] * len(named)),
        pa.array(np.repeat([name for name, _ in named], rows), pa.string()),
        pa.array(np.repeat([version for _, (version, _) in named], rows), pa.int32()),
        pa.array(found, mask=np.isnan(found)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCORES)

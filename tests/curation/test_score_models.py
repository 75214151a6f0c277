"""Scores, training and AUC against plain Python; a recipe is refused at its line."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.curation import Model, load_score, score, score_models
from warehouse.curation.score_models import UNIT, auc, features, fit_classifier, fit_perplexity, scores
from warehouse.engine import run_threads
from warehouse.errors import RecipeError
from warehouse.kernels.folded import hashes
from warehouse.kernels.texts import texts

BITS, MASK = 10, (1 << 64) - 1
WORDS = st.sampled_from(["the", "The", "spam", "9", "日本", "x_y", "e\u0301"])
TEXTS = st.lists(st.one_of(st.none(), st.lists(WORDS, max_size=12).map(", ".join)), min_size=1, max_size=8)
DRAW = np.random.Generator(np.random.PCG64(3))
WEIGHTS = DRAW.integers(-5 * UNIT, 5 * UNIT, 1 << BITS).astype(np.int32)
MODELS = [Model("classifier", BITS, 7_000, WEIGHTS), Model("perplexity", BITS, 0, abs(WEIGHTS))]


def reference(words: list[str], model: Model) -> float:
    """The score of a text of these words by its definition."""
    keys = [int(hashes(texts(pa.array([word])))[0][0]) & MASK for word in words]
    pairs = [(a * 0x9E3779B97F4A7C15 + b) * 0xD6E8FEB86659FD93 & MASK for a, b in pairwise(keys)]
    grams = keys + pairs if model.kind == "classifier" else keys
    if not grams:
        return math.nan
    mean = sum(int(model.weights[gram >> 64 - model.bits]) for gram in grams) / len(grams) / UNIT
    return 1 / (1 + math.exp(-mean - model.bias / UNIT)) if model.kind == "classifier" else 2**mean


@settings(max_examples=40, deadline=None)
@given(TEXTS, st.integers(0, 3), st.integers(1, 3))
def test_scores_are_those_of_the_definition_whatever_the_slice_or_the_threads(
    some: list[str | None], skip: int, threads: int
) -> None:
    column = pa.array(some, pa.string()).slice(skip)
    cut = [[word for word in (text or "").split(", ") if word] for text in some[skip:]]
    wanted = [[reference(words, model) for words in cut] for model in MODELS]
    for found, own in zip(scores(column, MODELS), wanted, strict=True):
        np.testing.assert_allclose(found, own, rtol=0, atol=5.1e-7)
    batch = pa.RecordBatch.from_arrays(
        [pa.array(map(str, range(len(column))), pa.string()), column], ["doc_id", "text"]
    )
    named = {name: (at, model) for at, (name, model) in enumerate(zip("ab", MODELS, strict=True))}
    parts = run_threads(partial(score, models=named), [batch.slice(0, 1), batch.slice(1)], threads=threads)
    rows = [row for part in parts for row in part.to_pylist()]
    rows = sorted(rows, key=lambda row: (row["name"], int(row["doc_id"])))
    assert [row["version"] for row in rows] == [0] * len(column) + [1] * len(column)
    told = [math.nan if row["score"] is None else row["score"] for row in rows]
    np.testing.assert_array_equal(told, np.concatenate(scores(column, MODELS)))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=2).filter(
        lambda rows: 0 < sum(y for _, y in rows) < len(rows)
    )
)
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool]]) -> None:
    pairs = [(a > b) + (a == b) / 2 for a, y in rows for b, z in rows if y and not z]
    found = auc(np.array([float(value) for value, _ in rows]), [int(label) for _, label in rows])
    assert found == pytest.approx(sum(pairs) / len(pairs))


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    batch = features(pa.array(["a b b c", "c d", ""]), "classifier", bits=BITS)
    label, share = np.array([1.0, 0.0, 1.0]), np.array([0.25, 0.5, 0.25])
    weights = DRAW.normal(size=(1 << BITS) + 1)

    def loss(moved: np.ndarray) -> float:
        means = np.array([moved[part].mean() if part.size else 0 for part in batch]) + moved[-1]
        return float(share @ np.log(1 + np.exp(-means * (2 * label - 1))))

    found = score_models._gradient(batch, label, share, weights)
    for place in (*np.unique(np.concatenate(batch)), -1):
        step = np.zeros(weights.size)
        step[place] = 1e-4
        assert found[place] == pytest.approx((loss(weights + step) - loss(weights - step)) / 2e-4, abs=1e-6)
    assert np.count_nonzero(found) == np.unique(np.concatenate(batch)).size + 1


def test_a_classifier_tells_texts_it_has_not_seen_by_their_words_and_has_the_same_bytes_again() -> None:
    good, bad = (np.array([f"w{at}" for at in range(low, low + 60)]) for low in (0, 30))
    some = [" ".join(DRAW.choice(words, 30)) for _ in range(150) for words in (good, bad)]
    given_ = features(pa.array(some), "classifier", bits=BITS)
    labels = [1, 0] * 150
    first, again = (fit_classifier(given_[:200], labels[:200], bits=BITS, seed=1) for _ in range(2))
    assert (
        first.to_bytes() == again.to_bytes()
        and first.to_bytes() != fit_classifier(given_[:200], labels[:200], bits=BITS, seed=2).to_bytes()
    )
    assert auc(scores(pa.array(some[200:]), [first])[0], labels[200:]) > 0.95
    kept = Model.of_bytes(first.to_bytes())
    assert (kept.kind, kept.bits, kept.bias) == (first.kind, first.bits, first.bias)
    np.testing.assert_array_equal(kept.weights, first.weights)


def test_a_perplexity_has_the_chances_of_its_counts_which_add_up_to_one() -> None:
    model = fit_perplexity(features(pa.array(["a a b", "A, c"]), "perplexity", bits=BITS), bits=BITS)
    assert np.exp2(-model.weights / UNIT).sum() == pytest.approx(1, abs=1e-4)
    seen, never = scores(pa.array(["a", "never"]), [model])[0]
    whole = 5 + (1 << BITS) / 2
    assert (seen, never) == (pytest.approx(whole / 3.5, rel=1e-4), pytest.approx(whole / 0.5, rel=1e-4))


GOOD = "kind: classifier\npositive: SELECT 1\nnegative: SELECT 2\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("positive: SELECT 1\n", ":1: no kind. Allowed: classifier, perplexity"),
        ("kind: tree\n", ":1: kind is 'tree'"),
        ("kind: classifier\npositive: SELECT 1\n", ":1: no negative"),
        ("kind: perplexity\ntrain: SELECT 1\npositive: SELECT 1\n", ":3: unknown key 'positive'"),
        ("kind: perplexity\ntrain: SELECT 1\nmin_auc: 0.9\n", ":3: unknown key 'min_auc'"),
        (GOOD + "bits: 9\n", ":4: bits is 9. Allowed: a whole number from 10 to 24"),
        (GOOD + "held_out: 0.9\n", ":4: held_out is 0.9. Allowed: a number, 0.01 to 0.5"),
        (GOOD + "held_out: []\n", ":4: held_out is []. Allowed: a list of names"),
        (GOOD + "synthetic: 1\n", ":4: synthetic is 1. Allowed: true, false"),
        (GOOD + "min_auc: true\n", ":4: min_auc is True. Allowed: a number, 0.5 to 1"),
        (GOOD + "rounds: 2\n", ":4: unknown key 'rounds'. Allowed: kind"),
    ],
)
def test_a_recipe_that_is_wrong_is_refused_at_its_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "quality.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_score(path)
    assert str(caught.value).startswith(f"{path}{said}")


def test_what_a_model_is_made_of_is_in_its_fingerprint_and_a_description_is_not(tmp_path: Path) -> None:
    path, found = tmp_path / "quality.yaml", []
    for more in (
        "",
        "description: some\nmin_auc: 0.9\n",
        "round: 2\n",
        "seed: 1\n",
        "held_out: [a]\n",
        "synthetic: true\n",
    ):
        path.write_text(GOOD + more)
        found.append(load_score(path).fingerprint)
    assert found[0] == found[1] and len(set(found)) == 5

"""Curation measures documents and drops none: signals, language, paragraphs, personal data, near pairs, benchmarks met.

``measure``, ``paragraphs``, ``pii`` and ``minhash`` take a record batch of doc_id and text and give one of
SIGNALS, PARAGRAPHS, PII or MINHASH; ``overlaps`` compares documents with benchmarks, ``listed`` searches them by
lists, ``scored`` scores them by models that ``train`` makes of recipes; ``missing`` is what tables lack of all these.
``pairs`` compares what shares a band. sql/curation decides from them.
"""

from warehouse.curation.contamination import BENCHMARKS, CONTAMINATION, CONTAMINATION_VERSION, overlaps, searcher
from warehouse.curation.duplicates import MINHASH, MINHASH_VERSION, PAIRS, READ_BYTES, minhash, pairs
from warehouse.curation.list_recipe import ListRecipe, load_list
from warehouse.curation.lists import LISTS, listed
from warehouse.curation.measure import Found, measure, paragraphs, pii
from warehouse.curation.pending import Function, Measure, missing
from warehouse.curation.pii import PII, PII_VERSION
from warehouse.curation.score_models import Model
from warehouse.curation.score_recipe import RELEASE, ScoreRecipe, load_score
from warehouse.curation.scores import SCORE_MODELS, SCORES, Trained, score, scored, train
from warehouse.curation.signals import MEANING, PARAGRAPHS, PARAGRAPHS_VERSION, SIGNALS, SIGNALS_VERSION

VERSIONS = {
    "signals": SIGNALS_VERSION,
    "paragraphs": PARAGRAPHS_VERSION,
    "pii": PII_VERSION,
    "minhash": MINHASH_VERSION,
    "contamination": CONTAMINATION_VERSION,
}
"""By table, what measured it; a table with a version measures every document again when it rises."""

__all__ = [
    "BENCHMARKS",
    "CONTAMINATION",
    "CONTAMINATION_VERSION",
    "LISTS",
    "MEANING",
    "MINHASH",
    "MINHASH_VERSION",
    "PAIRS",
    "PARAGRAPHS",
    "PARAGRAPHS_VERSION",
    "PII",
    "PII_VERSION",
    "READ_BYTES",
    "RELEASE",
    "SCORES",
    "SCORE_MODELS",
    "SIGNALS",
    "SIGNALS_VERSION",
    "VERSIONS",
    "Found",
    "Function",
    "ListRecipe",
    "Measure",
    "Model",
    "ScoreRecipe",
    "Trained",
    "listed",
    "load_list",
    "load_score",
    "measure",
    "minhash",
    "missing",
    "overlaps",
    "pairs",
    "paragraphs",
    "pii",
    "score",
    "scored",
    "searcher",
    "train",
]

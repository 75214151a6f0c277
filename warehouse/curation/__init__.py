"""Curation measures documents and drops none: signals, language, hashes of paragraphs, MinHash bands, near pairs.

``measure``, ``paragraphs`` and ``minhash`` take a record batch with the columns doc_id and text and give one of
SIGNALS, PARAGRAPHS or MINHASH; ``pairs`` compares what shares a band. The rules are SQL: sql/curation decides.
"""

from warehouse.curation.duplicates import MINHASH, MINHASH_VERSION, PAIRS, READ_BYTES, Found, minhash, pairs
from warehouse.curation.measure import measure, paragraphs
from warehouse.curation.signals import MEANING, PARAGRAPHS, SIGNALS, SIGNALS_VERSION

VERSIONS = {"signals": SIGNALS_VERSION, "minhash": MINHASH_VERSION}
"""By table, what measured it; a table with a version measures every document again when it rises."""

__all__ = [
    "MEANING",
    "MINHASH",
    "MINHASH_VERSION",
    "PAIRS",
    "PARAGRAPHS",
    "READ_BYTES",
    "SIGNALS",
    "SIGNALS_VERSION",
    "VERSIONS",
    "Found",
    "measure",
    "minhash",
    "pairs",
    "paragraphs",
]

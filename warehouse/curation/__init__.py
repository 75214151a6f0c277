"""Curation measures documents and drops none: signals, language, paragraphs, personal data, MinHash bands, near pairs.

``measure``, ``paragraphs``, ``pii`` and ``minhash`` take a record batch of doc_id and text and give one of
SIGNALS, PARAGRAPHS, PII or MINHASH; ``pairs`` compares what shares a band. sql/curation decides from them.
"""

from warehouse.curation.duplicates import MINHASH, MINHASH_VERSION, PAIRS, READ_BYTES, Found, minhash, pairs
from warehouse.curation.measure import measure, paragraphs, pii
from warehouse.curation.pii import PII, PII_VERSION
from warehouse.curation.signals import MEANING, PARAGRAPHS, SIGNALS, SIGNALS_VERSION

VERSIONS = {"signals": SIGNALS_VERSION, "pii": PII_VERSION, "minhash": MINHASH_VERSION}
"""By table, what measured it; a table with a version measures every document again when it rises."""

__all__ = [
    "MEANING",
    "MINHASH",
    "MINHASH_VERSION",
    "PAIRS",
    "PARAGRAPHS",
    "PII",
    "PII_VERSION",
    "READ_BYTES",
    "SIGNALS",
    "SIGNALS_VERSION",
    "VERSIONS",
    "Found",
    "measure",
    "minhash",
    "pairs",
    "paragraphs",
    "pii",
]

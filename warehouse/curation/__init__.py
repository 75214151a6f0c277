"""Curation measures documents and drops none: signals, language, hashes of paragraphs, personal data. Rules are SQL.

``measure``, ``paragraphs`` and ``pii`` take a record batch with the columns doc_id and text and give one of SIGNALS, of
PARAGRAPHS or of PII; sql/curation decides from them.
"""

from warehouse.curation.measure import measure, paragraphs, pii
from warehouse.curation.pii import PII, PII_VERSION
from warehouse.curation.signals import MEANING, PARAGRAPHS, SIGNALS, SIGNALS_VERSION

__all__ = ["MEANING", "PARAGRAPHS", "PII", "PII_VERSION", "SIGNALS", "SIGNALS_VERSION", "measure", "paragraphs", "pii"]

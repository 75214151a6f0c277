"""Curation measures documents and drops none: signals, language, hashes of paragraphs. The rules are SQL.

``measure`` and ``paragraphs`` take a record batch with the columns doc_id and text and give one of SIGNALS or of
PARAGRAPHS; sql/curation decides from them.
"""

from warehouse.curation.measure import measure, paragraphs
from warehouse.curation.signals import MEANING, PARAGRAPHS, SIGNALS, SIGNALS_VERSION

__all__ = ["MEANING", "PARAGRAPHS", "SIGNALS", "SIGNALS_VERSION", "measure", "paragraphs"]

"""Sources: bytes in, Arrow record batches out, and a Reject for every record that cannot be read.

``load_source`` reads a recipe, ``locate`` finds its objects, ``read`` turns one object's bytes into batches and
Rejects.
"""

from warehouse.sources.guard import guarded
from warehouse.sources.locate import Located, locate, plan_known_at
from warehouse.sources.parsing import closing_parser
from warehouse.sources.reading import READERS, UNSTRUCTURED, guess_reader, read, reader_id, sniff_table
from warehouse.sources.recipe import Column, Dialect, Environment, KnownAt, Limits, Source, dump_source, load_source

__all__ = [
    "READERS",
    "UNSTRUCTURED",
    "Column",
    "Dialect",
    "Environment",
    "KnownAt",
    "Limits",
    "Located",
    "Source",
    "closing_parser",
    "dump_source",
    "guarded",
    "guess_reader",
    "load_source",
    "locate",
    "plan_known_at",
    "read",
    "reader_id",
    "sniff_table",
]

"""Sources: bytes in, Arrow record batches out, and a Reject for every record that cannot be read.

``load_source`` reads a recipe, ``locate`` finds its objects, ``read`` turns one object's bytes into batches and
Rejects.
"""

from warehouse.sources.ahead import Readers
from warehouse.sources.buckets import told
from warehouse.sources.cutting import CUT, cut
from warehouse.sources.databases import answered
from warehouse.sources.growth import Rest, fits, read_rest, recipe_digest, rest
from warehouse.sources.guard import guarded
from warehouse.sources.http import fetched, not_fetched
from warehouse.sources.inbox import arrivals
from warehouse.sources.locate import Located, locate, plan_known_at
from warehouse.sources.names import Names
from warehouse.sources.object_store import stored
from warehouse.sources.packages import PACKAGE
from warehouse.sources.packages import licence as package_licence
from warehouse.sources.parsing import closing_parser
from warehouse.sources.partitions import first_day, partition_of
from warehouse.sources.reading import READERS, UNSTRUCTURED, guess_reader, read, reader_id, sniff_table
from warehouse.sources.recipe import (
    BENCHMARKS,
    LISTED_HERE,
    SCORED_HERE,
    WRITTEN_HERE,
    Column,
    Database,
    DeltaStart,
    Dialect,
    Environment,
    Http,
    KnownAt,
    Limits,
    Partitions,
    Source,
    dump_source,
    load_source,
)
from warehouse.sources.tables import read_batches

__all__ = [
    "BENCHMARKS",
    "CUT",
    "LISTED_HERE",
    "PACKAGE",
    "READERS",
    "SCORED_HERE",
    "UNSTRUCTURED",
    "WRITTEN_HERE",
    "Column",
    "Database",
    "DeltaStart",
    "Dialect",
    "Environment",
    "Http",
    "KnownAt",
    "Limits",
    "Located",
    "Names",
    "Partitions",
    "Readers",
    "Rest",
    "Source",
    "answered",
    "arrivals",
    "closing_parser",
    "cut",
    "dump_source",
    "fetched",
    "first_day",
    "fits",
    "guarded",
    "guess_reader",
    "load_source",
    "locate",
    "not_fetched",
    "package_licence",
    "partition_of",
    "plan_known_at",
    "read",
    "read_batches",
    "read_rest",
    "reader_id",
    "recipe_digest",
    "rest",
    "sniff_table",
    "stored",
    "told",
]

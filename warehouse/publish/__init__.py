"""What analysts read: immutable database files, switched whole, readable while the pipeline writes."""

from warehouse.publish.meta import checks, snapshots, write_meta
from warehouse.publish.reading import connect_current, connect_file, generation_of, only_reads
from warehouse.publish.switching import (
    CURRENT,
    KEEP,
    Published,
    building,
    current,
    discard,
    generations,
    pinned,
    publish,
    refuse_failed,
    remove_before,
    storage_errors,
)

__all__ = [
    "CURRENT",
    "KEEP",
    "Published",
    "building",
    "checks",
    "connect_current",
    "connect_file",
    "current",
    "discard",
    "generation_of",
    "generations",
    "only_reads",
    "pinned",
    "publish",
    "refuse_failed",
    "remove_before",
    "snapshots",
    "storage_errors",
    "write_meta",
]

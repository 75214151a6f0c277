"""What analysts read: immutable database files, switched whole, readable while the pipeline writes."""

from warehouse.publish.meta import checks, snapshots
from warehouse.publish.reading import connect_current, connect_generation, made_of, only_reads
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
    "connect_generation",
    "current",
    "discard",
    "generations",
    "made_of",
    "only_reads",
    "pinned",
    "publish",
    "refuse_failed",
    "remove_before",
    "snapshots",
    "storage_errors",
]

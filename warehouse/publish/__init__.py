"""What analysts read: immutable database files, switched whole, readable while the pipeline writes."""

from warehouse.publish.generations import (
    KEEP,
    Published,
    building,
    current,
    generations,
    publish,
    refuse_failed,
    storage_errors,
)
from warehouse.publish.meta import checks, snapshots
from warehouse.publish.reading import connect_current, only_reads

__all__ = [
    "KEEP",
    "Published",
    "building",
    "checks",
    "connect_current",
    "current",
    "generations",
    "only_reads",
    "publish",
    "refuse_failed",
    "snapshots",
    "storage_errors",
]

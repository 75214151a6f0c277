"""The side of a training job: batches of a release in an exact global order, resumable to the sample.

Installed alone (``pip install ml-warehouse``) it needs numpy and xxhash::

    from warehouse.loader import Loader
    for tokens in Loader("datasets/demo_corpus/1", batch=64):
        ...

``TableLoader`` does the same for rows of a table, as numpy columns. ``pull`` brings a release to where the job runs, or
what it needs of it, and ``cached`` keeps those on a disk of bounded size.
"""

from warehouse.loader.cache import cached
from warehouse.loader.course import State
from warehouse.loader.loader import Batch, Loader
from warehouse.loader.permutation import permuted
from warehouse.loader.pulling import Pulled, offered, pull
from warehouse.loader.rows import RowBatch, TableLoader

__all__ = [
    "Batch",
    "Loader",
    "Pulled",
    "RowBatch",
    "State",
    "TableLoader",
    "cached",
    "offered",
    "permuted",
    "pull",
]

"""The side of a training job: batches of a release in an exact global order, resumable to the sample.

Installed alone (``pip install ml-warehouse``) it needs numpy and xxhash::

    from warehouse.loader import Loader
    for tokens in Loader("datasets/demo_corpus/1", batch=64):
        ...

``TableLoader`` does the same for rows of a table, as numpy columns, and ``Mixture`` for several releases in shares.
``pull`` brings a release to where the job runs, or what it needs of it, and ``cached`` keeps those on a disk of bounded
size. ``StreamingLoader`` reads a release where it lies instead: over HTTP or from an object store, nothing but the
blocks that come next. ``Loader("mds:FOLDER")`` and the like read other projects' data sets (``foreign``), and
``RecordLoader`` those whose samples are dictionaries.
"""

from warehouse.loader.cache import cached
from warehouse.loader.course import State
from warehouse.loader.delivery import Counters
from warehouse.loader.loader import Loader
from warehouse.loader.mixture import Mixture, MixtureState, Phase
from warehouse.loader.offering import offered
from warehouse.loader.permutation import permuted
from warehouse.loader.pulling import Pulled, pull
from warehouse.loader.records import RecordBatch, RecordLoader
from warehouse.loader.rows import RowBatch, TableLoader
from warehouse.loader.several import Source
from warehouse.loader.streaming import Coming, Fetching, StreamingLoader, StreamingTableLoader
from warehouse.loader.tokens import Batch
from warehouse.loader.windows import Window

__all__ = [
    "Batch",
    "Coming",
    "Counters",
    "Fetching",
    "Loader",
    "Mixture",
    "MixtureState",
    "Phase",
    "Pulled",
    "RecordBatch",
    "RecordLoader",
    "RowBatch",
    "Source",
    "State",
    "StreamingLoader",
    "StreamingTableLoader",
    "TableLoader",
    "Window",
    "cached",
    "offered",
    "permuted",
    "pull",
]

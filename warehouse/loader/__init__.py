"""The side of a training job: batches of a release in an exact global order, resumable to the sample.

Installed alone (``pip install ml-warehouse``) it needs numpy and xxhash::

    from warehouse.loader import Loader
    for tokens in Loader("datasets/demo_corpus/1", batch=64):
        ...
"""

from warehouse.loader.loader import Batch, Loader, State
from warehouse.loader.permutation import permuted

__all__ = ["Batch", "Loader", "State", "permuted"]

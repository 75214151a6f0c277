"""Stage features: rows for training by point-in-time joins that never see the future, on event and on knowledge time.

    recipe -> one SELECT -> rows -> the table features_<name>

``load_features`` reads a definition, ``compiled_on`` gives its SELECT, ``compute`` and ``rows`` its rows.
"""

from warehouse.features.compile import FEATURE_SET, Compiled, compile_features, printed
from warehouse.features.compute import Computed, changed, compiled_on, compute, fingerprint, rows, schema, show
from warehouse.features.recipe import Aggregate, FeatureSet, Span, Spine, View, load_features

__all__ = [
    "FEATURE_SET",
    "Aggregate",
    "Compiled",
    "Computed",
    "FeatureSet",
    "Span",
    "Spine",
    "View",
    "changed",
    "compile_features",
    "compiled_on",
    "compute",
    "fingerprint",
    "load_features",
    "printed",
    "rows",
    "schema",
    "show",
]

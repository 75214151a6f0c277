"""SQL models: one SELECT a file, order found from the SQL itself, built into one DuckDB file.

Won: a model runs unchanged in a DuckDB shell; its fingerprint ignores comments and layout.
Lost: no incremental models, a build makes every table again.
"""

from warehouse.models.build import Built, build, create, refused
from warehouse.models.load import BUILT_IN, Model, load_models

__all__ = ["BUILT_IN", "Built", "Model", "build", "create", "load_models", "refused"]

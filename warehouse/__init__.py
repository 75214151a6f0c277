"""The ML data warehouse: raw sources in, verified training data sets out. See README.md for the route."""

__version__ = "0.1.0"

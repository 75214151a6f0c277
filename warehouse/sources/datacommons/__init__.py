"""Data Commons: MCF, TMCF with CSV, and config.json with CSV, into observations and the nodes that describe them."""

from warehouse.sources.datacommons.checks import is_date
from warehouse.sources.datacommons.generate import Generated, generate
from warehouse.sources.datacommons.mcf import Finding, Node, Value, parse, text_of
from warehouse.sources.datacommons.observations import (
    NODES,
    OBSERVATIONS,
    STATEMENTS,
    companions,
    read_no_documents,
    read_table,
)
from warehouse.sources.datacommons.writing import observation_nodes, spelt_values, statement_nodes

__all__ = [
    "NODES",
    "OBSERVATIONS",
    "STATEMENTS",
    "Finding",
    "Generated",
    "Node",
    "Value",
    "companions",
    "generate",
    "is_date",
    "observation_nodes",
    "parse",
    "read_no_documents",
    "read_table",
    "spelt_values",
    "statement_nodes",
    "text_of",
]

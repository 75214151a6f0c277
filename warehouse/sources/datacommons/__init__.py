"""Data Commons: MCF, TMCF with CSV, and config.json with CSV, into observations and the nodes that describe them."""

from warehouse.sources.datacommons.generate import Generated, generate
from warehouse.sources.datacommons.mcf import Finding, Node, Value, parse, text_of

__all__ = ["Finding", "Generated", "Node", "Value", "generate", "parse", "text_of"]

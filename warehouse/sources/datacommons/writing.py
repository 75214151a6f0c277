"""Observations and statements from their tables back to MCF nodes, with the dcids that the import tool gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.sources.datacommons.config import COLUMNS
from warehouse.sources.datacommons.mcf import Node, Value, typed
from warehouse.sources.datacommons.naming import observation_name
from warehouse.sources.datacommons.vocabulary import OBSERVATION


def spelt_values(batch: pa.RecordBatch) -> pa.Array:
    """Each observation's value as its source spelt it; a double that says it all in its shortest form."""
    return pc.coalesce(batch["value_text"], pc.cast(batch["value"], pa.string()))


def observation_nodes(batch: pa.RecordBatch) -> Iterator[Node]:
    """A node for each row of OBSERVATIONS, its name and dcid as genmcf gives them."""
    values = spelt_values(batch).to_pylist()
    for row, value in zip(batch.to_pylist(), values, strict=True):
        yield observation_node({**row, "value": value})


def observation_node(row: Mapping[str, Any]) -> Node:
    """The node of a row whose ``value`` is text."""
    stated = {name: row[column] for name, column in COLUMNS.items() if row[column] is not None}
    if row["provenance"] is not None:
        stated["provenance"] = f"dcid:{row['provenance']}"
    node = Node("", {name: _values(name, [str(text)]) for name, text in stated.items()})
    node.values["typeOf"] = [Value("reference", OBSERVATION)]
    for name, texts in orjson.loads(row["properties"] or b"{}").items():
        node.values[name] = _values(name, texts)
    found = observation_name(node)
    node.values["keyString"] = [Value("text", found.key)]
    node.values["dcid"] = [Value("text", found.dcid)]
    node.name = f"dcid:{found.dcid}"
    return node


def _values(name: str, texts: Iterable[str]) -> list[Value]:
    found = (typed(name, text, lambda check, message: None) for text in texts)
    return [value for value in found if value is not None]


def statement_nodes(rows: Iterable[Mapping[str, Any]]) -> Iterator[Node]:
    """Nodes of rows of STATEMENTS, those of one node one after the other."""
    for name, own in groupby(rows, key=lambda row: row["node"]):
        local = name.startswith("l:")
        node = Node(name.removeprefix("l:") if local else f"dcid:{name}")
        for row in own:
            text = f"l:{row['value']}" if row["kind"] == "local" else row["value"]
            node.values.setdefault(row["property"], []).append(Value(row["kind"], text))
        yield node

"""Items of benchmarks: a row for each field of an item that is text, so that benchmarks of any columns share a table.

Columns: item (uri and record, the same for the fields of one item), ordinal (of the field), field, text, ``_record``
and ``_known_at``. A list of texts is one field, its texts on lines of their own; a field of a struct is
``struct.field``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import RECORDS, TIMESTAMP, Dropped, Readings

PASSAGES = pa.schema(
    [
        ("item", pa.string()),
        ("ordinal", pa.int32()),
        ("field", pa.string()),
        ("text", pa.large_string()),
        ("_record", pa.string()),
        ("_known_at", TIMESTAMP),
    ]
)
OF_DOCUMENTS = ("title", "text")  # what a reader of documents reads, the rest is about it


def passages(readings: Readings, uri: str) -> Readings:
    """Batches of PASSAGES for those of records, whether rows or documents; an item without any text is dropped."""
    for reading in readings:
        if isinstance(reading, pa.RecordBatch):
            yield from _passages(reading, uri)
        else:
            yield reading


def _passages(batch: pa.RecordBatch, uri: str) -> Readings:
    of_documents = batch.schema.equals(RECORDS)
    record, known_at = (batch[name if of_documents else f"_{name}"] for name in ("record", "known_at"))
    own = OF_DOCUMENTS if of_documents else [name for name in batch.schema.names if not name.startswith("_")]
    fields = [found for name in own for found in _texts(name, batch[name])]
    filled = [pc.fill_null(pc.greater(pc.binary_length(text), 0), False).to_numpy(False) for _, text in fields]
    row, ordinal = np.nonzero(np.array(filled, np.bool_).reshape(len(fields), len(record)).T)
    for empty in np.setdiff1d(np.arange(len(record)), row).tolist():
        yield Dropped(uri, record[empty].as_py(), "no_text")
    if row.size:
        record = record.take(pa.array(row))
        yield pa.RecordBatch.from_arrays(
            [
                pc.binary_join_element_wise(pa.scalar(uri), record, "#"),
                pa.array(ordinal, pa.int32()),
                pa.array([fields[at][0] for at in ordinal.tolist()], pa.string()),
                pa.array([fields[at][1][of].as_py() for at, of in zip(ordinal.tolist(), row.tolist(), strict=True)]),
                record,
                known_at.take(pa.array(row)).cast(TIMESTAMP),
            ],
            schema=PASSAGES,
        )


def _texts(name: str, column: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    """The columns of text in a column, by name."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield name, column.cast(pa.large_string())
    elif pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        yield name, pc.binary_join(column, "\n").cast(pa.large_string())
    elif pa.types.is_struct(kind):
        for at, field in enumerate(kind):
            yield from _texts(f"{name}.{field.name}", pc.struct_field(column, at))

"""Columns that the folders of an object state: ``key=value`` (Hive's partitions), for typed tables.

Key and value are percent-decoded, as Hive, Spark and pyarrow write them (``%2F`` is a slash); ``key=`` and
``key=__HIVE_DEFAULT_PARTITION__`` are null; of one key twice the deeper folder counts. A key's type is found as a CSV's
is (``columns``), over all objects that the source has now, or all members of a zip. A column that the object has itself
is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

import pyarrow as pa

from warehouse.contracts import Readings, Reject
from warehouse.sources.columns import PATTERNS, cast_text, commented, found_type, possible_types, snake_case
from warehouse.sources.recipe import Column, Source, is_url

NULL = "__HIVE_DEFAULT_PARTITION__"


def stated(uri: str) -> dict[str, str | None]:
    """Key -> value of the folders that the uri of an object, or of a member of one, leads through."""
    path = unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri
    folders = [folder for part in path.split("!/") for folder in part.split("/")[:-1]]
    pairs = [folder.partition("=") for folder in folders]
    found = {unquote(key): unquote(value) for key, sign, value in pairs if key and sign}
    return {key: None if value in ("", NULL) else value for key, value in found.items()}


def kinds(uris: Iterable[str], source: Source) -> dict[str, Column]:
    """Key -> its declared type, else the one that its values have in common; nothing for what is no typed table."""
    if not source.typed or source.benchmark:
        return {}
    values: dict[str, dict[str | None, None]] = {}
    for uri in uris:
        for key, value in stated(uri).items() if not is_url(uri) else ():
            values.setdefault(key, {})[value] = None
    return {key: source.columns.get(key) or _found(list(met)) for key, met in values.items()}


def _found(values: list[str | None]) -> Column:
    texts = pa.array(values, pa.string())
    some = texts.null_count < len(texts)
    return Column(found_type(possible_types(texts, PATTERNS)) if some else "string")


def added(items: Readings, uri: str, known: Mapping[str, Column]) -> Readings:
    """The readings, with the columns of the uri's folders in every batch; a Reject where a value is not of its type."""
    values = {key: value for key, value in stated(uri).items() if key in known}
    made = {key: cast_text(pa.array([value], pa.string()), known[key]) for key, value in values.items()}
    for key, array in made.items():
        if array.null_count and values[key] is not None:
            message = f"folder {key!r} has {str(values[key])[:80]!r}, which is no {known[key].type}"
            yield Reject(uri, "", "type_mismatch", message)
            return
    columns = {known[key].rename or snake_case(key) or "column": (key, array) for key, array in made.items()}
    yield from (_with(item, columns) if isinstance(item, pa.RecordBatch) else item for item in items)


def _with(batch: pa.RecordBatch, columns: Mapping[str, tuple[str, pa.Array]]) -> pa.RecordBatch:
    """The batch with the columns that it has not, before the warehouse's own."""
    new = {name: column for name, column in columns.items() if name not in batch.schema.names}
    own = [at for at, name in enumerate(batch.schema.names) if not name.startswith("_")]
    system = [at for at, name in enumerate(batch.schema.names) if name.startswith("_")]
    fields = [
        *(batch.schema.field(at) for at in own),
        *(commented(name, array.type, key) for name, (key, array) in new.items()),
        *(batch.schema.field(at) for at in system),
    ]
    arrays = [
        *(batch.column(at) for at in own),
        *(pa.repeat(array[0], batch.num_rows) for _, array in new.values()),
        *(batch.column(at) for at in system),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

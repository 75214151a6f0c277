"""The texts of documents out of the repository: as they are stored, and as a release has them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from warehouse import query
from warehouse.contracts import Snapshot, content_hash
from warehouse.datasets.masks import MASKED, masked_text
from warehouse.errors import IntegrityError, NotFound

WANTED = ("doc_id", "content_hash", "masked")
"""Columns of the frozen table that lead to a text."""

SAME_TEXT = r"md5(regexp_replace(lower(trim(text)), '\s+', ' ', 'g'))"
"""The default cluster: texts that differ in case and white space only are one."""


def stored_texts(
    wanted: pa.Table, documents: Snapshot, *, threads: int, batch_rows: int = 4096
) -> Iterator[pa.RecordBatch]:
    """Batches of ``row`` (of ``wanted``, which has doc_id) and ``text``, in any order, each row at most once."""
    con = query.connect(threads=threads or None)
    con.register("wanted", wanted.select(["doc_id"]).append_column("row", pa.array(range(wanted.num_rows), pa.int64())))
    relation = query.relation_sql(con, documents)
    sql = f"SELECT wanted.row, documents.text FROM ({relation}) documents JOIN wanted USING (doc_id)"
    seen = np.zeros(wanted.num_rows, dtype=np.bool_)
    for batch in query.stream(con, sql, batch_rows=batch_rows):
        rows, places = np.unique(batch["row"].to_numpy(), return_index=True)
        fresh = ~seen[rows]
        seen[rows] = True
        yield batch if fresh.all() and rows.size == batch.num_rows else batch.take(pa.array(np.sort(places[fresh])))
    con.close()


def read_texts(
    wanted: pa.Table, documents: Snapshot, *, threads: int, batch_rows: int = 4096
) -> Iterator[tuple[int, str]]:
    """(row of ``wanted``, text as it goes out) for each of its documents, in any order, each once.

    wanted: the columns WANTED; releases made before there were masks have no ``masked``.

    Raises NotFound if the repository no longer has one, IntegrityError if a text is not what was frozen.
    """
    hashed, seen = wanted["content_hash"].to_pylist(), np.zeros(wanted.num_rows, dtype=np.bool_)
    masks = wanted["masked"] if "masked" in wanted.column_names else [pa.scalar([], MASKED)] * wanted.num_rows
    for batch in stored_texts(wanted, documents, threads=threads, batch_rows=batch_rows):
        for row, text in zip(batch["row"].to_pylist(), batch["text"].to_pylist(), strict=True):
            if content_hash(text) != hashed[row]:
                doc_id = wanted["doc_id"][row]
                raise IntegrityError(f"the stored text of document {doc_id} is not the one that was selected")
            seen[row] = True
            yield row, masked_text(text, masks[row].as_py())
    if not seen.all():
        raise NotFound(
            f"{int((~seen).sum())} of {wanted.num_rows} documents are not in {documents.table} at version "
            f"{documents.version}, such as {wanted['doc_id'][int(np.argmin(seen))]}",
            do="rebuild from a version of the table that still has them",
        )

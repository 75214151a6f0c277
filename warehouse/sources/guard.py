"""The one place that may catch whatever a parser throws: the exception becomes a Reject that names its class."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import TypeVar

import pyarrow as pa

from warehouse.contracts import Reject
from warehouse.errors import WarehouseError
from warehouse.sources.columns import ColumnClash
from warehouse.sources.parsing import ParserDied

Item = TypeVar("Item")

REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (EOFError, "truncated"),
    (zlib.error, "corrupt"),
    (lzma.LZMAError, "corrupt"),
    (zipfile.BadZipFile, "not_zip"),
    (NotImplementedError, "unsupported"),
    (UnicodeError, "invalid_encoding"),
    (ColumnClash, "column_clash"),
    (RecursionError, "too_deep"),
    (ParserDied, "parser_died"),
)


class TooLarge(Exception):
    """An object that unpacks to more than its source's limits allow."""


class Corrupt(Exception):
    """Packed bytes that are not what their format says."""


def guarded(
    items: Iterator[Item], *, uri: str, record: str = "", reason: str = "unreadable"
) -> Iterator[Item | Reject]:
    """The items, and where their making fails one Reject of the object after those that were readable.

    ``reason`` names what cannot be told from the exception. An error of the operating system (errno: a failing disk)
    and the library's own errors are not the object's fault and pass.
    """
    try:
        yield from items
    except WarehouseError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        yield rejected(error, uri=uri, record=record, reason=reason)


def rejected(error: Exception, *, uri: str, record: str, reason: str) -> Reject:
    """The Reject that an exception stands for."""
    named = next((word for kind, word in REASONS if isinstance(error, kind)), reason)
    if isinstance(error, TooLarge):
        named = "too_large"
    if isinstance(error, Corrupt):
        named = "corrupt"
    if isinstance(error, pa.ArrowNotImplementedError):
        named = "unsupported"
    message = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
    return Reject(uri, record, named, message, exception=type(error).__name__)

"""Spans of personal data in a batch of documents, each with the mask that takes its place in a release.

Kinds: e-mail addresses, telephone numbers, IP addresses (v4, v6), payment cards (Luhn), IBANs (mod 97). The table holds
places and masks, never the text itself; the documents stay as they are. A mask keeps the shape of what it hides and is
nobody's: an address that RFC 2606, 5737 or 3849 reserves for examples; for the others each digit becomes 0 and each
letter X, with a last 1 for a card, so that Luhn's sum is off. Masked text is measured to hold no span of these kinds.

Default region: a number that starts with + is read as ITU-T E.164; one without is a telephone number only where it is
written as North America does, (212) 555-0123, and is read as +1. Both must be of an assigned range (phonenumbers).
Lost: national formats elsewhere, ten digits in one piece, which dates and keys look like, names, postal addresses.
"""

from __future__ import annotations

import re
import string
from functools import lru_cache

import numpy as np
import phonenumbers
import pyarrow as pa

from warehouse.kernels import pii as kernel
from warehouse.kernels.pii import FEWEST_PHONE_DIGITS
from warehouse.kernels.texts import Counts, Texts, texts

PII_VERSION = 1
"""Raised whenever a span or a mask changes; spans of another version are measured again."""

PII = pa.schema(
    [
        ("doc_id", pa.string()),
        ("version", pa.int32()),  # PII_VERSION
        ("kind", pa.string()),  # contracts.PII_KINDS; null with start -1 for a document without any
        ("start", pa.int64()),  # UTF-8 byte in the document's text
        ("stop", pa.int64()),  # the byte after the span
        ("mask", pa.string()),  # what takes its place where it is masked
    ]
)
KINDS = {
    kernel.EMAIL: "email",
    kernel.IPV4: "ip",
    kernel.IPV6: "ip",
    kernel.IBAN: "iban",
    kernel.CARD: "card",
    kernel.INTERNATIONAL: "phone",
    kernel.NATIONAL: "phone",
}
EMAIL_MASK = "user@example.org"  # RFC 2606, 3
IPV4_MASK = "192.0.2.1"  # RFC 5737
IPV6_MASK = "2001:db8::1"  # RFC 3849
FIXED = {kernel.EMAIL: EMAIL_MASK, kernel.IPV4: IPV4_MASK, kernel.IPV6: IPV6_MASK}
_SHAPE = bytes.maketrans((string.digits + string.ascii_uppercase).encode(), b"0" * 10 + b"X" * 26)


def spans(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of PII in the order of the batch and of each text; a document without any has one row of start -1."""
    column = texts(batch["text"])
    found, masks = _masked(column, kernel.rows(column))
    without = np.setdiff1d(np.arange(batch.num_rows), found[:, 0])
    document = np.concatenate([found[:, 0], without])
    order = np.argsort(document, kind="stable")
    nothing = np.full(without.size, -1)
    start, stop = (np.concatenate([found[:, index], nothing])[order].astype(np.int64) for index in (2, 3))
    kinds = np.array([*(KINDS[code] for code in found[:, 1].tolist()), *[None] * without.size], object)[order]
    hidden = np.array([*masks, *[None] * without.size], object)[order]
    return pa.RecordBatch.from_arrays(
        [
            batch["doc_id"].cast(pa.string()).take(pa.array(document[order])),
            pa.array(np.full(order.size, PII_VERSION, np.int32)),
            pa.array(kinds, pa.string()),
            pa.array(start),
            pa.array(stop),
            pa.array(hidden, pa.string()),
        ],
        schema=PII,
    )


def _masked(column: Texts, found: Counts) -> tuple[Counts, list[str]]:
    """The rows that hold (a telephone number may end earlier, or not be one), and the mask of each."""
    masks: list[str | None] = [FIXED.get(code) for code in found[:, 1].tolist()]
    rare = np.flatnonzero(found[:, 1] >= kernel.IBAN)
    for row, text in zip(rare.tolist(), kernel.slices(column, found[rare]), strict=True):
        code = int(found[row, 1])
        size = assigned(text, national=code == kernel.NATIONAL) if code >= kernel.INTERNATIONAL else len(text)
        found[row, 3] = found[row, 2] + size
        masks[row] = _hidden(text[:size], code) if size else None
    kept = np.array([mask is not None for mask in masks], np.bool_)
    return found[kept], [mask for mask in masks if mask is not None]


def _hidden(text: bytes, code: int) -> str:
    """Zeros in the text's shape; a card's last digit is 1, for Luhn's sum of zeros alone would be right."""
    return zeroed(text)[:-1] + "1" if code == kernel.CARD else zeroed(text)


def zeroed(text: bytes) -> str:
    """The same shape with 0 for each digit and X for each capital letter."""
    return text.translate(_SHAPE).decode()


@lru_cache(maxsize=1 << 16)
def assigned(text: bytes, *, national: bool) -> int:
    """Bytes of the longest beginning, cut between groups of digits, that is a number of an assigned range; 0: none."""
    if national:
        digits = text.partition(b"x")[0].translate(None, b"()./- ")
        return len(text) if _valid(b"+1" + digits[-10:]) else 0
    ends = [group.end() for group in re.finditer(rb"[0-9]+\)?", text)]
    return next((end for end in reversed(ends) if _valid(text[:end].translate(None, b"()./- "))), 0)


def _valid(number: bytes) -> bool:
    """Whether + and digits are of an assigned range and length."""
    if len(number) <= FEWEST_PHONE_DIGITS:
        return False
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number.decode()))
    except phonenumbers.NumberParseException:
        return False

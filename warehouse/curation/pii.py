"""Spans of personal data and secrets in a batch of documents, each with the mask that takes its place in a release.

Kinds: e-mail addresses, telephone numbers, IP addresses (v4, v6), payment cards (Luhn), IBANs (mod 97), US social
security numbers, and secrets: identifiers of AWS access keys, GitHub and JSON Web Tokens, PEM private keys. The table
holds places and masks, never the text itself; the documents stay as they are. A mask keeps the shape of what it hides
and is nobody's: an address that RFC 2606, 5737 or 3849 reserves for examples; for the others each digit becomes 0 and
each letter X, with a last 1 for a card, so that Luhn's sum is off; of a secret the word that names its kind stays and
all else is 0. Masked text is measured to hold no span of these kinds.

A telephone number starts with + (ITU-T E.164) or is written as North America does, (212) 555-0123, read as +1, and is
of an assigned range (phonenumbers); or it is 7 to 15 digits in groups, whatever the country, after a word such as
phone, call or fax. Lost: national formats without such a word, names, postal addresses, the secret half of an
AWS key.
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

PII_VERSION = 4
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
    kernel.PRIVATE4: "private_ip",
    kernel.PRIVATE6: "private_ip",
    kernel.IBAN: "iban",
    kernel.CARD: "card",
    kernel.SSN: "ssn",
    kernel.SECRET: "secret",
    kernel.SPOKEN: "phone",
    kernel.INTERNATIONAL: "phone",
    kernel.NATIONAL: "phone",
    **dict.fromkeys(kernel.SAID_TOO, "phone"),
}
EMAIL_MASK = "user@example.org"  # RFC 2606, 3
IPV4_MASK = "192.0.2.1"  # RFC 5737
IPV6_MASK = "2001:db8::1"  # RFC 3849
FIXED = {
    kernel.EMAIL: EMAIL_MASK,
    **dict.fromkeys((kernel.IPV4, kernel.PRIVATE4), IPV4_MASK),
    **dict.fromkeys((kernel.IPV6, kernel.PRIVATE6), IPV6_MASK),
}
_SHAPE = bytes.maketrans((string.digits + string.ascii_uppercase).encode(), b"0" * 10 + b"X" * 26)
_ZEROS = bytes.maketrans((string.digits + string.ascii_letters).encode(), b"0" * 62)
_NAMED = re.compile(rb"((?:\A|\.)eyJ|\A(?:AKIA|ASIA|gh[pousr]_|github_pat_))")
"""The words in a secret that say what it is."""


def spans(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of PII in the order of the batch and of each text; a document without any has one row of start -1."""
    column = texts(batch["text"])
    found, masks = _masked(column, kernel.rows(column))
    without = np.flatnonzero(np.bincount(found[:, 0], minlength=batch.num_rows) == 0)
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
        size = _size(text, code)
        found[row, 3] = found[row, 2] + size
        masks[row] = _hidden(text[:size], code) if size else None
    kept = np.array([mask is not None for mask in masks], np.bool_)
    return found[kept], [mask for mask in masks if mask is not None]


def _size(text: bytes, code: int) -> int:
    """Bytes of what was found that are a span; 0 for a telephone number that is neither assigned nor spoken of."""
    said = code in kernel.SAID_TOO
    if not said and code not in (kernel.INTERNATIONAL, kernel.NATIONAL):
        return len(text)
    national = code in (kernel.NATIONAL, kernel.SAID_TOO[1])
    return assigned(text, national=national) or (len(text) if said else 0)


def _hidden(text: bytes, code: int) -> str:
    """Zeros in the text's shape; a card's last digit is 1, for Luhn's sum of zeros alone would be right."""
    if code == kernel.SECRET:
        parts = _NAMED.split(text)
        return b"".join(part if index % 2 else part.translate(_ZEROS) for index, part in enumerate(parts)).decode()
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

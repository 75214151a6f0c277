"""One row a file of any kind, its bytes as they are: images, sounds, films, whatever a model is to see.

media_type is told by the first bytes (the registered type of SIGNATURES), never by the name; what they do not tell is
``application/octet-stream``. Won: the bytes are beside the other tables, for SQL to choose from. Lost: they are stored
twice, in the archive and in the table; a file above ``limits.max_record_bytes`` is a Reject.
"""

from __future__ import annotations

import pyarrow as pa

from warehouse.contracts import Readings, Reject
from warehouse.sources.containers import Member
from warehouse.sources.parquet import rows_of
from warehouse.sources.recipe import Source
from warehouse.sources.records import Documents
from warehouse.sources.text import load

SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/vnd.wave"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "application/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/matroska"),
    (0, b"%PDF-", "application/pdf"),
)
"""Where in a file which bytes say what it is, by the specification of each format; types as IANA lists them."""

OTHER = "application/octet-stream"


def read_table(member: Member, source: Source) -> Readings:
    """The row of a file: ``name``, ``media_type``, ``bytes`` (how many) and ``content``."""
    raw = load(member, max_bytes=source.limits.max_record_bytes)
    if isinstance(raw, Reject):
        yield raw
        return
    columns = {"name": [member.name], "media_type": [media_type(raw)], "bytes": [len(raw)]}
    row = pa.record_batch({**columns, "content": pa.array([raw], pa.binary())})
    yield from rows_of(row, 0, member, source)


def media_type(raw: bytes) -> str:
    """What the first bytes of a file say it is."""
    return next((kind for at, mark, kind in SIGNATURES if raw[at : at + len(mark)] == mark), OTHER)


def read_no_documents(member: Member, _: Documents) -> Readings:
    """One Reject: a file of any kind is no text."""
    yield Reject(member.uri, "", "not_documents", f"{member.name} is taken as bytes; state a table of your own")

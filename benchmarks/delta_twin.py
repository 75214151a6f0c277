"""What a Delta table holds, from the protocol's text alone: the log replayed in plain Python, deletion vectors decoded,
columns found by their physical names or field ids, partition values parsed. An oracle for tables that others wrote.
"""

from __future__ import annotations

import base64
import json
import struct
import uuid
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq

Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


class UnreadableError(Exception):
    """A table that the protocol gives no rows: an action or a file is missing."""


def rows(folder: Path) -> Counter[str]:
    """The rows of the last version, as text."""
    protocol, meta, live = _replayed(folder / "_delta_log")
    if protocol is None or meta is None or "schemaString" not in meta:
        raise UnreadableError("protocol or metaData")
    if protocol["minReaderVersion"] > 3:
        raise UnreadableError("reader version")
    schema = json.loads(meta["schemaString"])
    mode = (meta.get("configuration") or {}).get("delta.columnMapping.mode", "none")
    found: Counter[str] = Counter()
    for add in live:
        for row in _rows_of(folder, add, schema["fields"], mode):
            found[text(row)] += 1
    return found


def text(value: Any) -> str:
    """A value as text, equal for equal values whatever Arrow type they came in."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {text(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(text, value)) + "]"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, Decimal):
        return str(value.normalize())
    return repr(value)


def _replayed(log: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None, list[dict[str, Any]]]:
    commits = {int(path.stem): path for path in log.glob("*.json") if path.stem.isdecimal()}
    start, actions = -1, list[dict[str, Any]]()
    if 0 not in commits:
        start, actions = _checkpoint(log)
    after = sorted(version for version in commits if version > start)
    if after != list(range(start + 1, start + 1 + len(after))):
        raise UnreadableError("gap")
    for version in after:
        actions += [json.loads(line) for line in commits[version].read_text("utf-8").splitlines() if line.strip()]
    protocol = meta = None
    live: dict[tuple[str, str], dict[str, Any]] = {}
    for action in actions:
        if add := action.get("add"):
            live[_key(add)] = add
        elif remove := action.get("remove"):
            live.pop(_key(remove), None)
        protocol, meta = action.get("protocol") or protocol, action.get("metaData") or meta
    return protocol, meta, list(live.values())


def _checkpoint(log: Path) -> tuple[int, list[dict[str, Any]]]:
    parts = sorted(log.glob("*.checkpoint*.parquet"))
    version = max(int(path.name[:20]) for path in parts)
    found = [
        row for path in parts if path.name.startswith(f"{version:020d}") for row in pq.read_table(path).to_pylist()
    ]
    return version, [{key: _plain(value) for key, value in row.items() if value} for row in found]


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    return {
        key: dict(item) if key in ("partitionValues", "configuration") and item else item for key, item in value.items()
    }


def _key(action: dict[str, Any]) -> tuple[str, str]:
    vector = action.get("deletionVector")
    return action["path"], f"{vector['storageType']}{vector['pathOrInlineDv']}@{vector.get('offset')}" if vector else ""


def _rows_of(folder: Path, add: dict[str, Any], fields: list[dict[str, Any]], mode: str) -> list[dict[str, Any]]:
    path = folder / (unquote(urlparse(add["path"]).path) if add["path"].startswith("file:") else unquote(add["path"]))
    if not path.is_file():
        raise UnreadableError(add["path"])
    table = pq.read_table(path, partitioning=None)
    dead = _dead(folder, add["deletionVector"]) if add.get("deletionVector") else set()
    columns = {field["name"]: _column(field, table, add.get("partitionValues") or {}, mode) for field in fields}
    return [{name: values[at] for name, values in columns.items()} for at in range(table.num_rows) if at not in dead]


def _column(field: dict[str, Any], table: pa.Table, partition: dict[str, str], mode: str) -> list[Any]:
    physical = _physical(field, mode)
    if physical in partition:
        return [_parsed(partition[physical], field["type"])] * table.num_rows
    if mode == "id":
        wanted = str(field["metadata"]["delta.columnMapping.id"]).encode()
        named = [each.name for each in table.schema if (each.metadata or {}).get(b"PARQUET:field_id") == wanted]
    else:
        named = [physical] if physical in table.column_names else []
    stored = table[named[0]].to_pylist() if named else [None] * table.num_rows
    return [_shaped(value, field["type"], mode) for value in stored]


def _physical(field: dict[str, Any], mode: str) -> str:
    name: str = field["name"]
    return name if mode == "none" else field["metadata"].get("delta.columnMapping.physicalName", name)


def _shaped(value: Any, kind: Any, mode: str) -> Any:
    """A stored value under its logical names, in the type that the table states."""
    if value is None or isinstance(kind, str):
        return value if value is None else _widened(value, kind)
    if kind["type"] == "struct":
        return {each["name"]: _shaped(value.get(_physical(each, mode)), each["type"], mode) for each in kind["fields"]}
    if kind["type"] == "array":
        return [_shaped(item, kind["elementType"], mode) for item in value]
    return [(_shaped(k, kind["keyType"], mode), _shaped(v, kind["valueType"], mode)) for k, v in value]


def _widened(value: Any, kind: str) -> Any:
    if kind in ("double", "float"):
        return float(value)
    if kind == "timestamp" and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    if kind == "timestamp_ntz" and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return Decimal(value) if kind.startswith("decimal") else value


PARSERS = {
    **dict.fromkeys(("integer", "long", "short", "byte"), int),
    "double": float,
    "float": lambda value: struct.unpack("f", struct.pack("f", float(value)))[0],
    "boolean": lambda value: value == "true",
    "date": date.fromisoformat,
    "timestamp": lambda value: _zoned(datetime.fromisoformat(value.replace("Z", "+00:00"))),
    "timestamp_ntz": datetime.fromisoformat,
    "binary": str.encode,
}


def _parsed(value: str | None, kind: str) -> Any:
    """A partition value, which the log writes as text ("Partition Value Serialization")."""
    if not value:
        return None
    return Decimal(value) if kind.startswith("decimal") else PARSERS.get(kind, str)(value)


def _zoned(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _dead(folder: Path, vector: dict[str, Any]) -> set[int]:
    """Row numbers of a deletion vector ("Deletion Vector Format")."""
    if vector["storageType"] == "i":
        return _bitmaps(base64.b85decode(_to_b85(vector["pathOrInlineDv"])))
    name = vector["pathOrInlineDv"]
    number = uuid.UUID(bytes=base64.b85decode(_to_b85(name[-20:])))
    raw = (folder / name[:-20] / f"deletion_vector_{number}.bin").read_bytes()
    at = vector.get("offset") or 1
    (size,) = struct.unpack_from(">i", raw, at)
    return _bitmaps(raw[at + 4 : at + 4 + size])


def _to_b85(text_: str) -> bytes:
    """Z85 has the digits of Python's base85 in another order."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
    return "".join(digits[Z85.index(each)] for each in text_).encode()


def _bitmaps(raw: bytes) -> set[int]:
    magic, count = struct.unpack_from("<iq", raw)
    assert magic == 1681511377
    at, found = 12, set[int]()
    for _ in range(count):
        (high,) = struct.unpack_from("<I", raw, at)
        low, at = _roaring(raw, at + 4)
        found |= {(high << 32) + each for each in low}
    return found


def _roaring(raw: bytes, at: int) -> tuple[set[int], int]:
    """One 32-bit bitmap (RoaringFormatSpec): its numbers, and where it ends."""
    (cookie,) = struct.unpack_from("<I", raw, at)
    runs = b""
    if cookie & 0xFFFF == 12347:
        count, at = (cookie >> 16) + 1, at + 4
        runs = raw[at : at + (count + 7) // 8]
        at += len(runs)
    else:
        assert cookie == 12346
        (count,), at = struct.unpack_from("<I", raw, at + 4), at + 8
    heads = [struct.unpack_from("<HH", raw, at + 4 * each) for each in range(count)]
    at += 4 * count
    if not runs or count >= 4:
        at += 4 * count
    found = set[int]()
    for each, (key, less) in enumerate(heads):
        base, size = key << 16, less + 1
        if runs and runs[each // 8] >> each % 8 & 1:
            (many,) = struct.unpack_from("<H", raw, at)
            for run in range(many):
                first, length = struct.unpack_from("<HH", raw, at + 2 + 4 * run)
                found |= {base + number for number in range(first, first + length + 1)}
            at += 2 + 4 * many
        elif size <= 4096:
            found |= {base + number for number in struct.unpack_from(f"<{size}H", raw, at)}
            at += 2 * size
        else:
            found |= {base + number for number in range(1 << 16) if raw[at + number // 8] >> number % 8 & 1}
            at += 8192
    return found, at

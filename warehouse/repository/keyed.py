"""Rows of a typed table whose keys say what a row is about: each is a fact, that a key had these values from a time.

A row that its key has already, at its time, is unchanged and not stored again: an anti-join on key and row hash. In a
whole vintage, a key that is absent gets a row of its own with ``_deleted``. So the facts up to any time say what was
known then, by the last of each key in order of (``_known_at``, ``_sequence``); the views are that and no more. A
vintage that comes late can change what a later one would have left out as unchanged: those are read again
(``Ingestion``), under a higher ``_sequence``.

Hashes are taken over the text of a value (``widening.texts``), without nulls, so that neither a wider type nor a new
column makes a row another. Costs 41 bytes of memory for each fact of the source; 354,000 rows, 200 MB of JSON Lines, of
which half are unchanged, take 8.3 CPU s where as many events take 4.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from warehouse.contracts import TIMESTAMP, Keyed, Reject, digest
from warehouse.errors import InputError
from warehouse.repository.keys import Keys, Mask, Words, pack
from warehouse.repository.origin import Origin, Shaped
from warehouse.repository.parts import row_groups
from warehouse.repository.typed import SYSTEM, Typed
from warehouse.repository.widening import texts

KEYED = pa.schema(
    [
        ("_key", pa.string()),  # blake2b-128(source, text of each key): 32 hexadecimal digits
        ("_row_hash", pa.int64()),  # of the row's own values
        ("_deleted", pa.bool_()),  # the key is gone from this time on; the row has no other values
        ("_sequence", pa.int64()),  # grows with every object read: of two rows of one key and time the greater counts
    ]
)
COLUMNS = pa.schema([*SYSTEM, *KEYED])
READ = (*KEYED.names, "_known_at", "_source")
Places = np.ndarray[Any, np.dtype[np.bytes_]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Run = tuple[Places, Integers, Mask]
_LAST = (1 << 63) - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class History:
    """Facts of keys in order of key, time and sequence: sorted runs, of which the last two are merged when alike in
    size.
    """

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def add(self, keys: tuple[Words, Words], times: Integers, sequence: Integers, hashes: Integers, gone: Mask) -> None:
        """Take facts in: times in microseconds."""
        places = _places(keys, times, sequence)
        order = np.argsort(places, kind="stable")
        if len(order):
            self._runs.append((places[order], hashes[order], gone[order]))
        while len(self._runs) > 1 and 2 * len(self._runs[-1][0]) >= len(self._runs[-2][0]):
            self._runs.append(_merged(self._runs.pop(), self._runs.pop()))

    def last(self, keys: tuple[Words, Words], times: Integers) -> tuple[Integers, Mask, Mask]:
        """Of each key its hash at the time; whether it has one, not if it is gone or was never there; and whether that
        fact is of this very time.
        """
        wanted = _places(keys, times, np.full(len(times), _LAST))
        best, hashes = np.zeros(len(wanted), "S32"), np.zeros(len(wanted), np.int64)
        there = np.zeros(len(wanted), bool)
        for places, of_run, gone in self._runs:
            at = np.searchsorted(places, wanted, side="right") - 1
            found = np.flatnonzero(at >= 0)
            found = found[_same_key(places[at[found]], wanted[found])]
            found = found[places[at[found]] > best[found]]
            best[found], hashes[found] = places[at[found]], of_run[at[found]]
            there[found] = ~gone[at[found]]
        return hashes, there, (_bytes(best)[:, 16:24] == _bytes(wanted)[:, 16:24]).all(axis=1)

    def alive(self, time: int) -> tuple[Words, Words]:
        """The keys that are there at a time."""
        while len(self._runs) > 1:
            self._runs.append(_merged(self._runs.pop(), self._runs.pop()))
        if not self._runs:
            return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
        places, _, gone = self._runs[0]
        known = _bytes(places)[:, 16:24].copy().view(">u8").ravel() <= np.uint64(time + (1 << 63))
        places, gone = places[known], gone[known]
        ends = np.ones(len(places), bool)
        ends[:-1] = ~_same_key(places[1:], places[:-1])
        words = _bytes(places[ends & ~gone])[:, :16].copy().view(">u8").astype(np.uint64)
        return words[:, 0], words[:, 1]


def _places(keys: tuple[Words, Words], times: Integers, sequence: Integers) -> Places:
    """32 bytes that sort as (key 16, time 8 with its sign turned, sequence 8), the high bytes first."""
    turned = times.astype(np.int64).view(np.uint64) + np.uint64(1 << 63)
    words = np.stack([*keys, turned, sequence.astype(np.int64).view(np.uint64)], axis=1).astype(">u8")
    return np.ascontiguousarray(words).view("S32").ravel()


def _bytes(places: Places) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.ascontiguousarray(places).view(np.uint8).reshape(-1, 32)


def _same_key(one: Places, other: Places) -> Mask:
    same: Mask = (_bytes(one)[:, :16] == _bytes(other)[:, :16]).all(axis=1)
    return same


def _merged(one: Run, other: Run) -> Run:
    places, hashes, gone = (np.concatenate(pair) for pair in zip(one, other, strict=True))
    order = np.argsort(places, kind="stable")
    return places[order], hashes[order], gone[order]


def key_ids(source: str, columns: Sequence[pa.Array]) -> list[str]:
    """``_key`` of each row, from its key columns; the caller leaves out rows with a null among them."""
    parts = [texts(column).to_pylist() for column in columns]
    return [digest(source, *values) for values in zip(*parts, strict=True)]


def row_hashes(rows: pa.RecordBatch) -> Integers:
    """``_row_hash`` of each row, from its own columns: independent of their order and types, and of nulls."""
    total = np.zeros(len(rows), np.uint64)
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        if name in COLUMNS.names or column.null_count == len(column):
            continue
        seed = xxhash.xxh3_64_intdigest(name.encode())
        coded = texts(column).cast(pa.binary()).dictionary_encode()
        words = [xxhash.xxh3_64_intdigest(text, seed=seed) for text in coded.dictionary.to_pylist()]
        at = coded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
        total += np.array([*words, 0], np.uint64)[at]
    return total.view(np.int64)


class KeyedTable:
    """The shape of a keyed table; files: the live ones of before, which are read when the first object is."""

    def __init__(self, typed: Typed, keyed: Keyed, source: str, files: Iterable[Path]) -> None:
        self.typed, self.keyed, self._source, self._files = typed, keyed, source, list(files)
        self._history: History | None = None
        self.stored = 0
        self.begin(0)
        self.follow(False)

    @property
    def columns(self) -> pa.Schema:
        """The table's."""
        return self.typed.columns

    def begin(self, sequence: int) -> None:
        """Start a vintage: a whole one, or one object."""
        self._sequence, self.stored = sequence, 0
        self._keys, self._rows = Keys(), Keys()

    def follow(self, on: bool) -> None:
        """Take note from here on of the keys that are other than they were from some time on, or no more."""
        self._following, self._unsettled = on, (np.zeros(0, np.uint64), np.zeros(0, np.uint64))

    @property
    def unsettled(self) -> int:
        """How many keys are, after what was read last, other than they were before."""
        return len(self._unsettled[0])

    def shape(self, batch: pa.RecordBatch, origin: Origin, met: int) -> Shaped:
        """The rows that are facts; rejects of rows without a key and of keys that stand twice. Raises Unstorable."""
        shaped = self.typed.shape(batch, origin, met)
        rows, rejects = self._with_keys(shaped)
        ids = key_ids(self._source, [rows[name] for name in self.keyed.keys]) if len(rows) else []
        hashes, times = row_hashes(rows), rows["_known_at"].cast(pa.int64()).to_numpy()
        keys = pack([pa.array(ids, pa.string())])
        once, twice = self._once(keys, times, hashes)
        fresh = once & ~self._unchanged(keys, times, hashes)
        rejects += [self._twice(rows, at) for at in np.flatnonzero(twice).tolist()]
        if self._following:
            self._settle((keys[0][once], keys[1][once]), fresh[once])
        made = _filled(rows, ids, hashes, self._sequence).filter(pa.array(fresh))
        self._take((keys[0][fresh], keys[1][fresh]), times[fresh], hashes[fresh], gone=False)
        return Shaped(made, rejects, unchanged=int((~fresh & ~twice).sum()), misfits=shaped.misfits)

    def absent(self, origin: Origin) -> pa.RecordBatch:
        """A row for each key that was there at the vintage's time and is not in what was read of it."""
        time = (origin.known_at - _EPOCH) // timedelta(microseconds=1)
        high, low = self.history.alive(time)
        gone = self._keys.fresh(high, low)
        high, low = high[gone], low[gone]
        count = len(high)
        self._take((high, low), np.full(count, time), np.zeros(count, np.int64), gone=True)
        said: dict[str, Any] = {
            "_source": origin.source,
            "_uri": origin.uri,
            "_record": "",
            "_object_sha256": origin.sha256,
            "_known_at": origin.known_at,
            "_receipt_id": origin.receipt_id,
            "_row_hash": 0,
            "_deleted": True,
            "_sequence": self._sequence,
        }
        ids = [f"{one:016x}{other:016x}" for one, other in zip(high.tolist(), low.tolist(), strict=True)]
        columns = [
            pa.array(ids, pa.string())
            if field.name == "_key"
            else pa.repeat(pa.scalar(said.get(field.name), field.type), count)
            for field in self.columns
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.columns)

    @property
    def history(self) -> History:
        """What the table knows of the source's keys."""
        if self._history is None:
            self._history = History()
            for path in self._files:
                self._load(path)
        return self._history

    def _load(self, path: Path) -> None:
        for batch in row_groups(path, READ):
            rows = batch.filter(pc.equal(batch["_source"], self._source))
            times = rows["_known_at"].cast(TIMESTAMP).cast(pa.int64()).to_numpy()
            sequence, hashes = rows["_sequence"].to_numpy(), rows["_row_hash"].to_numpy()
            gone = rows["_deleted"].to_numpy(zero_copy_only=False)
            self.history.add(pack([rows["_key"]]), times, sequence, hashes, gone)

    def _take(self, keys: tuple[Words, Words], times: Integers, hashes: Integers, *, gone: bool) -> None:
        count = len(times)
        self.stored += count
        self.history.add(keys, times, np.full(count, self._sequence), hashes, np.full(count, gone))

    def _settle(self, keys: tuple[Words, Words], fresh: Mask) -> None:
        """A key that is read has the values of its row again, as before; one that was the same as before until then
        and is stored is not so from here on.
        """
        high, low = self._unsettled
        read, waiting = Keys(), Keys()
        read.fresh(*keys)
        waiting.fresh(high, low)
        left, new = read.fresh(high, low), fresh & waiting.fresh(*keys)
        self._unsettled = np.append(high[left], keys[0][new]), np.append(low[left], keys[1][new])

    def _with_keys(self, shaped: Shaped) -> tuple[pa.RecordBatch, list[Reject]]:
        """The rows that have every key, and rejects of the others."""
        rows, rejects = shaped.rows, list(shaped.rejects)
        absent = [name for name in self.keyed.keys if name not in rows.schema.names]
        missing = np.full(len(rows), bool(absent))
        for name in self.keyed.keys if not absent else ():
            missing |= rows[name].is_null().to_numpy(zero_copy_only=False)
        for at in np.flatnonzero(missing).tolist():
            message = f"no value of the key {', '.join(absent or self.keyed.keys)}"
            rejects.append(Reject(rows["_uri"][at].as_py(), rows["_record"][at].as_py(), "missing_key", message))
        return (rows.filter(pa.array(~missing)) if missing.any() else rows), rejects

    def _once(self, keys: tuple[Words, Words], times: Integers, hashes: Integers) -> tuple[Mask, Mask]:
        """bool (rows,): the first of its key in what is being read; one of a key that had other values before."""
        high, low = keys
        if self.keyed.row_times:
            high, low = _folded(high, times), _folded(low, times)
        once = self._keys.fresh(high, low)
        first = self._rows.fresh(_folded(high, hashes), _folded(low, hashes))
        return once, first & ~once

    def _unchanged(self, keys: tuple[Words, Words], times: Integers, hashes: Integers) -> Mask:
        """bool (rows,): true where the key has these values at the time; of rows that state it, at that very time."""
        held, there, now = self.history.last(keys, times)
        same: Mask = there & (held == hashes)
        return same & now if self.keyed.row_times else same

    def _twice(self, rows: pa.RecordBatch, at: int) -> Reject:
        named = ", ".join(f"{name} {rows[name][at].as_py()!r}" for name in self.keyed.keys)
        message = f"{named[:120]} stands twice at one known_at, with other values: the first one counts"
        return Reject(rows["_uri"][at].as_py(), rows["_record"][at].as_py(), "duplicate_key", message)


def _folded(words: Words, numbers: Integers) -> Words:
    return (words ^ numbers.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15) + words


def _filled(rows: pa.RecordBatch, ids: list[str], hashes: Integers, sequence: int) -> pa.RecordBatch:
    """The rows with the columns of KEYED."""
    count = len(rows)
    made = {
        "_key": pa.array(ids, pa.string()),
        "_row_hash": pa.array(hashes),
        "_deleted": pa.array(np.zeros(count, bool)),
        "_sequence": pa.repeat(pa.scalar(sequence, pa.int64()), count),
    }
    arrays = [made.get(name, column) for name, column in zip(rows.schema.names, rows.columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=rows.schema)


def refuse_other_kind(table: str, held: pa.Schema | None, keyed: Keyed | None) -> None:
    """Raise InputError where a table of another kind is there: keyed rows and others do not share one."""
    if held is not None and ("_key" in held.names) != (keyed is not None):
        there = "has keys" if keyed is None else "has no keys"
        raise InputError(
            f"table {table} is there already and {there}",
            allowed="a source with the same keys" if keyed is None else "a source without mode and keys",
            do="give the source another table",
        )

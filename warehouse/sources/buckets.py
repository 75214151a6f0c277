"""What a uri of an object store names: one object, all below a folder, or what fits a glob, by the rules of paths.

Costs a listing of the fixed part of the uri, a HEAD where it does not end in a slash, and a listing of one page for
each folder above, to see that it is no Delta table, and for a wildcard, which may be a folder's name. What a folder is
marked with (an object of no bytes whose key ends in a slash) is no object. Not won: keys that object_store has no name
for (empty parts, ``.`` and ``..``, control characters) are an error of the whole listing, which names the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from warehouse.errors import InputError, WarehouseError
from warehouse.sources.patterns import as_stated, expanded, fits, into_delta
from warehouse.sources.recipe import DELTA_LOG, MAGIC, is_bookkeeping
from warehouse.stores import Entry, Store, opened

BELOW = ("**", "*")


@dataclass(frozen=True, slots=True)
class Found:
    """An object, or a Delta table (no entry): ``uri`` as the source states its fixed part, ``url`` expanded."""

    uri: str
    url: str
    entry: Entry | None = None


def found(pattern: str) -> list[Found]:
    """The objects that a uri of a store names, in order of key, never none.

    Raises InputError where there is none, for files of a Delta table, and for what the store refuses; NetworkError for
    what may pass.
    """
    with told(pattern):
        place = _placed(pattern)
        named = _named(place) or _listed(_literal(place))
    if not named:
        raise InputError(f"{pattern} matches no object", do="check uri and what the bucket holds")
    return named


@contextmanager
def told(uri: str) -> Iterator[None]:
    """Errors of the block, in whose messages no value of the uri's variables stands."""
    try:
        yield
    except WarehouseError as error:
        came, allowed, do = (as_stated(text, uri) for text in (error.came, error.allowed, error.do))
        raise type(error)(came, allowed=allowed, do=do, **error.values) from None


@dataclass(frozen=True, slots=True)
class _Place:
    """A uri taken apart. base: its parts before the first wildcard; rest: the parts from there on, none where there is
    no wildcard; stated: scheme, bucket and base as the uri has them.
    """

    pattern: str
    store: Store
    stated: str
    base: tuple[str, ...]
    rest: tuple[str, ...]

    def found(self, below: Sequence[str], entry: Entry | None = None) -> Found:
        """What lies ``below`` the base."""
        url = "/".join((self.store.url, *self.base, *below))
        return Found("/".join((self.stated, *below)), url, entry)


def _placed(pattern: str) -> _Place:
    scheme, _, path = pattern.partition("://")
    stated = [part for part in path.split("/") if part]
    parts = [tuple(each for each in expanded(part).split("/") if each) for part in stated]
    first = next((at for at, part in enumerate(parts) if at and any(map(MAGIC.search, part))), len(parts))
    bucket, *base = (each for part in parts[:first] for each in part)
    rest = tuple(each for part in parts[first:] for each in part)
    shown = f"{scheme}://{'/'.join(stated[:first])}"
    return _Place(pattern, opened(f"{scheme}://{bucket}"), shown, tuple(base), rest)


def _named(place: _Place) -> list[Found]:
    """The one object whose key is the uri as it stands, wildcards and all."""
    parts = (*place.base, *place.rest)
    entry = place.store.head("/".join(parts)) if parts and not place.pattern.endswith("/") else None
    if entry is None:
        return []
    _refuse_table_above(place, parts[:-1])
    return [place.found(place.rest, entry)]


def _literal(place: _Place) -> _Place:
    """The place without wildcards, where a folder is called so."""
    whole = (*place.base, *place.rest)
    if not place.rest or not _holds(place.store, whole):
        return place
    return replace(place, stated="/".join((place.stated, *place.rest)), base=whole, rest=())


def _holds(store: Store, parts: Sequence[str]) -> bool:
    """Whether there are objects below a folder."""
    return any(True for _ in store.list("/".join(parts)))


def _listed(place: _Place) -> list[Found]:
    rest, keys = place.rest or BELOW, _below(place)
    roots = {parts[: parts.index(DELTA_LOG)] for parts in keys if DELTA_LOG in parts[:-1]}
    if not place.rest and () in roots:
        return [place.found(())]
    tables = {root for root in roots if place.rest and fits(root, rest)}
    fit = {
        parts: entry
        for parts, entry in keys.items()
        if fits(parts, rest) and not any(parts[: len(root)] == root for root in tables)
    }
    for root in sorted(roots, key=len):
        if any(parts[: len(root)] == root for parts in fit):
            raise into_delta(place.pattern, "/".join(root))
    files = {parts: entry for parts, entry in fit.items() if not is_bookkeeping("/".join(parts))}
    if files:
        _refuse_table_above(place, place.base[:-1])
    objects = [place.found(parts, entry) for parts, entry in files.items() if _is_object(place.store, entry)]
    return [*objects, *(place.found(root) for root in tables)]


def _below(place: _Place) -> dict[tuple[str, ...], Entry]:
    """The parts of each key below the base."""
    entries: Iterable[Entry] = place.store.list("/".join(place.base))
    return {tuple(entry.key.split("/"))[len(place.base) :]: entry for entry in entries}


def _is_object(store: Store, entry: Entry) -> bool:
    """False for the mark of a folder, whose key the library lists without its slash."""
    return entry.size > 0 or store.head(entry.key) is not None


def _refuse_table_above(place: _Place, parts: Sequence[str]) -> None:
    """Raises InputError where a folder of these parts, or one above it, is a Delta table."""
    for length in range(len(parts) + 1):
        if _holds(place.store, (*parts[:length], DELTA_LOG)):
            raise into_delta(place.pattern, "")

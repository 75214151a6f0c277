"""Where another project's data set lies, and its index, each field of which is checked for its kind.

An index comes from outside, so a name in it leads nowhere but below the folder that it stands in, and what is missing,
of another kind or of another size than stated is an error that names the file and the field.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt

from warehouse.errors import FormatError, IntegrityError, NotFound, UsageError

INDEX = "index.json"
SPLIT = "train"
"""The one split of a data set that has no splits."""
MOST = 1 << 62
"""Numbers of an index are below it: sums of two stay within int64."""

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Location:
    """``scheme:path?option=value``, taken apart."""

    scheme: str
    path: Path
    options: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.scheme}:{self.path}"

    def whole(self, option: str) -> int | None:
        """An option that is a whole number from 1 on, None where it is not given."""
        text = self.options.get(option)
        if text is None:
            return None
        if not text.isdecimal() or not 0 < int(text[:20]) < MOST:
            raise UsageError(f"{self}: {option}={text}", allowed="a whole number from 1 on")
        return int(text)


def taken_apart(uri: str, allowed: Mapping[str, Iterable[str]]) -> Location:
    """The location that ``uri`` names; allowed: options of each scheme. Raises UsageError for others and for URLs."""
    scheme, _, rest = uri.partition(":")
    path, _, query = rest.partition("?")
    if "://" in path or not path:
        raise UsageError(f"{uri!r:.200}", allowed=f"{scheme}: and a local or mounted path", do="bring the files here")
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        options = {query: ""}
    for option in options:
        if option not in allowed[scheme]:
            known = ", ".join(f"{name}=" for name in allowed[scheme]) or f"no options of {scheme}:"
            raise UsageError(f"option {option!r} of {scheme}:{path}", allowed=known)
    return Location(scheme, Path(path), options)


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of an index. where: what errors call it."""

    values: Mapping[str, Any]
    where: str

    def number(self, name: str) -> int:
        """A whole number from 0 on."""
        value = self.values.get(name)
        if type(value) is not int or not 0 <= value < MOST:
            raise self._unlike(name, "a whole number from 0 on")
        return value

    def text(self, name: str) -> str:
        """A string."""
        value = self.values.get(name)
        if not isinstance(value, str):
            raise self._unlike(name, "a string")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Strings."""
        value = self.values.get(name)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self._unlike(name, "a list of strings")
        return tuple(value)

    def part(self, name: str) -> Fields:
        """An object."""
        value = self.values.get(name)
        if not isinstance(value, dict):
            raise self._unlike(name, "an object")
        return Fields(value, f"{self.where}: {name}")

    def parts(self, name: str) -> tuple[Fields, ...]:
        """Objects."""
        value = self.values.get(name)
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self._unlike(name, "a list of objects")
        return tuple(Fields(each, f"{self.where}: {name}[{number}]") for number, each in enumerate(value))

    def _unlike(self, name: str, allowed: str) -> FormatError:
        came = repr(self.values[name]) if name in self.values else "missing"
        return FormatError(f"{self.where}: {name} is {came:.80}", allowed=allowed, do="write or fetch the index again")


def split_folder(location: Location, split: str) -> Path:
    """The folder of ``split`` that holds index.json: the one of that name, else the data set's own for SPLIT."""
    for folder in (location.path / split, *([location.path] if split == SPLIT else [])):
        if (folder / INDEX).is_file():
            return folder
    raise NotFound(f"no {INDEX} of split {split!r} in {location.path}", do="name the folder that holds it, or above")


def read_index(folder: Path) -> tuple[bytes, Fields]:
    """The bytes of index.json, and its object."""
    path = folder / INDEX
    raw = path.read_bytes()
    return raw, Fields(json_object(raw, str(path)), str(path))


def json_object(raw: bytes, where: str) -> Mapping[str, Any]:
    """An object in JSON. Raises IntegrityError for anything else."""
    values = json_value(raw, where)
    if not isinstance(values, dict):
        raise unsound(where, "is no object of JSON")
    return values


def json_value(raw: bytes, where: str) -> Any:
    """What JSON says. Raises IntegrityError for what is none."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise unsound(where, f"is not JSON: {error}") from None


def mapped(folder: Path, name: str, size: int | None = None) -> Bytes:
    """The bytes of a file below ``folder``, mapped. size: what the index states.

    Raises FormatError for a name that leads elsewhere, NotFound or IntegrityError for a file of another size.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name or "\\" in name:
        raise FormatError(f"{folder / INDEX} names the file {name!r:.80}", allowed="names below its folder")
    path = folder / name
    if not path.is_file():
        raise NotFound(f"{path}: the file is missing", do="fetch or write the data set again")
    found = path.stat().st_size
    if size is not None and found != size:
        raise unsound(path, f"{found} bytes where the index states {size}")
    return np.asarray(np.memmap(path, np.uint8, "r")) if found else np.empty(0, np.uint8)


def unsound(where: Path | str, how: str) -> IntegrityError:
    """The error for bytes that are not what they claim to be."""
    return IntegrityError(f"{where}: {how}", do="fetch or write the data set again", path=str(where))


def identity(scheme: str, parts: Iterable[bytes | memoryview]) -> str:
    """What a loader's state calls a data set that has no id: the scheme and 32 hexadecimal digits of its index."""
    state = hashlib.sha256()
    for part in parts:
        content = memoryview(part).cast("B")
        state.update(content.nbytes.to_bytes(8, "little"))
        state.update(content)
    return f"{scheme}:{state.hexdigest()[:32]}"

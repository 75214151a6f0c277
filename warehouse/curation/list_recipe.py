"""A list as its YAML states it: recipes/lists/<name>.yaml as a value, refused with its file and line, and its files.

A file has an entry a line. An empty line is none, nor is one that begins with # in a list of URLs; one that can be no
entry is refused with the file's own line.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path
from typing import Literal

from warehouse.contracts import digest
from warehouse.curation.score_recipe import NAME
from warehouse.errors import RecipeError
from warehouse.recipes import Check, Keys, Stated, checked, choice, description, mapping, string, strings

Kind = Literal["words", "urls"]

LISTS_VERSION = 1
"""Raised whenever what an entry meets changes; every list is then looked for again."""

DETECTED = "detected"
PARTS = ("domains", "urls", "words", "subwords", "soft_words")
"""Of a list of kind urls, in the order in which they block; the last only counts."""
SPACELESS = ("ja", "km", "lo", "my", "th", "zh")
"""Languages that put no space between words: an entry counts wherever it stands. C4 has ja, th and zh."""
_LANGUAGE = re.compile(r"[a-z]{2,3}")
Files = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListRecipe:
    """What is looked for. files: of kind words by language, of kind urls by part; language: by which a document is
    searched, ``detected`` for its own.
    """

    name: str
    kind: Kind
    files: Mapping[str, tuple[Path, ...]]
    language: str = DETECTED
    description: str = field(default="", compare=False)

    def content(self) -> str:
        """32 hexadecimal digits over all that is found depends on beside the documents. Raises RecipeError for a file
        that cannot be read.
        """
        held = {
            name: [hashlib.sha256(_bytes(path)).hexdigest() for path in paths] for name, paths in self.files.items()
        }
        return digest(json.dumps([LISTS_VERSION, self.kind, self.language, held], sort_keys=True))

    def entries(self, name: str) -> Iterator[str]:
        """The entries of a language or a part, as they are compared. Raises RecipeError for a line that is none."""
        urls = self.kind == "urls"
        read = _ENTRY.get(name, letters) if urls else str
        for path in self.files[name]:
            for number, line in enumerate(_lines(path), 1):
                try:
                    if line and not (urls and line.startswith("#")):
                        yield read(line)
                except ValueError as error:
                    raise RecipeError(f"{path}:{number}: {line!r} {error}", do="mend or remove the line") from None


def load_list(path: Path, folder: Path) -> ListRecipe:
    """The list in ``path``, whose files lie under ``folder`` unless they are absolute.

    Raises RecipeError, ``file:line: ...``, for anything that is not as it should be, a missing file too.
    """
    stated = Stated.read(path, allowed="kind, and the keys of words or of urls")
    if not NAME.fullmatch(path.stem):
        stated.refuse((), f"name {path.stem!r}", "a file name of small letters, digits and _, a letter first")
    if "kind" not in stated.values:
        stated.refuse((), "no kind", ", ".join(KEYS), "add kind")
    kind: Kind = _KIND(stated, ("kind",))
    values = checked(stated, (), KEYS[kind], required=("kind", *("files",) * (kind == "words")))
    if kind == "words":
        files = _by_language(stated, values["files"], folder)
    else:
        files = {part: _found(stated, (part,), folder, values[part]) for part in PARTS if part in values}
        if not files:
            stated.refuse((), "no entries", f"one of {', '.join(PARTS)} at least", "name a file")
    return ListRecipe(path.stem, kind, files, values.get("language", DETECTED), values.get("description", ""))


def _by_language(stated: Stated, given: str | Mapping[str, Files], folder: Path) -> dict[str, tuple[Path, ...]]:
    """The files of each language: as they are stated, or those of a pattern, each named after its language."""
    if isinstance(given, str):
        paths = _found(stated, ("files",), folder, (given,))
        for path in paths:
            _known(stated, ("files",), path.stem, f"the file {path.name}")
        return {name: tuple(path for path in paths if path.stem == name) for name in sorted({p.stem for p in paths})}
    return {name: _found(stated, ("files", name), folder, paths) for name, paths in sorted(given.items())}


def _found(stated: Stated, key: Keys, folder: Path, given: Files) -> tuple[Path, ...]:
    """The files that paths and patterns mean, in their order. Refuses one that means none."""
    found = list[Path]()
    for text in given:
        paths = sorted(map(Path, glob(str(folder / text)))) if has_magic(text) else [folder / text]
        if not paths or not all(path.is_file() for path in paths):
            stated.refuse(key, f"no file {text!r}", f"files of {folder}, or absolute paths", "mend the path")
        found += paths
    return tuple(found)


def _files(stated: Stated, key: Keys) -> Files:
    """One path or pattern, or several."""
    return strings(stated, key) if isinstance(stated.get(key), list) else (string(stated, key),)


def _words(stated: Stated, key: Keys) -> str | dict[str, Files]:
    """A pattern, or files by language."""
    if isinstance(stated.get(key), str):
        return string(stated, key)
    named = mapping(stated, key, "a pattern such as lists/??.txt, or languages with files, {en: lists/en.txt}")
    for name in named:
        _known(stated, (*key, str(name)), str(name), f"language {name!r}")
    return {name: _files(stated, (*key, name)) for name in named}


def _known(stated: Stated, key: Keys, language: str, came: str) -> None:
    if not _LANGUAGE.fullmatch(language):
        allowed = "languages as signals name them, in two or three small letters, such as en"
        stated.refuse(key, came, allowed, "write languages with files, {en: lists/en.txt}")


def _language(stated: Stated, key: Keys) -> str:
    """``detected``, or the code of a language."""
    value = string(stated, key)
    if value != DETECTED:
        _known(stated, key, value, f"language is {value!r}, not {DETECTED}")
    return value


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecipeError(f"{path}:1: cannot be read: {error.strerror}", do="mend the file, or the list") from None


def _lines(path: Path) -> list[str]:
    """The lines of a file without white space at their ends."""
    raw = _bytes(path)
    try:
        return [line.strip() for line in raw.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RecipeError(f"{path}:{line}: not UTF-8: {error.reason}", allowed="text in UTF-8") from None


def letters(text: str) -> str:
    """The letters a-z and digits of a text, small: what a URL is searched for. Raises ValueError where it has none."""
    kept = _OTHERS.sub("", text).lower()
    if not kept:
        raise ValueError("has no letter a-z and no digit")
    return kept


def domain(text: str) -> str:
    """A domain in small letters and, beyond ASCII, as DNS writes it. Raises ValueError for what is none."""
    bare = text.lower()
    if not _PLAIN.fullmatch(bare):
        bare = bare.removeprefix("*").strip(".")
        if not bare or _NO_DOMAIN.search(bare):
            raise ValueError("is no domain, such as example.org")
        with suppress(UnicodeError):
            return bare.encode("idna").decode()
    return bare


def address(url: str) -> tuple[str, str] | None:
    """Domain and address of a URL: without scheme, user, port, fragment and slashes at the end. None for a path."""
    found = _URL.match(url)
    try:
        host = domain(found[1]) if found else ""
    except ValueError:
        return None
    return (host, host + found[2].rstrip("/")) if found else None


def _address(line: str) -> str:
    found = address(line if "://" in line else f"http://{line}")
    if found is None:
        raise ValueError("is no URL, such as https://example.org/page")
    return found[1]


_OTHERS = re.compile(r"[^a-zA-Z0-9]+")
_PLAIN = re.compile(r"[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?")
_NO_DOMAIN = re.compile(r"[\s/:?#@,;|]")
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#@]*@)?(\[[^]]*\]|[^/?#:]+)(?::\d*)?([^#]*)")
_ENTRY: Mapping[str, Callable[[str], str]] = {"domains": domain, "urls": _address}
_KIND = choice("words", "urls")
KEYS: Mapping[Kind, Mapping[str, Check]] = {
    "words": {"kind": _KIND, "description": description, "files": _words, "language": _language},
    "urls": {"kind": _KIND, "description": description, **dict.fromkeys(PARTS, _files)},
}

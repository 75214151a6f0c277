"""Entries of lists that the user gives, found in documents: words and phrases in texts, domains and words in URLs.

A list's version is a function of its recipe and its files: as long as they are the same a document is searched once,
and by every other version again. A list whose recipe is gone has a last version, with one row without a document.

Of words see ``kernels.entries``. A URL is blocked by its domain or one above it, by its whole address, by a word of it
(a run of letters and digits) or by a sub-word (anywhere in its letters and digits); soft words are counted, each once.
A uri that is no URL is not searched.

Won: 140 MB of text a CPU second by 403 English entries (52 MB of books; benchmarks/lists.py). Memory: some 40 bytes a
word, 8 a domain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.curation.list_recipe import DETECTED, SPACELESS, Kind, ListRecipe, address
from warehouse.curation.measure import doc_ids, sliced
from warehouse.curation.pending import Measure, versions
from warehouse.kernels import entries as kernel
from warehouse.kernels.entries import Entries
from warehouse.kernels.texts import Counts, texts
from warehouse.query import Connection, fetch_all

LISTS = pa.schema(
    [
        ("doc_id", pa.string()),  # null in the one row of the version with which a list was taken away
        ("list", pa.string()),  # name of the recipe
        ("version", pa.int32()),  # 1, 2, 3... of the list
        ("content", pa.string()),  # ListRecipe.content, empty where the list was taken away
        ("kind", pa.string()),
        ("language", pa.string()),  # whose entries were looked for, of kind words; null where the list has none
        ("matches", pa.int64()),  # null where nothing was looked for
        ("entries", pa.int64()),  # how many different ones the matches are of
        ("soft_words", pa.int64()),  # different ones in the URL, of kind urls
        ("part", pa.string()),  # of kind urls, the first in which a match is
    ]
)


@dataclass(frozen=True, slots=True)
class Held:
    """A list ready to be looked for. parts: of kind words by language, of kind urls by part; of domains and urls their
    hashes, sorted.
    """

    name: str
    version: int
    content: str
    kind: Kind
    language: str
    parts: Mapping[str, Entries | Counts]


def hold(recipe: ListRecipe, version: int, content: str) -> Held:
    """A list with its files read. Raises RecipeError for one that cannot be, or has a line that is no entry."""
    parts: dict[str, Entries | Counts] = {}
    for name in recipe.files:
        column = texts(pa.array(recipe.entries(name), pa.large_string()))
        if recipe.kind == "urls" and name in ("domains", "urls"):
            parts[name] = kernel.hashes(column)
        else:
            parts[name] = kernel.entries(column, anywhere=name == "subwords" or name in SPACELESS)
    return Held(recipe.name, version, content, recipe.kind, recipe.language, parts)


def search_words(batch: pa.RecordBatch, lists: Sequence[Held]) -> pa.RecordBatch:
    """Rows of LISTS: of each list every document of a batch of doc_id, text and language, in its order."""
    return sliced(batch, partial(_rows, lists=lists, search=_in_text))


def search_urls(batch: pa.RecordBatch, lists: Sequence[Held]) -> pa.RecordBatch:
    """Rows of LISTS: of each list every document of a batch of doc_id and uri, in its order."""
    return sliced(batch, partial(_rows, lists=lists, search=_in_url))


Searched = Mapping[str, pa.Array]
"""Columns of LISTS that a search fills."""


def _rows(
    batch: pa.RecordBatch, lists: Sequence[Held], search: Callable[[pa.RecordBatch, Held], Searched]
) -> pa.RecordBatch:
    ids, found = doc_ids(batch), list[pa.RecordBatch]()
    for held in lists:
        same = {"list": held.name, "version": held.version, "content": held.content, "kind": held.kind}
        columns = {"doc_id": ids, **search(batch, held)}
        arrays = [
            columns[field.name]
            if field.name in columns
            else pa.repeat(pa.scalar(same.get(field.name), field.type), len(ids))
            for field in LISTS
        ]
        found.append(pa.RecordBatch.from_arrays(arrays, schema=LISTS))
    return pa.concat_batches(found)


def _in_text(batch: pa.RecordBatch, held: Held) -> Searched:
    column, rows = texts(batch["text"]), batch.num_rows
    own = (
        batch["language"].to_numpy(zero_copy_only=False) if held.language == DETECTED else np.full(rows, held.language)
    )
    found, language = np.full((rows, 2), -1, np.int64), np.full(rows, None, object)
    for name, entries in held.parts.items():
        where = np.flatnonzero(own == name)
        if where.size and isinstance(entries, Entries):
            found[where], language[where] = kernel.find(column, entries, where), name
    return {"language": pa.array(language, pa.string()), **_counted(found)}


def _counted(found: Counts) -> Searched:
    matches, different = (pa.array(column, mask=column < 0) for column in found.T)
    return {"matches": matches, "entries": different}


def _in_url(batch: pa.RecordBatch, held: Held) -> Searched:
    addresses = [address(uri) for uri in batch["uri"].to_pylist()]
    rows = np.array([at for at, each in enumerate(addresses) if each], np.int64)
    known = [each for each in addresses if each]
    urls = pc.ascii_lower(batch["uri"].take(pa.array(rows)).cast(pa.large_string()))
    met = {part: _met(part, entries, known, urls) for part, entries in held.parts.items()}
    soft, part = np.full(batch.num_rows, -1), np.full(batch.num_rows, None, object)
    soft[rows] = met.pop("soft_words", np.zeros((rows.size, 2), np.int64))[:, 1]
    found = np.full((batch.num_rows, 2), -1, np.int64)
    found[rows] = sum(met.values(), np.zeros((rows.size, 2), np.int64))
    for name in reversed(met):
        part[rows[met[name][:, 0] > 0]] = name
    return {**_counted(found), "soft_words": pa.array(soft, mask=soft < 0), "part": pa.array(part, pa.string())}


def _met(part: str, held: Entries | Counts, addresses: Sequence[tuple[str, str]], urls: pa.Array) -> Counts:
    """int64[n, 2]: how often entries of a part stand in URLs, given their domains and addresses, and how many do."""
    if isinstance(held, Entries):
        between = "" if part == "subwords" else " "
        column = texts(pc.replace_substring_regex(urls, "[^a-z0-9]+", between))
        return kernel.find(column, held, np.arange(column.count))
    given = texts(pa.array([each[part == "urls"] for each in addresses], pa.large_string()))
    return np.repeat(kernel.among(given, held, upwards=part == "domains")[:, None], 2, axis=1)


_NEWEST = "SELECT list, max(version), arg_max(content, version) FROM repository.lists GROUP BY list"


def listed(con: Connection, recipes: Sequence[ListRecipe]) -> Measure:
    """Every document searched by every list as it is now: of kind words when its language is known, of kind urls by its
    uri alone.

    ``con`` has repository.lists. A list without a recipe any more gets its last row. Raises RecipeError for a file that
    cannot be read; the measure for one with a line that is no entry.
    """
    newest = {name: (version, content) for name, version, content in fetch_all(con, _NEWEST)}
    wanted = {recipe.name: _wanted(recipe.content(), *newest.pop(recipe.name, (0, ""))) for recipe in recipes}
    gone = [
        {"list": name, "version": version + 1, "content": ""} for name, (version, content) in newest.items() if content
    ]
    now = versions({name: version for name, (version, _) in wanted.items()})
    own = {recipe.name: recipe for recipe in recipes}
    return Measure(
        "lists",
        {recipe.name: ("uri",) if recipe.kind == "urls" else ("text", "language") for recipe in recipes},
        f"SELECT doc_id, list AS thing FROM repository.lists WHERE (list, version) IN ({now})",
        lambda names: _searching([hold(own[name], *wanted[name]) for name in names]),
        first=pa.RecordBatch.from_pylist(gone, LISTS) if gone else None,
    )


def _searching(lists: Sequence[Held]) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """The search by lists of both kinds."""
    words, urls = ([held for held in lists if (held.kind == "urls") == of_urls] for of_urls in (False, True))

    def search(batch: pa.RecordBatch) -> pa.RecordBatch:
        found = [search_urls(batch, urls)] if urls else []
        if words:
            known = batch["language"].is_valid()
            found.append(search_words(batch.filter(known) if batch["language"].null_count else batch, words))
        return pa.concat_batches(found)

    return search


def _wanted(content: str, version: int, known: str) -> tuple[int, str]:
    """The version of a list, given the newest one that is known, and its content."""
    return version if content == known else version + 1, content

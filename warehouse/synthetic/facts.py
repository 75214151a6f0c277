"""Documents put together from facts: every sentence says one row, is read back, and keeps which row it was.

A document is a pure function of its facts: the canonical JSON of title, templates, keys and values is the object that
the archive keeps, so equal facts are the same object, and the same document. Won: every number true of the stated row
(``readback``), lineage to the character. Lost: variety; a language is not learnt from it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import xxhash

from warehouse.contracts import RECORDS, Reject, content_hash
from warehouse.errors import RecipeError, UsageError
from warehouse.synthetic.readback import disagreement
from warehouse.synthetic.recipe import Fact, FactsRecipe
from warehouse.synthetic.templates import places, plain, refuse_types, rendered

READER = "facts/1"
TABLE = "synthetic_statements"
STATEMENTS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("object_sha256", pa.string()),  # the facts, in the archive; with doc_id that of the table documents
        ("ordinal", pa.int32()),  # of the document's statements, from 0
        ("start", pa.int64()),  # characters of the text, from 0
        ("stop", pa.int64()),
        ("source", pa.string()),  # name of the recipe
        ("fact", pa.string()),
        ("template", pa.string()),
        ("reads", pa.string()),  # models and tables of its SELECT, with commas
        ("row_key", pa.string()),  # JSON: the columns that name the row
        ("row_values", pa.string()),  # JSON: what the sentence states of it
        ("inputs", pa.string()),  # JSON: version of each repository table that the models were made of
        ("receipt_id", pa.string()),
    ]
)
GRAIN = ("doc_id", "object_sha256", "ordinal")


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence: text[start:stop] of its document (characters) says these values of the row with this key."""

    fact: str
    template: str
    key: Mapping[str, Any]
    values: Mapping[str, Any]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Composed:
    """A document and what could not be said in it. facts: canonical JSON, what the text is a function of."""

    uri: str
    title: str
    text: str
    statements: tuple[Statement, ...]
    rejects: tuple[Reject, ...]
    facts: bytes

    def readings(self) -> Iterator[pa.RecordBatch | Reject]:
        """What a reader of the facts yields: one record, unless nothing could be said, and the rejects."""
        if self.statements:
            row = {"uri": self.uri, "record": "0", "title": self.title, "text": self.text}
            yield pa.RecordBatch.from_pylist([row], schema=RECORDS)
        yield from self.rejects


Said = tuple[Fact, Mapping[str, Any], str]
"""A row of a fact, and the template that says it."""


def compose(recipe: FactsRecipe, rows: Mapping[str, pa.Table]) -> list[Composed]:
    """The documents of a recipe from the rows of each fact, by uri; of equal texts all but the first are rejects.

    Raises RecipeError for a column that is missing or cannot be written as stated, and for a key that is null or twice.
    """
    grouped: dict[tuple[Any, ...], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for fact in recipe.facts:
        _refuse_rows(recipe, fact, rows[fact.name])
        for row in rows[fact.name].sort_by([(name, "ascending") for name in fact.key]).to_pylist():
            grouped[tuple(row[name] for name in recipe.document)][fact.name].append(row)
    made = [_document(recipe, names, own) for names, own in grouped.items()]
    return list(_distinct(sorted(made, key=lambda each: each.uri)))


def _refuse_rows(recipe: FactsRecipe, fact: Fact, rows: pa.Table) -> None:
    for name in (*recipe.document, *fact.key):
        if name not in rows.column_names:
            raise RecipeError(f"{fact.at}: no column {name!r}", allowed=", ".join(rows.column_names))
        if rows[name].null_count:
            raise RecipeError(f"{fact.at}: {name} is null in {rows[name].null_count} rows", allowed="names of rows")
    try:
        for template in fact.sentences:
            refuse_types(template, rows.schema)
    except UsageError as error:
        raise RecipeError(f"{fact.at}: {error.came}", allowed=error.allowed, do=error.do) from None
    distinct = rows.group_by(list(fact.key)).aggregate([]).num_rows
    if distinct != rows.num_rows:
        raise RecipeError(
            f"{fact.at}: {rows.num_rows} rows but {distinct} of {', '.join(fact.key)}", allowed="once each"
        )


def _document(recipe: FactsRecipe, names: tuple[Any, ...], rows: Mapping[str, list[dict[str, Any]]]) -> Composed:
    """One document: a paragraph a fact, a sentence a row; what is not read back from the text is left out of it."""
    uri = "/".join(["synthetic", recipe.name, *(quote(str(plain(name)), safe=" ") for name in names)])
    said, rejects = list[Said](), list[Reject]()
    for fact in recipe.facts:
        for ordinal, row in enumerate(rows.get(fact.name, ())):
            template = _chosen(fact, row, f"{recipe.seed}/{uri}/{fact.name}", ordinal)
            if template is None:
                rejects.append(_reject(uri, fact, row, "no_sentence_fits", "a value of every sentence is null", ""))
            else:
                said.append((fact, row, template))
    title = rendered(recipe.title, dict(zip(recipe.document, names, strict=True)))
    text, statements = _text(said)
    wrong = {at: _wrong(text, statement) for at, statement in enumerate(statements)}
    for at, why in ((at, why) for at, why in wrong.items() if why):
        sentence = text[statements[at].start : statements[at].stop]
        rejects.append(_reject(uri, said[at][0], said[at][1], "not_read_back", why, sentence))
    text, statements = _text([each for at, each in enumerate(said) if not wrong[at]])
    return Composed(uri, title, text, tuple(statements), tuple(rejects), _canonical(recipe, title, statements, rejects))


def _chosen(fact: Fact, row: Mapping[str, Any], mark: str, ordinal: int) -> str | None:
    """A template all of whose values the row has: a seeded first one, then each in turn."""
    fits = [each for each in fact.sentences if all(row[place.column] is not None for place in places(each))]
    return fits[(xxhash.xxh3_64_intdigest(mark.encode()) + ordinal) % len(fits)] if fits else None


def _text(said: Sequence[Said]) -> tuple[str, list[Statement]]:
    """Sentences joined by spaces, facts by an empty line; where each sentence stands."""
    text, statements = "", list[Statement]()
    for at, (fact, row, template) in enumerate(said):
        text += "" if not at else " " if said[at - 1][0] is fact else "\n\n"
        start = len(text)
        text += rendered(template, row)
        values = {place.column: plain(row[place.column]) for place in places(template)}
        key = {name: plain(row[name]) for name in fact.key}
        statements.append(Statement(fact.name, template, key, values, start, len(text)))
    return text, statements


def _wrong(text: str, statement: Statement) -> str | None:
    return disagreement(statement.template, text[statement.start : statement.stop], statement.values)


def _reject(uri: str, fact: Fact, row: Mapping[str, Any], reason: str, why: str, sentence: str) -> Reject:  # noqa: PLR0917
    record = f"{fact.name} {_json({name: plain(row[name]) for name in fact.key})}"
    return Reject(uri, record, reason, why, first_bytes=sentence.encode("utf-8", "surrogatepass"))


def _canonical(recipe: FactsRecipe, title: str, statements: Sequence[Statement], rejects: Sequence[Reject]) -> bytes:
    listed = [
        {"fact": each.fact, "template": each.template, "key": each.key, "values": each.values} for each in statements
    ]
    refused = [[reject.record, reject.reason] for reject in rejects]
    return (_json({"recipe": recipe.name, "title": title, "facts": listed, "refused": refused}) + "\n").encode(
        "utf-8", "surrogatepass"
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _distinct(documents: Sequence[Composed]) -> Iterator[Composed]:
    met: dict[str, str] = {}
    for each in documents:
        first = met.setdefault(content_hash(each.text), each.uri)
        if first == each.uri or not each.statements:
            yield each
        else:
            reject = Reject(
                each.uri, "0", "duplicate_text", f"the text of {first}", first_bytes=each.text[:200].encode()
            )
            yield Composed(each.uri, each.title, "", (), (*each.rejects, reject), each.facts)


def statement_rows(
    source: str, doc: str, sha256: str, composed: Composed, *, reads: Mapping[str, str], inputs: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Rows of STATEMENTS; reads: fact -> what its SELECT reads; inputs: repository table -> version."""
    versions = _json(dict(sorted(inputs.items())))
    return [
        {
            "doc_id": doc,
            "object_sha256": sha256,
            "ordinal": ordinal,
            "start": each.start,
            "stop": each.stop,
            "source": source,
            "fact": each.fact,
            "template": each.template,
            "reads": reads[each.fact],
            "row_key": _json(each.key),
            "row_values": _json(each.values),
            "inputs": versions,
            "receipt_id": None,
        }
        for ordinal, each in enumerate(composed.statements)
    ]

"""The cards of a release of tokens, from its manifest, recipe and frozen documents alone.

README.md with Hugging Face front matter, croissant.json in JSON-LD, ATTRIBUTION.md with what the licences ask for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.datasets.attribution import attribution, cell
from warehouse.datasets.croissant import Node, croissant, record_set
from warehouse.datasets.hub import Config, front_matter
from warehouse.datasets.licences import UNKNOWN
from warehouse.datasets.recipe import DatasetRecipe
from warehouse.datasets.rendering import DOCUMENTS, going_out
from warehouse.datasets.targets import conversations, jsonl, parquet
from warehouse.manifest import CARDS, Manifest


def cards(manifest: Manifest, recipe: DatasetRecipe, documents: pa.Table) -> dict[str, str]:
    """The text of each of CARDS. documents: the frozen table with the tokens of each."""
    front = front_matter(
        name=recipe.name,
        licences=list(manifest.composition["licence"]),
        languages=_languages(manifest),
        samples=sum(split.samples for split in manifest.splits.values()),
        tasks=["text-generation"],
        configs=list(_configs(manifest, recipe, documents)),
    )
    readme = "\n".join(["---", front + "---", "", *_body(manifest, recipe)]) + "\n"
    return dict(
        zip(CARDS, (readme, _croissant(manifest, recipe, documents), _owed(manifest, recipe, documents)), strict=True)
    )


def _languages(manifest: Manifest) -> list[str]:
    return [name for name in manifest.composition["language"] if name != UNKNOWN]


def _configs(manifest: Manifest, recipe: DatasetRecipe, documents: pa.Table) -> Iterator[Config]:
    """What ``datasets`` can read of it, by its one builder for Parquet: samples or conversations where they are so, and
    documents.
    """
    if "parquet" in recipe.targets:
        files = {name: f"targets/parquet/data/{name}-*.parquet" for name in manifest.splits}
        if manifest.chat:
            sent = Counter(going_out(documents)["split"].to_pylist())
            yield Config("conversations", files, {name: sent[name] for name in manifest.splits})
        else:
            yield Config("samples", files, {name: split.samples for name, split in manifest.splits.items()})
    yield Config("documents", {"documents": DOCUMENTS}, {"documents": manifest.documents})


def _croissant(manifest: Manifest, recipe: DatasetRecipe, documents: pa.Table) -> str:
    return croissant(
        name=recipe.name,
        identity=manifest.id,
        description=recipe.description or "A training data set.",
        credits=recipe.credits,
        licences=list(manifest.composition["licence"]),
        languages=_languages(manifest),
        files=manifest.files,
        records=list(_records(manifest, recipe, documents)),
        splits={name: split.samples for name, split in manifest.splits.items()},
        rai=_responsible(manifest, recipe, documents),
    )


def _records(manifest: Manifest, recipe: DatasetRecipe, documents: pa.Table) -> Iterator[Node]:
    texts = "with their messages" if manifest.chat else "their texts are not among the columns"
    about = f"The {_things(manifest)} of the release, in the order of its shards; {texts}."
    key = [name for name in ("doc_id", "copy") if name in documents.column_names]
    yield record_set("documents", [DOCUMENTS], documents.schema, about=about, key=key)
    if manifest.chat:
        yield from _conversations(manifest, recipe, documents.schema)
        return
    if "parquet" in recipe.targets:
        files = [f"targets/parquet/data/{name}-*.parquet" for name in manifest.splits]
        schema = parquet.schema(manifest.dtype, manifest.sequence_length)
        yield record_set("samples", files, schema, about="The samples: ids of tokens, padding included.")
    if "jsonl" in recipe.targets:
        files = [f"targets/jsonl/{name}-*.jsonl" for name in manifest.splits]
        columns = pa.schema([(name, pa.string()) for name in (*jsonl.FACTS, "text")])
        yield record_set("texts", files, columns, about="The texts as they were tokenised.", key=["doc_id"])


def _conversations(manifest: Manifest, recipe: DatasetRecipe, documents: pa.Schema) -> Iterator[Node]:
    """The conversations that go out, in each format that has them."""
    schema = conversations.schema(documents)
    for target, name, pattern in (
        ("parquet", "conversations", "targets/parquet/data/{}-*.parquet"),
        ("jsonl", "lines", "targets/jsonl/{}-*.jsonl"),
    ):
        if target in recipe.targets:
            files = [pattern.format(split) for split in manifest.splits]
            yield record_set(name, files, schema, about="The conversations that go out.", key=["doc_id"])


def _responsible(manifest: Manifest, recipe: DatasetRecipe, documents: pa.Table) -> dict[str, Any]:
    """The terms of RAI 1.0 of which the manifest knows something."""
    sources = ", ".join(manifest.composition["source"])
    times = pc.min_max(documents["known_at"]).as_py().values()
    what = f"{_things(manifest).capitalize()} of the sources {sources}"
    return {
        "dataCollection": f"{what}; {manifest.synthetic_share:.2%} of the text synthetic.",
        "dataCollectionTimeFrame": [time.isoformat() for time in times if time is not None],
        "dataPreprocessingProtocol": [*_handled(manifest, recipe)],
        "personalSensitiveInformation": [_sentence(_masks(manifest))],
    }


def _handled(manifest: Manifest, recipe: DatasetRecipe) -> Iterator[str]:
    """What was done to the texts, a sentence or two each."""
    for said in (_lines(manifest), _masks(manifest), _benchmarks(manifest, recipe)):
        if text := _sentence(said):
            yield text
    yield f"Texts are cut into tokens of {manifest.vocab_size:,} entries and packed into samples ({manifest.packing})."


def _sentence(lines: Iterator[str]) -> str:
    return " ".join(line.strip() for line in lines)


def _owed(manifest: Manifest, recipe: DatasetRecipe, documents: pa.Table) -> str:
    texts = documents.select(["licence", "source", "uri"])
    where = f"`SELECT licence, source, uri FROM '{DOCUMENTS}'` in DuckDB"
    changed = [*_handled(manifest, recipe)]
    return attribution(recipe.name, manifest.composition["licence"], texts, changed=changed, where=where)


def _body(manifest: Manifest, recipe: DatasetRecipe) -> Iterator[str]:
    yield f"# {recipe.name}\n"
    yield f"{recipe.description or 'A training data set.'}\n"
    counted = f"{manifest.documents:,} {_things(manifest)}"
    yield f"Id `{manifest.id}`. {counted} as samples of {manifest.sequence_length:,} ids"
    yield f"({manifest.dtype}, {manifest.vocab_size:,} entries, packed {manifest.packing}), tokenizer in `recipe/`.\n"
    yield f"| split | {_things(manifest)} | samples | tokens | text bytes | shards |\n|---|--:|--:|--:|--:|--:|"
    for name, split in manifest.splits.items():
        counts = (split.documents, split.samples, split.tokens, split.text_bytes, len(split.shards))
        yield f"| {name} | " + " | ".join(f"{count:,}" for count in counts) + " |"
    yield from _times(manifest)
    yield f"\nSynthetic share of the text: {manifest.synthetic_share:.2%} (cap {recipe.max_synthetic_share:.0%})."
    yield from _chat(manifest)
    yield from _masks(manifest)
    yield from _benchmarks(manifest, recipe)
    yield from _lines(manifest)
    yield from _mixture(manifest)
    yield "\n## Composition\n"
    for name in ("source", "language", "licence"):
        yield from _table(name, manifest.composition[name])
    yield "## Licences and attribution\n"
    yield "Each document keeps its own licence; `unknown` means that the source stated none. `ATTRIBUTION.md` says what"
    yield "the licences ask for and whose texts must be named. `documents.parquet` lists every document with source,"
    yield "uri, licence and the sha256 of its object. `croissant.json` describes all of it for machines.\n"
    yield from _usage(manifest, recipe)


def _things(manifest: Manifest) -> str:
    return "conversations" if manifest.chat else "documents"


def _chat(manifest: Manifest) -> Iterator[str]:
    if manifest.chat:
        total = sum(split.tokens for split in manifest.splits.values())
        learnt, left_out = manifest.chat["learnt"], manifest.chat["left_out"]
        roles = f" of the roles {', '.join(manifest.chat['loss'])}" if manifest.chat["loss"] else ""
        longer = {"drop": "leaves out", "cut": "cuts"}[manifest.chat["longer"]]
        yield f"\nPut into words by the template {manifest.chat['template']} (`recipe/template.jinja`)."
        yield f"{learnt:,} of {total:,} tokens are learnt{roles}: the `.mask` beside each `.bin` has a bit for each."
        yield f"It {longer} what is longer than a sample. Not there: {left_out['too_long']:,} conversations that were"
        yield f"too long, {left_out['nothing_learnt']:,} of which nothing would be learnt."


def _times(manifest: Manifest) -> Iterator[str]:
    if manifest.timing:
        yield f"\nSplit by `{manifest.timing['by']}`, each cluster by its latest document:\n"
        yield "| split | first | last | ends before |\n|---|---|---|---|"
        ends = manifest.timing.get("until", {})
        for name, split in manifest.splits.items():
            yield f"| {name} | {split.first or ''} | {split.last or ''} | {ends.get(name, '')} |"
    if later := manifest.timing.get("later"):
        yield f"\n{later:,} selected documents are later than the last of them and did not go out."


def _mixture(manifest: Manifest) -> Iterator[str]:
    if not manifest.mixture:
        return
    found = manifest.mixture
    yield f"\n## Mixture\n\nOf the {found['asked']:,} tokens asked of {found['split']} it holds {found['tokens']:,}. A"
    yield "document that goes out more than once counts each time; `documents.parquet` tells its copies apart.\n"
    yield f"| {found['by']} | asked | tokens | documents | epochs | at most | there |\n|---|--:|--:|--:|--:|--:|--:|"
    for name, got in found["groups"].items():
        counts = (got["asked"], got["tokens"], got["documents"])
        epochs = f"{got['epochs']:.2f} | {got['most_epochs']}{' (ran out)' if got['ran_out'] else ''}"
        cells = " | ".join(f"{count:,}" for count in counts)
        yield f"| {name.replace('|', '/')} | {cells} | {epochs} | {got['there']['tokens']:,} |"


def _masks(manifest: Manifest) -> Iterator[str]:
    if manifest.pii:
        counts = ", ".join(f"{kind} {count:,}" for kind, count in manifest.pii["masked"].items())
        yield f"\nPersonal data masked in {manifest.pii['documents']:,} {_things(manifest)}, spans by kind: {counts}."
        where = "the contents of its messages one after another" if manifest.chat else "the stored text"
        yield f"`documents.parquet` lists each, as bytes of {where} with the mask that stands there."
    else:
        yield "\nNo personal data was masked."


def _benchmarks(manifest: Manifest, recipe: DatasetRecipe) -> Iterator[str]:
    if recipe.contamination:
        found = manifest.contamination
        done = {"cut": "cut out of", "drop": "dropped with"}[recipe.contamination]
        against = ", ".join(f"{name} ({count:,} passages)" for name, count in found["benchmarks"].items())
        spans = sum(found[recipe.contamination].values())
        yield f"\nBenchmarks kept out, by word 13-grams: {against}."
        yield f"{spans:,} spans of {found['items']:,} items were {done} {found['documents']:,} documents."
    else:
        yield "\nNo benchmark was kept out but by the select."


def _lines(manifest: Manifest) -> Iterator[str]:
    if manifest.lines:
        dropped = {reason: count for reason, count in manifest.lines["dropped"].items() if count}
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in dropped.items()) or "none"
        yield f"\nLines as {manifest.lines['rule']} keeps them, in {manifest.lines['documents']:,} changed documents:"
        yield f"{sum(dropped.values()):,} dropped of {manifest.lines['kept'] + sum(dropped.values()):,} ({reasons}),"
        yield f"{manifest.lines['citations']:,} citations cut, {manifest.lines['bytes']:,} bytes in all."
        yield f"{manifest.lines['left_out']['no_line_kept']:,} documents of which no line was left did not go out."


def _table(name: str, rows: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    yield f"| {name} | documents | tokens | text bytes |\n|---|--:|--:|--:|"
    for value, counts in sorted(rows.items(), key=lambda row: (-row[1]["tokens"], row[0])):
        yield f"| {cell(value)} | {counts['documents']:,} | {counts['tokens']:,} | {counts['bytes']:,} |"
    yield ""


def _usage(manifest: Manifest, recipe: DatasetRecipe) -> Iterator[str]:
    split, width = next(iter(manifest.splits)), int(manifest.dtype[-1])
    yield "## Load\n\n```python\nfrom warehouse.loader import Loader  # pip install ml-warehouse: numpy, xxhash\n"
    yield f'for tokens in Loader("path/to/this/folder", split="{split}", batch=64):'
    yield f"    ...  # [64, {manifest.sequence_length}] {manifest.dtype}\n```\n"
    yield "Each `.bin` with its `.idx` is a Megatron data set of the same bytes, and with its `.bin.index` one of"
    yield f"datatrove: `DatatroveFileDataset(path, seq_len={manifest.sequence_length - 1}, token_size={width})`."
    yield f"Padding is id {manifest.pad_id}, the end of a document id {manifest.eos_id}.\n\n## Verify\n"
    yield "`warehouse verify path/to/this/folder` checks every hash of `manifest.json`; with `--rebuild` it makes the"
    yield "release again from `documents.parquet` and `recipe/` and compares the bytes."
    yield f"`warehouse trace {recipe.name} SAMPLE` leads from a sample to its documents."

"""The data set card: README.md with Hugging Face front matter, from the manifest and the recipe alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml

from warehouse.datasets.recipe import DatasetRecipe
from warehouse.manifest import Manifest

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"))


def card(manifest: Manifest, recipe: DatasetRecipe) -> str:
    """The whole README.md."""
    return "\n".join(["---", _front_matter(manifest, recipe) + "---", "", *_body(manifest, recipe)]) + "\n"


def _front_matter(manifest: Manifest, recipe: DatasetRecipe) -> str:
    languages = [name for name in manifest.composition["language"] if name != "unknown"]
    licences = [name.lower() for name in manifest.composition["licence"]]
    samples = sum(split.samples for split in manifest.splits.values())
    values = {
        "pretty_name": recipe.name,
        "license": licences[0] if len(licences) == 1 and licences != ["unknown"] else "other",
        **({"language": languages} if languages else {}),
        "size_categories": [next((size for most, size in SIZES if samples < most), "n>10M")],
        "task_categories": ["text-generation"],
        "dataset_info": {
            "splits": [
                {"name": name, "num_examples": split.samples, "num_bytes": _bytes(manifest, name)}
                for name, split in manifest.splits.items()
            ]
        },
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _bytes(manifest: Manifest, split: str) -> int:
    return sum(manifest.files[shard.data].bytes for shard in manifest.splits[split].shards)


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
    yield "Each document keeps its own licence. `documents.parquet` lists every one with source, uri, licence and the"
    yield "sha256 of the object it came from: that table is the attribution, and it travels with the shards."
    yield "`unknown` means that the source stated none.\n"
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
        yield f"\nPersonal data masked in {manifest.pii['documents']:,} documents, spans by kind: {counts}."
        yield "`documents.parquet` lists each, as bytes of the stored text with the mask that stands there."
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
        yield f"| {value.replace('|', '/')} | {counts['documents']:,} | {counts['tokens']:,} | {counts['bytes']:,} |"
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

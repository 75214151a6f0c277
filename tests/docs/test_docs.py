"""The documentation is true: its commands run, its links and names exist, its lists are those of the code."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pages
import pyarrow as pa
import pytest

from warehouse.contracts import DOCUMENTS, REJECTS, RESOLVED_REJECTS, RUNS, SCHEMA_CHANGES
from warehouse.curation import (
    CONTAMINATION,
    LISTS,
    MEANING,
    MINHASH,
    PAIRS,
    PARAGRAPHS,
    PII,
    SCORE_MODELS,
    SCORES,
    SIGNALS,
    ScoreRecipe,
    list_recipe,
    score_recipe,
)
from warehouse.datasets import DatasetRecipe
from warehouse.datasets.chat_recipe import CHAT_KEYS
from warehouse.datasets.chat_shards import BESIDE
from warehouse.datasets.conversations import CONVERSATION
from warehouse.datasets.recipe import KEYS, resolved
from warehouse.datasets.selection import FROZEN, OPTIONAL
from warehouse.datasets.shards import SEGMENTS
from warehouse.datasets.table_recipe import TABLE_KEYS
from warehouse.features import recipe as feature_recipe
from warehouse.gate import KWARGS
from warehouse.manifest import Column, Manifest, TableManifest, TableSplit
from warehouse.project import ENERGY_KEYS, WORLD
from warehouse.publish.meta import _TABLES
from warehouse.repository import REDACTIONS, TAKEDOWNS
from warehouse.repository.keyed import KEYED
from warehouse.repository.typed import SYSTEM
from warehouse.runway import RUNWAY
from warehouse.sources import datacommons
from warehouse.sources import recipe as source_recipe
from warehouse.sources.benchmarks import PASSAGES
from warehouse.sources.guard import REASONS
from warehouse.synthetic import STATEMENTS
from warehouse.synthetic import recipe as synthetic_recipe

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = sorted([*CHECKOUT.glob("docs/*.md"), CHECKOUT / "README.md"])
SCHEMAS = {
    "documents": DOCUMENTS,
    "system": SYSTEM,
    "keyed": KEYED,
    "schema_changes": SCHEMA_CHANGES,
    "resolved_rejects": RESOLVED_REJECTS,
    "rejects": REJECTS,
    "paragraphs": PARAGRAPHS,
    "pii": PII,
    "minhash": MINHASH,
    "pairs": PAIRS,
    "benchmarks": PASSAGES,
    "observations": datacommons.OBSERVATIONS,
    "nodes": datacommons.STATEMENTS,
    "contamination": CONTAMINATION,
    "lists": LISTS,
    "scores": SCORES,
    "score_models": SCORE_MODELS,
    "runs": RUNS,
    "runway": RUNWAY,
    "takedowns": TAKEDOWNS,
    "redactions": REDACTIONS,
    "statements": STATEMENTS,
    "frozen": pa.schema([*FROZEN, ("tokens", pa.int64())]),
    "optional": OPTIONAL,
    "segments": SEGMENTS,
    "conversations": pa.schema([*CONVERSATION, *BESIDE]),
}
LINK = re.compile(r"\]\((?P<path>[^)#\s]*)(?:#(?P<anchor>[^)]*))?\)")
FILE = re.compile(r"\w[\w.]*/[\w./]+\.(py|sql|yaml|json|toml|md)")
EXAMPLES = ("recipes/sources/NAME.yaml", "warehouse/sources/srt.py", "sql/curation/stubs.sql")
"""Files that the text tells the reader to make."""
CODE = re.compile(r"`([^`\n]+)`")


def by_name(path: Path) -> str:
    return path.name


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return pages.FENCE.sub("", page.read_text("utf-8"))


def between(page: str, mark: str) -> str:
    """What stands between the marks ``<!-- mark -->`` and ``<!-- /mark -->``."""
    text = (CHECKOUT / "docs" / page).read_text("utf-8")
    return text.partition(f"<!-- {mark} -->\n")[2].partition(f"<!-- /{mark} -->")[0]


def table(page: str, head: str, *, section: str = "") -> list[list[str]]:
    """The cells of the first Markdown table after ``section`` whose header begins with ``head``, row by row."""
    text = (CHECKOUT / "docs" / page).read_text("utf-8")
    body = text.partition(section or "#")[2].partition(f"\n| {head}")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines()[2:]]


def names(cell: str) -> list[str]:
    return CODE.findall(cell)


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_command_of_a_page_does_what_is_shown(
    page: Path, memory_folder: Path, binaries: Path, store: Mapping[str, str]
) -> None:
    folder = memory_folder / page.stem
    folder.mkdir()
    done = pages.run(page, folder, binaries, store)
    assert len(done) == sum(isinstance(step, pages.Command) for step in pages.steps(page))
    for each in done:
        where = f"{page.name}:{each.command.line}: {each.command.text}\n{each.output}"
        assert each.status == each.command.status, where
        for shown in each.command.shown:
            assert pages.pattern(shown).search(each.output), f"{shown!r} is not in\n{where}"


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in LINK.finditer(prose(page)):
        if "://" not in link["path"]:
            target = page.parent / link["path"] if link["path"] else page
            assert target.exists(), link[0]
            if link["anchor"]:
                assert link["anchor"] in anchors(target), link[0]


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_file_test_and_name_of_code_that_is_mentioned_exists(page: Path) -> None:
    tests = {name for path in CHECKOUT.glob("tests/**/*.py") for name in functions(path)}
    written = {step.path for step in pages.steps(page) if isinstance(step, pages.Write)}
    for name in CODE.findall(prose(page)):
        if FILE.fullmatch(name) and name not in EXAMPLES:
            assert (CHECKOUT / name).is_file() or name in written, name
        elif re.fullmatch(r"(warehouse|pipelines)\.\w[\w.]*", name) and not name.endswith(".toml"):
            assert resolve(name) is not None, name
        elif re.fullmatch(r"test_\w+", name):
            assert name in tests, name


def functions(path: Path) -> Iterator[str]:
    yield from re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)


def resolve(name: str) -> Any:
    """What a dotted name stands for."""
    module, _, last = name.rpartition(".")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), last, None)


@pytest.mark.parametrize("name", SCHEMAS)
def test_columns_and_types_are_those_of_the_schema(name: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", between("tables.md", f"schema {name}"), re.MULTILINE)
    assert rows == [(field.name, str(field.type)) for field in SCHEMAS[name]]


def test_signals_are_those_of_the_code_with_their_meaning() -> None:
    rows = [f"| `{field.name}` | {field.type} | {MEANING[field.name]} |\n" for field in SIGNALS]
    expected = "| column | type | |\n|---|---|---|\n" + "".join(rows)
    assert between("tables.md", "signals") == expected
    assert f"| {len(SIGNALS)} columns of each document" in (CHECKOUT / "docs/analysts.md").read_text("utf-8")


def test_the_tables_of_meta_are_those_that_are_written() -> None:
    documented = {names(row[0])[0]: names(row[1]) for row in table("tables.md", "table | columns |")}
    written = re.findall(r"CREATE TABLE (meta\.\w+)\s*\((.*?)\);", _TABLES, re.DOTALL)
    assert documented == {name: [part.split()[0] for part in columns.split(",")] for name, columns in written}


def test_every_field_of_the_manifest_is_documented() -> None:
    documented = {name for row in table("tables.md", "field | |") for name in names(row[0])}
    assert documented >= {field.name for field in fields(Manifest)}


def test_every_field_of_a_manifest_of_rows_is_documented() -> None:
    documented = {name for row in table("tables.md", "field | |") for name in names(row[0])}
    documented |= {name for row in table("tables.md", "field of rows | |") for name in names(row[0])}
    assert documented >= {field.name for field in fields(TableManifest)}
    text = " ".join(row[1] for row in table("tables.md", "field of rows | |"))
    assert set(names(text)) >= {field.name for part in (Column, TableSplit) for field in fields(part)}


def test_keys_of_features_and_of_rows_are_those_of_the_code() -> None:
    view = {names(row[0])[0] for row in table("datasets.md", "key of a view | default |")}
    assert view == set(feature_recipe._VIEW)
    rows = table("datasets.md", "key | meaning |", section="## Your own features")
    above = {name for row in rows for name in names(row[0])}
    assert above == {"description", "views", *(f"spine.{key}" for key in feature_recipe._SPINE)}
    rows = table("datasets.md", "key | type |", section="## Rows of a table")
    assert {name for row in rows for name in names(row[0])} == set(TABLE_KEYS)
    chats = table("conversations.md", "key | type |")
    assert {name for row in chats for name in names(row[0])} == set(CHAT_KEYS)


def test_keys_of_a_synthetic_recipe_are_those_of_the_code() -> None:
    facts = {name for row in table("synthetic.md", "key of facts | default |") for name in names(row[0])}
    assert facts == set(synthetic_recipe.FACTS_KEYS)
    assert {name for row in table("synthetic.md", "key of rows | default |") for name in names(row[0])} == set(
        synthetic_recipe.ROWS_KEYS
    )


def test_keys_of_a_list_are_those_of_the_code() -> None:
    rows = table("sources.md", "key | default |", section="## Your own lists")
    assert {names(row[0])[0] for row in rows} == {name for keys in list_recipe.KEYS.values() for name in keys}
    assert names({names(row[0])[0]: row[1] for row in rows}["language"]) == [list_recipe.DETECTED]


def test_keys_of_a_score_and_their_defaults_are_those_of_the_code() -> None:
    rows = table("sources.md", "key | default |", section="## Your own scores")
    assert {name for row in rows for name in names(row[0])} == {
        name for keys in score_recipe.KEYS.values() for name in keys
    }
    defaults = {field.name: field.default for field in fields(ScoreRecipe)} | {"min_auc": score_recipe.MIN_AUC}
    stated = {names(row[0])[0]: row[1] for row in rows}
    for name in ("min_auc", "held_out", "max_documents", "max_bytes", "bits", "synthetic", "seed", "round"):
        assert stated[name] == spelt(defaults[name]).lower(), name


def test_keys_of_a_source_and_their_defaults_are_those_of_the_code() -> None:
    rows = {names(row[0])[0]: row[2].strip("`") for row in table("sources.md", "key | type |", section="## Keys")}
    assert set(rows) == {field.name for field in fields(source_recipe.Source)}
    defaults = {field.name: field.default for field in fields(source_recipe.Source)}
    assert rows["fields"] == "{text: text}"
    assert (rows["table"], float(rows["max_reject_share"])) == (defaults["table"], defaults["max_reject_share"])
    assert source_recipe.KnownAt().format in table("sources.md", "key | type |", section="## Keys")[9][3]


def test_nested_keys_of_a_source_and_their_defaults_are_those_of_the_code() -> None:
    documented = {names(row[0])[0]: row[1].strip("`") for row in table("sources.md", "nested key |")}
    assert documented == {
        f"{part.name}.{field.name}": spelt(getattr(part.default, field.name))
        for part in fields(source_recipe.Source)
        if part.name in ("limits", "dialect", "environment", "delta", "database", "http")
        for field in fields(type(part.default))
    }


def spelt(value: object) -> str:
    """A default as YAML has it."""
    return {"None": "none", "True": "true", "False": "false"}.get(str(value), str(value))


def test_types_and_fields_of_a_source_are_named() -> None:
    text = prose(CHECKOUT / "docs/sources.md")
    for name in (*source_recipe.TYPES, *source_recipe.DOCUMENT_FIELDS, *source_recipe.READER_NAMES):
        assert f"`{name}`" in text, name


def test_keys_of_a_data_set_and_their_defaults_are_those_of_the_code() -> None:
    rows = table("datasets.md", "key | type |", section="## Your own data set")
    assert {names(row[0])[0] for row in rows} == set(KEYS)
    stated = {names(row[0])[0]: row[2].strip("`") for row in rows}
    defaults = resolved(DatasetRecipe("x", "SELECT 1")).splitlines()
    for key in ("sequence_length", "packing", "shards", "seed", "split_by", "max_synthetic_share", "max_generation"):
        assert f"{key}: {stated[key]}" in defaults


def test_reasons_of_rejects_are_those_that_the_code_gives() -> None:
    documented = {name for row in table("sources.md", "reason | of | when |") for name in names(row[0])}
    modules = [*CHECKOUT.glob("warehouse/**/*.py"), *CHECKOUT.glob("pipelines/*.py")]
    given = {reason for path in modules for reason in stated(path)}
    given |= {reason for _, reason in REASONS} | {f"not_{name}" for name in source_recipe.READER_NAMES}
    assert given - documented == set()
    code = "".join(path.read_text() for path in modules)
    assert {name for name in documented - given if f'"{name}"' not in code} == set()


def stated(path: Path) -> Iterator[str]:
    """Reasons that a module writes as the third value of a Reject."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Reject" and len(node.args) > 2:
            yield from [node.args[2].value] if isinstance(node.args[2], ast.Constant) else []


def test_types_of_expectations_are_those_that_are_compiled() -> None:
    assert between("sources.md", "expectation types").split() == [f"`{name}`" for name in KWARGS]


LOAD = """
import os, runpy, sys
import warehouse.curation, warehouse.datasets, warehouse.sources
sys.path.insert(0, os.path.dirname(sys.argv[1]))
for path in sys.argv[1:]:
    if os.fork() == 0:
        runpy.run_path(path, run_name="loaded")
        os._exit(0)
    if os.wait()[1]:
        sys.exit(path)
"""


def test_every_benchmark_of_the_table_loads() -> None:
    areas = re.findall(r"^\| (\w+)(?: \*)? \|", (CHECKOUT / "benchmarks/README.md").read_text("utf-8"), re.MULTILINE)
    paths = [str(CHECKOUT / "benchmarks" / f"{area}.py") for area in areas if area != "area"]
    assert len(paths) > 14
    ended = subprocess.run([sys.executable, "-c", LOAD, *paths], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_shown_line_is_compared_with_its_gaps_and_numbers() -> None:
    assert pages.pattern("rows: N in, ... 0 rejected").search("rows:  1,200 in, 7 written, 0 rejected")
    assert not pages.pattern("rows: N in").search("rows: many in")
    assert not pages.pattern("a.b").search("axb")


def test_keys_of_energy_are_those_of_the_code() -> None:
    rows = table("sources.md", "key of `[energy]` | default |")
    assert {names(row[0])[0]: names(row[1]) for row in rows if row[0] == "`grid`"} == {"grid": [WORLD]}
    assert [names(row[0])[0] for row in rows] == list(ENERGY_KEYS)

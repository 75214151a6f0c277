"""Text files and the Python environment as documents."""

from __future__ import annotations

import ast
import sysconfig
import time
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pyarrow as pa
import pytest

from warehouse.contracts import Dropped, Reject
from warehouse.sources import Environment, Located, Source, load_source, locate, read
from warehouse.sources import python_env as environment
from warehouse.sources.text import title


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("né".encode(), "né"),
        ("né".encode("utf-8-sig"), "né"),
        ("né".encode("utf-16"), "né"),
        ("né “q”".encode("cp1252"), "né “q”"),
        (b"a\r\nb\rc", "a\nb\nc"),
    ],
)
def test_text_is_decoded_by_mark_then_utf8_then_what_it_looks_like(reading, data, text):
    assert reading(data, "in/a.txt").column("text") == [text]


def test_binary_content_is_refused_and_a_blank_file_is_dropped(reading):
    assert reading(b"ab\0cd", "a.txt").reasons == {"binary_content": 1}
    assert reading(bytes(range(1, 32)) * 9, "a.md").reasons == {"binary_content": 1}
    for blank, name in ((b"", "a.txt"), (b" \n\n", "a.rst")):
        assert (reading(blank, name).met, reading(blank, name).dropped) == (1, {"empty_object": 1})


def test_the_title_is_the_first_heading_or_the_file_name(reading):
    assert title("x\n## A b ##\n# C") == "A b"
    assert title("Intro\n=====\ntext") == "Intro"
    assert title("no heading") is None
    assert reading(b"no heading", "in/a.txt.gz").rows[0]["title"] == "a.txt"


def test_books_are_one_document_each(reading, shared_data: Path):
    with zipfile.ZipFile(shared_data / "books_en.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".md"))[:5]
        for name in names:
            data = archive.read(name)
            row = reading(data, name).rows[0]
            assert row["text"] == data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


SOURCE = Source("env", ("python-env:",), reader="python_env", licence=None)


@pytest.fixture(scope="module")
def located() -> list[Located]:
    return list(locate(SOURCE, Path("/")))


def test_the_environment_is_located_fast_within_its_budget_and_in_order(located):
    started = time.process_time()
    again = list(locate(SOURCE, Path("/nowhere")))
    assert time.process_time() - started < 3
    assert again == located and [item.uri for item in located] == sorted(item.uri for item in located)
    assert 10_000_000 < sum(item.size for item in located) <= 60_000_000
    small = Source("env", ("python-env:",), reader="python_env", environment=Environment(max_bytes=100_000))
    assert 0 < sum(item.size for item in locate(small, Path("/"))) <= 100_000


def test_uris_name_no_folder_of_this_machine_and_nothing_of_our_own(located):
    root = sysconfig.get_paths()["purelib"]
    for item in located:
        assert item.uri.startswith(("python-env:/site-packages/", "python-env:/stdlib/")) and root not in item.uri
        assert "ml_warehouse" not in item.uri and "__pycache__" not in item.uri and item.size <= 2_000_000
    assert len({item.uri for item in located}) == len({item.path for item in located}) == len(located)


def test_licences_are_those_of_the_distributions_metadata(located):
    licences = {item.uri: item.licence for item in located}
    assert {value for uri, value in licences.items() if uri.startswith("python-env:/stdlib/")} == {"PSF-2.0"}
    version = distribution("orjson").version
    expected = distribution("orjson").metadata["License-Expression"]
    assert licences[f"python-env:/site-packages/orjson-{version}.dist-info/METADATA"] == expected


def test_a_sample_of_the_environment_becomes_documents_and_few_rejects(located):
    found = [each for item in located[::40] for each in read(SOURCE, item, item.path)]
    documents = [row for each in found if isinstance(each, pa.RecordBatch) for row in each.to_pylist()]
    rejects = [each for each in found if isinstance(each, Reject)]
    assert len(documents) > 30 and len(rejects) * 20 < len(documents)
    assert {each.reason for each in found if isinstance(each, Dropped)} <= {"no_rows"}
    assert all(row["text"].strip() and row["title"] for row in documents)


MODULE = '''"""Module."""
import nothing_that_exists
class A:
    """A."""
    def f(self):
        """A.f."""
        def inner():
            """inner."""
    async def g(self): "single quotes"
if True:
    def h():
        """h in a branch."""
'''


def test_docstrings_come_in_source_order_without_importing():
    assert environment.docstrings(MODULE.encode(), "u").split("\n\n") == [
        "Module.", "A.", "A.f.", "inner.", "single quotes", "h in a branch.",
    ]  # fmt: skip
    assert environment.docstrings(b"x = 1", "u") == ""


def test_docstrings_of_the_standard_library_are_those_that_a_walk_of_the_tree_finds():
    for name in ("json/__init__.py", "dataclasses.py", "textwrap.py", "argparse.py"):
        raw = Path(sysconfig.get_paths()["stdlib"], name).read_bytes()
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        nodes = sorted(
            (node for node in ast.walk(ast.parse(raw)) if isinstance(node, kinds)),
            key=lambda node: getattr(node, "lineno", 0),
        )
        expected = [found for node in nodes if (found := ast.get_docstring(node))]
        assert environment.docstrings(raw, "u") == "\n\n".join(expected), name


@pytest.mark.parametrize("raw", [b'"""x"""\ndef (', b'"""x"""\n\0', b'"""' + b"(" * 5000])
def test_a_module_that_does_not_parse_is_a_reject_without_a_warning(raw):
    found = environment.docstrings(raw, "u")
    assert isinstance(found, Reject) and found.reason == "syntax_error"
    assert environment.docstrings(b'"""\\d is 1if 1else 2."""\nx = 1 is 1', "u") == "\\d is 1if 1else 2."


def test_the_projects_own_recipe_reads_the_environment(checkout: Path):
    source = load_source(checkout / "recipes" / "sources" / "python_env.yaml")
    assert source.uri == ("python-env:",) and source.table == "documents"

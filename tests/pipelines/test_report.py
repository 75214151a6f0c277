"""The report of a project: every last verdict, failures first, and one page that needs nothing but itself."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipelines.run import run_assets
from warehouse.errors import CheckFailed, NotFound
from warehouse.project import Project, load

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def project(memory_folder: Path) -> Project:
    """Documents, one of them with markup as its title, and a suite that holds."""
    (memory_folder / "warehouse.toml").write_text(f'name = "{HOSTILE}"\n')
    (memory_folder / "recipes/sources").mkdir(parents=True)
    (memory_folder / "recipes/sources/notes.yaml").write_text(
        "uri: notes.jsonl\nlicence: CC0-1.0\nfields: {title: title}\n"
    )
    notes = [
        {"title": HOSTILE, "text": f"Note {at} says that water is wet, and that the sea is deep."} for at in range(4)
    ]
    (memory_folder / "notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    suite(memory_folder, "a note")
    return load(memory_folder)


def suite(folder: Path, allowed: str) -> None:
    """A suite that allows one title only."""
    (folder / "expectations").mkdir(exist_ok=True)
    expectation = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "title", "value_set": [allowed]}}
    whole = {"name": "titles", "expectations": [expectation]}
    (folder / "expectations/repository.documents.json").write_text(json.dumps(whole))


class Page(HTMLParser):
    """What a page refers to, its open details, and its pictures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.refers: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.details: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.refers += [str(found[key]) for key in ("src", "href", "action", "data") if key in found]
        if tag == "details":
            self.details.append(str(found["id"]))
            self.open += [str(found["id"])] if "open" in found else []


def page(project: Project) -> str:
    """The page, made now."""
    facts = run_assets(project, ["report/page"]).assets[-1].metadata
    return Path(facts["path"]).read_text("utf-8")


def test_without_a_snapshot_there_is_nothing_to_report(project: Project) -> None:
    with pytest.raises(NotFound, match="nothing is published"):
        run_assets(project, ["report/page"])


def test_the_page_counts_every_verdict_and_its_pictures_are_metadata_of_the_asset(project: Project) -> None:
    suite(project.folder, HOSTILE)
    passed = run_assets(project).checks
    facts = run_assets(project, ["report/page"]).assets[-1].metadata
    assert facts["checks_passed"] == facts["checks"] == passed
    assert {"funnel", "costs"} <= facts.keys()
    assert facts["funnel"].startswith("![Rules keep 0 of 4 documents")


def test_a_failed_check_stands_first_and_open_with_its_samples_as_text(project: Project) -> None:
    good = Page(page(project))
    assert good.open == []
    suite(project.folder, "a note")
    with pytest.raises(CheckFailed):
        run_assets(project)
    html = page(project)
    bad = Page(html)
    assert bad.open == bad.details[:1] == ["repository.documents"]
    assert sorted(bad.details) == sorted(good.details)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "script" not in bad.tags


def test_the_page_needs_nothing_but_itself(project: Project) -> None:
    html = page(project)
    refers = Page(html).refers
    assert refers
    assert all(re.match(r"data:image/png;base64,[\w+/=]+\Z", each) for each in refers)
    assert "default-src 'none'" in html

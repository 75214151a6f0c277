"""Of copies and of near duplicates the one stays that the rank prefers, for each rank that docs/sources.md shows."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from decided_project import decided_project, published_again, row

from warehouse.project import Project
from warehouse.publish import connect_current
from warehouse.query import fetch_all

DRAW = random.Random(7)
SOURCES = ("pages", "handbook", "forum")
ALL = """/* model
description: Keeps all but copies
kind: view
grain: [doc_id]
owner: team:x
rule_set: every
*/
SELECT doc_id, [{'reason': 'none', 'value': 0.0, 'threshold': 0.0, 'failed': false}] AS rules
FROM staging.current_signals
"""
LENGTHS = (lambda word: word, str.upper, lambda word: f"  {word}", lambda word: f"{word} \n ")


def group(number: int, *, near: bool) -> list[dict[str, Any]]:
    """Two to four documents with one text, in another case and other white space; near: with another last word too."""
    words = [f"w{DRAW.randrange(10**6)}" for _ in range(60)]
    last = DRAW.sample(range(10**8), 4) if near else [0] * 4
    made = []
    for at in range(DRAW.randrange(2, 5)):
        text = DRAW.choice(LENGTHS)(" ".join([*words, f"w{last[at]}"[: DRAW.randrange(3, 9) if near else 2]]))
        told = row(f"{number}/{at}", text, source=DRAW.choice(SOURCES), licence=DRAW.choice(["MIT", None]))
        published = DRAW.choice([None, datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=DRAW.randrange(900))])
        made.append(told | {"published_at": published, "synthetic": DRAW.random() < 0.5})
    return made


GROUPS = [group(number, near=number % 2 == 1) for number in range(40)]
SCORES = {str(each["doc_id"]): DRAW.randrange(4) / 4 for rows in GROUPS for each in rows if DRAW.random() < 0.8}


def size(each: dict[str, Any]) -> int:
    return len(each["text"].encode())


PREFERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "the longest": lambda each: -size(each),
    "the earliest": lambda each: each["published_at"] or datetime.max.replace(tzinfo=UTC),
    "the best score": lambda each: -SCORES.get(each["doc_id"], 0),
    "a preferred source": lambda each: {"handbook": 0, "pages": 1}.get(each["source"], 2),
    "one, then another": lambda each: (each["synthetic"], -size(each)),
    "built in": lambda each: (each["synthetic"], each["licence"] is None),
}
"""What the ranks of the page, by their name there, say in plain Python."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    rows = [each for rows in GROUPS for each in rows]
    folder = tmp_path_factory.mktemp("ranks") / "project"
    return decided_project(folder, rows, models={"curation/every.sql": ALL}, scores=SCORES)


def shown(checkout: Path) -> dict[str, str]:
    """The ranks that the page shows, by what they keep."""
    page = (checkout / "docs/sources.md").read_text("utf-8")
    table = page[page.index("| keeps | keep_rank |") :].partition("\n\n")[0]
    return dict(re.findall(r"^\| ([^|`]+) \| `(.+)` \|$", table, re.MULTILINE))


@pytest.mark.parametrize("keeps", PREFERS)
def test_of_copies_and_near_duplicates_the_one_that_the_rank_prefers_is_kept(
    keeps: str, project: Project, checkout: Path
) -> None:
    ranks = shown(checkout)
    assert {*ranks, "built in"} == PREFERS.keys()
    built_in = (checkout / "sql/staging/current_documents.sql").read_text()
    own, changes = re.subn(
        r"(?m)^    2 \* CAST\(.* AS keep_rank$", lambda found: f"    {ranks.get(keeps, 0)} AS keep_rank", built_in
    )
    assert changes == 1
    file = project.folder / "sql/staging/current_documents.sql"
    file.parent.mkdir(exist_ok=True)
    file.write_text(built_in if keeps == "built in" else own)
    published_again(project, goal="curation.decisions")
    sql = "SELECT doc_id, reason FROM curation.decisions WHERE rule_set = 'every'"
    with connect_current(project.published, "prod") as con:
        decided = dict(fetch_all(con, sql))
    assert {*decided.values()} == {None, "duplicate_document", "near_duplicate"}
    want = {min(rows, key=lambda each: (PREFERS[keeps](each), each["doc_id"]))["doc_id"] for rows in GROUPS}
    assert {doc_id for doc_id, reason in decided.items() if reason is None} == want

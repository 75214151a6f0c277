"""Tables that are measured in one step end as each measured by itself would, whatever was measured of them before."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from pipelines import parts
from pipelines.measures import measure, measured_tables, measures_asset
from warehouse import curation
from warehouse.contracts import DOCUMENTS
from warehouse.curation import ListRecipe, load_list, pending
from warehouse.gate import load_suites
from warehouse.project import load
from warehouse.query import Connection, attach_repository, connect, fetch_all
from warehouse.repository import Repository

EXPECTATIONS = Path(__file__).resolve().parents[2] / "expectations"
TABLES = ("signals", "paragraphs", "pii", "minhash", "contamination", "lists")
TEXTS = [text[:2000] for _, text in sorted(topics.items())[:40]]
FILES = {"recipes/lists/rude.yaml": "kind: words\nfiles: {en: en.txt}\n", "en.txt": "statement\nexpression\n"}
FILES |= {"recipes/lists/sites.yaml": "kind: urls\ndomains: sites.txt\n", "sites.txt": "s3.example\ns7.example\n"}
BENCHMARK = curation.BENCHMARKS.append(pa.field("field", pa.string()))


def repository_in(folder: Path, facts: Sequence[tuple[int, int]]) -> Repository:
    """Documents by number, each known on a day of January, and again on later ones."""
    repository = Repository(folder)
    rows = [
        {"doc_id": f"{at:032x}", "known_at": datetime(2026, 1, day, tzinfo=UTC), "text": TEXTS[at]}
        | {"uri": f"https://s{at}.example/"}
        for at, day in facts
    ]
    batch = pa.RecordBatch.from_pylist(rows, DOCUMENTS)
    repository.append("documents", [batch], schema=DOCUMENTS, source="texts", run_id="r")
    return repository


def register(repository: Repository, *names: str) -> None:
    """Benchmarks, each of every fifth text."""
    for name in names:
        rows = [
            {"_source": name, "item": str(at), "ordinal": 0, "field": "q", "text": TEXTS[at][100:400]}
            for at in range(len(name), 40, 5)
        ]
        batch = pa.RecordBatch.from_pylist(rows, BENCHMARK)
        repository.append("benchmarks", [batch], schema=BENCHMARK, source=name, run_id="r")


def lists(folder: Path) -> list[ListRecipe]:
    """Those of FILES, written into a folder."""
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return [load_list(path, folder) for path in sorted(folder.glob("recipes/lists/*"))]


def run(repository: Repository, tables: Sequence[str], *, threads: int = 1, commit_bytes: int = 1 << 20) -> list[int]:
    """Documents measured, by table."""
    wanted = [each for each in measured_tables("spacy_en", lists(repository.root)) if each.table in tables]
    added = measure(repository, wanted, run_id="r", memory_limit="1GB", commit_bytes=commit_bytes, threads=threads)
    return [added[table].compared for table in tables]


def held(repository: Repository) -> dict[str, list[tuple[Any, ...]]]:
    with connect() as con:
        attach_repository(con, [repository.snapshot(table) for table in TABLES])
        return {table: fetch_all(con, f"FROM repository.{table} ORDER BY ALL") for table in TABLES}


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Any, ...]]]:
    """All documents measured, one table after the other."""
    repository = repository_in(tmp_path_factory.mktemp("apart"), [(at, 1) for at in range(len(TEXTS))])
    register(repository, "one", "three")
    for table in TABLES:
        assert run(repository, [table]) == [len(TEXTS)]
    found = held(repository)
    assert {row[1] for row in found["lists"] if row[6]} == {"rude", "sites"}
    assert {row[2] for row in found["contamination"] if row[5] >= 0} == {"one", "three"}
    return found


@pytest.mark.parametrize("seed", range(6))
def test_what_was_measured_before_batches_commits_and_threads_change_no_row(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apart: dict[str, list[tuple[Any, ...]]]
) -> None:
    draw = random.Random(seed)
    monkeypatch.setattr(pending, "TEXT_ROWS", draw.choice((5, 9, 512)))
    monkeypatch.setattr(parts, "HELD_BYTES", draw.choice((1, 9000, 1 << 20)))
    order = draw.sample(range(len(TEXTS)), len(TEXTS))
    register(Repository(tmp_path), "one")
    late = draw.randrange(3)
    for number, part in enumerate((order[:9], order[9:30], order[30:])):
        repository_in(tmp_path, [(at, day) for at in part for day in draw.sample(range(1, 29), 2)])
        register(Repository(tmp_path), *["three"] * (number == late))
        some = draw.sample(TABLES, draw.randint(1, 5))
        run(Repository(tmp_path), some, threads=draw.choice((1, 3)), commit_bytes=draw.choice((1, 9000)))
    run(Repository(tmp_path), TABLES, threads=2)
    assert held(Repository(tmp_path)) == apart
    assert run(Repository(tmp_path), TABLES) == [0] * len(TABLES)


def test_what_one_measure_says_anew_leaves_the_other_tables_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = repository_in(tmp_path, [(at, 1) for at in range(5)])
    register(repository, "one")
    assert run(repository, TABLES) == [5] * len(TABLES)
    with monkeypatch.context() as patch:
        patch.setitem(curation.VERSIONS, "paragraphs", -1)
        assert run(repository, TABLES) == [5 * (table == "paragraphs") for table in TABLES]
    register(repository, "three")
    assert run(repository, TABLES) == [5 * (table == "contamination") for table in TABLES]


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """DuckDB's plan of each query that streams documents from now on."""
    asked, stream = list[dict[str, Any]](), pending.stream

    def noted(con: Connection, sql: str, **given: Any) -> pa.RecordBatchReader:
        asked.extend(json.loads(fetch_all(con, f"EXPLAIN (FORMAT json) {sql}")[0][1]))
        return stream(con, sql, **given)

    monkeypatch.setattr(pending, "stream", noted)
    return asked


def reads_text(node: dict[str, Any]) -> bool:
    return "text" in node["extra_info"].get("Projections", ()) or any(map(reads_text, node["children"]))


def holds_text(node: dict[str, Any]) -> bool:
    """Whether a join holds the side, its second, that reads texts."""
    own = node["name"] == "HASH_JOIN" and reads_text(node["children"][1])
    return own or any(map(holds_text, node["children"]))


def test_a_list_that_reads_the_uri_alone_reads_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plans: list[dict[str, Any]]
) -> None:
    repository = repository_in(tmp_path, [(at, 1) for at in range(5)])
    run(repository, TABLES)
    monkeypatch.setitem(FILES, "recipes/lists/more.yaml", FILES["recipes/lists/sites.yaml"])
    assert run(repository, TABLES) == [5 * (table == "lists") for table in TABLES]
    assert list(map(reads_text, plans)) == [True, False]


def test_no_join_holds_texts(tmp_path: Path, plans: list[dict[str, Any]]) -> None:
    repository = repository_in(tmp_path, [(at, 1) for at in range(40)])
    register(repository, "one", "three")
    for tables in (TABLES[:1], TABLES[5:], TABLES):
        run(repository, tables)
    assert list(map(reads_text, plans)) == [True] * 3 and not any(map(holds_text, plans))


def test_a_measure_that_fails_leaves_what_was_committed_and_the_next_run_adds_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apart: dict[str, list[tuple[Any, ...]]]
) -> None:
    repository = repository_in(tmp_path, [(at, 1) for at in range(len(TEXTS))])
    register(repository, "one", "three")
    monkeypatch.setattr(pending, "TEXT_ROWS", 8)
    monkeypatch.setattr(parts, "HELD_BYTES", 1)
    whole, met = curation.pii, list[int]()

    def failing(batch: pa.RecordBatch) -> pa.RecordBatch:
        met.append(batch.num_rows)
        if len(met) == 4:
            raise OSError("no more of it")
        return whole(batch)

    with monkeypatch.context() as patch:
        patch.setattr(curation, "pii", failing)
        with pytest.raises(OSError, match="no more of it"):
            run(repository, TABLES, threads=2)
    assert 0 < len(held(repository)["signals"]) < len(TEXTS)
    run(repository, TABLES)
    assert held(repository) == apart


def test_any_table_runs_without_the_others_and_a_check_without_its_table(tmp_path: Path) -> None:
    (tmp_path / "warehouse.toml").write_text('name = "some"\n')
    project = load(tmp_path)
    register(repository_in(project.root, [(at, 1) for at in range(5)]), "one")
    suites = {f"repository.{table}": load_suites([EXPECTATIONS / f"repository.{table}.json"]) for table in TABLES}
    assets = measures_asset(project, suites, measured_tables("spacy_en", lists(project.root)))

    def ran(selection: dg.AssetSelection) -> tuple[set[str], set[str]]:
        """Tables that were made, tables of which a check passed."""
        done = dg.materialize([assets], selection=selection)
        verdicts = done.get_asset_check_evaluations()
        assert all(verdict.passed for verdict in verdicts)
        made = {event.asset_key.path[-1] for event in done.get_asset_materialization_events()}
        return made, {verdict.asset_key.path[-1] for verdict in verdicts}

    pii, signals = (dg.AssetKey(["repository", table]) for table in ("pii", "signals"))
    assert ran(dg.AssetSelection.assets(pii)) == ({"pii"}, {"pii"})
    assert Repository(project.root).tables() == ["benchmarks", "documents", "pii", "runs"]
    assert ran(dg.AssetSelection.assets(signals).without_checks()) == ({"signals"}, set())
    assert ran(dg.AssetSelection.checks_for_assets(signals)) == (set(), {"signals"})
    before = Repository(project.root).snapshot("pii").version
    assert ran(dg.AssetSelection.all()) == (set(TABLES), set(TABLES))
    assert Repository(project.root).snapshot("pii").version == before
    with connect() as con:
        attach_repository(con, [Repository(project.root).snapshot("runs")])
        costs = fetch_all(con, "SELECT asset, rows > 0, rows = 0 OR cpu_s > 0 FROM repository.runs ORDER BY ALL")
    made = [
        ("contamination", True),
        ("lists", True),
        ("minhash", True),
        ("paragraphs", True),
        ("pii", False),
        ("pii", True),
        ("signals", False),
        ("signals", True),
    ]
    assert costs == [(f"repository/{table}", rows, True) for table, rows in made]

"""A new project by the command line alone, from init to trace, and a gate that refuses."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from warehouse.cli.app import run
from warehouse.loader import Loader


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, warehouse) -> Path:
    """A project as init makes it, run and exported once."""
    folder = tmp_path_factory.mktemp("route") / "project"
    for arguments in (["init", str(folder)], ["run"], ["export", "example"]):
        ended = warehouse(*arguments, *([] if arguments[0] == "init" else ["--project", str(folder)]))
        assert ended.status == 0, ended.err
    return folder


@pytest.fixture
def here(made, monkeypatch) -> Path:
    """The working directory, which is that project."""
    monkeypatch.chdir(made)
    return made


def rows(warehouse, sql: str) -> list[dict[str, object]]:
    ended = warehouse("sql", sql, "--json")
    assert ended.status == 0, ended.err
    return list(json.loads(ended.out))


def test_init_makes_no_python_package_and_says_what_comes_next(tmp_path, warehouse):
    ended = warehouse("init", str(tmp_path / "new"))
    assert not list((tmp_path / "new").rglob("*.py"))
    assert sum("warehouse " in line for line in ended.out.partition("Next:")[2].splitlines()) == 3


def test_init_overwrites_nothing_and_leaves_other_files_alone(tmp_path, warehouse):
    (tmp_path / "other.txt").write_text("mine")
    assert warehouse("init", str(tmp_path)).status == 0
    (tmp_path / "warehouse.toml").write_text("# mine\n")
    again = warehouse("init", str(tmp_path))
    assert again.status == 2
    assert "exists already" in again.err
    assert (tmp_path / "warehouse.toml").read_text() == "# mine\n"


def test_the_example_keeps_twenty_notes_and_drops_a_copy_and_a_short_one(here, warehouse):
    decisions = rows(
        warehouse, "SELECT reason, count(*) AS n FROM curation.decisions WHERE rule_set = 'house' GROUP BY ALL"
    )
    assert {row["reason"]: row["n"] for row in decisions} == {None: 20, "duplicate_document": 1, "gopher_short_doc": 1}


def test_the_reason_of_every_decision_is_the_first_rule_that_fails(here, warehouse):
    wrong = rows(
        warehouse,
        """
        SELECT decisions.*, rules
        FROM curation.decisions JOIN curation.rules USING (doc_id, rule_set)
        WHERE list_filter(rules, lambda rule: rule.failed)[1].reason IS DISTINCT FROM
              CASE WHEN reason <> 'duplicate_document' THEN reason END""",
    )
    assert wrong == []
    both = rows(warehouse, "SELECT count(*) AS n FROM curation.decisions JOIN curation.rules USING (doc_id, rule_set)")
    assert both == rows(warehouse, "SELECT count(*) AS n FROM curation.decisions")


def test_explain_names_the_rule_the_value_the_limit_and_the_twin(here, warehouse):
    short = warehouse("explain", "notes/note-22", "--rules", "house").out
    assert "Dropped by house: gopher_short_doc, as 6 is below the limit of 30." in short
    copy = warehouse("explain", "notes/note-21").out
    assert "Dropped by house: duplicate_document. notes/note-07" in copy
    kept = warehouse("explain", "notes/note-07").out
    assert "Kept by house: it passes all " in kept
    assert {"notes/note-07", "Apache-2.0"} <= set(kept.split())


def test_explain_in_json_agrees_with_the_decisions_table(here, warehouse):
    answer = json.loads(warehouse("explain", "notes/note-22", "--json").out)
    table = rows(warehouse, "SELECT * FROM curation.decisions WHERE source = 'example' ORDER BY rule_set")
    table = [row for row in table if row["doc_id"] == answer["document"]["doc_id"]]
    for verdict, row in zip(answer["verdicts"], table, strict=True):
        assert {
            key: verdict[key] for key in ("rule_set", "kept", "reason", "value", "threshold")
        }.items() <= row.items()
        assert any(rule["failed"] for rule in verdict["rules"])


def test_a_release_is_verified_and_made_again_byte_for_byte(here, warehouse):
    ended = warehouse("verify", "example", "--rebuild")
    assert ended.status == 0
    assert "every hash is right" in ended.out
    assert "every byte is the same" in ended.out


def test_a_release_is_verified_by_path_outside_any_project(here, tmp_path, monkeypatch, warehouse):
    release = next((here / ".warehouse" / "datasets" / "example").glob("1"))
    monkeypatch.chdir(tmp_path)
    assert json.loads(warehouse("verify", str(release), "--json").out)["verified"]["files"] > 5


def test_a_flipped_byte_is_status_1_and_names_the_file(here, tmp_path, warehouse):
    copy = tmp_path / "copy"
    shutil.copytree(here / ".warehouse" / "datasets" / "example" / "1", copy)
    shard = next(path for path in sorted(copy.rglob("*.bin")) if path.stat().st_size)
    shard.chmod(0o644)
    content = bytearray(shard.read_bytes())
    content[10] ^= 1
    shard.write_bytes(content)
    ended = warehouse("verify", str(copy))
    assert (ended.status, shard.name in ended.err, len(ended.err.splitlines())) == (1, True, 1)


def test_trace_leads_from_a_token_to_the_bytes_of_its_source(here, warehouse):
    piece = json.loads(warehouse("trace", "example@1", "0", "3", "--json").out)[0]
    segment = piece["segment"]
    text = rows(warehouse, "SELECT doc_id, text FROM repository.documents")
    by_id = {row["doc_id"]: str(row["text"]).encode() for row in text}
    said = by_id[segment["doc_id"]][segment["text_start"] : segment["text_end"]].decode()
    assert segment["preview"] == said
    records = [json.loads(line) for line in Path(piece["object"]).read_bytes().splitlines()]
    assert segment["uri"] in {record["uri"] for record in records}
    assert piece["decision"]["kept"] is True
    assert "licence" in warehouse("trace", "example", "0").out


def test_trace_the_other_way_names_the_samples_and_the_step(here, tmp_path, warehouse):
    state, release = tmp_path / "state.json", here / ".warehouse" / "datasets" / "example" / "1"
    loader = Loader(release, batch=4)
    first = next(loader.batches())
    state.write_text(json.dumps(loader.state()))
    uri = json.loads(warehouse("trace", "example@1", str(first.samples[3]), "0", "--json").out)[0]["segment"]["uri"]
    asked = ("trace", "example@1", "--uri", uri, "--state", str(state), "--batch", "4", "--world", "2")
    held = {item["sample"]: item for item in json.loads(warehouse(*asked, "--json").out)["samples"]}
    assert held[int(first.samples[3])]["sighting"] == {"seen": True, "step": 0, "rank": 1, "row": 1}
    said = warehouse(*asked)
    assert f"{len(held)} samples hold" in said.out and "first at step 0" in said.out
    assert "and 1 more" in warehouse(*asked, "--limit", str(len(held) - 1)).out
    for wrong in (["0", "--uri", uri], [], ["--uri", uri, "--doc", "x"], ["--uri", uri, "--batch", "4"]):
        assert warehouse("trace", "example@1", *wrong).status == 2


def test_diff_of_a_version_with_itself_finds_nothing(here, warehouse):
    said = warehouse("diff", "example@1", "example")
    assert said.status == 0 and "4 of 4 the same bytes" in said.out and "removed" not in said.out
    assert json.loads(warehouse("diff", "example@1", "example@1", "--json").out)["added"] == []
    assert warehouse("diff", "example@1", "nowhere").status == 2
    assert "it is for rows and samples" in warehouse("diff", "example@1", "example", "--by", "source").err


def test_status_tells_tables_snapshot_releases_and_costs(here, warehouse):
    found = json.loads(warehouse("status", "--json").out)
    assert {table["name"]: table["rows"] for table in found["tables"]}["documents"] >= 22
    assert found["published"]["checks"] > 10
    assert found["releases"][0]["release"] == "example@1"
    assert {"sources/example", "published/snapshot", "datasets/example"} <= {item["asset"] for item in found["assets"]}
    out = warehouse("status").out
    assert {"documents", "example@1", "sources/example"} <= set(out.split())


def test_costs_name_power_and_grid_beside_energy_and_the_release_says_the_same(here, warehouse):
    found = json.loads(warehouse("status", "--costs", "--json").out)
    assert found["watt_hours"] == pytest.approx(sum(asset["watt_hours_of_all"] for asset in found["assets"]))
    assert found["watt_hours"] > 0 < found["grams_co2e"]
    out = warehouse("status", "--costs").out
    assert all(said in out for said in (" Wh", " g CO2e", "CPU s", *found["power_models"], *found["grids"]))
    release = here / ".warehouse/datasets/example/1"
    run = json.loads((release / "run.json").read_text())
    assert run["watt_hours"] > 0 < run["grams_co2e"]
    assert ([run["power_model"]], [run["grid"]]) == (found["power_models"], found["grids"])
    assert "watt_hours" not in (release / "manifest.json").read_text()


def test_ingest_writes_a_source_reads_it_and_reads_nothing_twice(here, warehouse):
    (here / "pages.jsonl").write_text(
        '{"text": "One page of text.", "title": "A page", "url": "https://a.example/1"}\n'
    )
    first = warehouse("ingest", "pages.jsonl", "--licence", "CC0-1.0")
    assert first.out.splitlines()[:2] == [
        "wrote recipes/sources/pages.yaml",
        "rows: 1 in, 1 written, 0 unchanged, 0 rejected",
    ]
    again = warehouse("ingest", "pages.jsonl")
    assert again.out.splitlines()[:3] == [
        "recipes/sources/pages.yaml states this already",
        "rows: 0 in, 0 written, 0 unchanged, 0 rejected",
        "objects: 1 of 1 had not changed",
    ]
    (here / "more.jsonl").write_text('{"text": "Another page of text."}\n')
    assert "extended recipes/sources/pages.yaml" in warehouse("ingest", "more.jsonl", "--as", "pages").out


def test_ingest_takes_a_table_without_text_as_a_table_of_its_own(here, warehouse):
    (here / "chips.csv").write_text("owner,count\nus,7\nthem,12\n")
    assert warehouse("ingest", "chips.csv").status == 0
    tables = {table["name"]: table for table in json.loads(warehouse("status", "--json").out)["tables"]}
    assert tables["chips"]["rows"] == 2


def test_ingest_hints_at_rejects_and_rejects_shows_them(here, warehouse):
    good = "".join(json.dumps({"text": f"Line {number} is fine."}) + "\n" for number in range(60))
    (here / "mixed.jsonl").write_text(good + "not json\n")
    ended = warehouse("ingest", "mixed.jsonl")
    assert (ended.status, "warehouse rejects mixed" in ended.out) == (0, True)
    found = json.loads(warehouse("rejects", "mixed", "--json").out)
    assert (found["total"], found["reasons"][0]["rejects"]) == (1, 1)
    assert bytes.fromhex(found["examples"][0]["first_bytes"]).startswith(b"not json")
    assert "not json" in warehouse("rejects").out
    assert warehouse("rejects", "example").out == "nothing was rejected of example\n"


def test_a_source_that_is_mostly_rejects_is_status_1_and_keeps_them(here, warehouse):
    (here / "broken.jsonl").write_text("a\nb\nc\n")
    ended = warehouse("ingest", "broken.jsonl")
    assert (ended.status, len(ended.err.splitlines())) == (1, 1)
    assert json.loads(warehouse("rejects", "broken", "--json").out)["total"] == 3
    (here / "recipes" / "sources" / "broken.yaml").unlink()


def test_a_gate_that_refuses_shows_the_failed_check_and_the_last_snapshot_stays(here, warehouse):
    before = json.loads(warehouse("status", "--json").out)["published"]["n"]
    suite = here / "expectations" / "curation.decisions.json"
    suite.parent.mkdir(exist_ok=True)
    expectation = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "source", "value_set": ["other"]}}
    suite.write_text(json.dumps({"name": "poisoned", "expectations": [expectation]}))
    ended = warehouse("run")
    suite.unlink()
    assert (ended.status, len(ended.err.splitlines())) == (1, 1), ended.err
    failed = next(line for line in ended.out.splitlines() if line.startswith("curation/decisions"))
    decisions = rows(warehouse, "SELECT count(*) AS n FROM curation.decisions WHERE source = 'example'")[0]["n"]
    assert int(failed.split()[2].replace(",", "")) >= decisions
    assert "example" in failed
    assert json.loads(warehouse("status", "--json").out)["published"]["n"] == before


def test_a_name_with_plus_runs_what_comes_after_it(here, warehouse):
    ended = warehouse("run", "sources/example+")
    assert ended.status == 0, ended.err
    assert {"sources/example", "repository/documents", "published/snapshot", "datasets/example"} <= set(
        ended.out.split()
    )


def test_a_project_is_named_before_or_after_the_verb(made, tmp_path, monkeypatch, warehouse):
    monkeypatch.chdir(tmp_path)
    first = warehouse("--project", str(made), "sql", "SELECT 1 AS a")
    assert first == warehouse("sql", "SELECT 1 AS a", "--project", str(made))
    assert first.status == 0


def test_the_ui_command_serves_this_project(here, monkeypatch):
    called: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr("os.execvpe", lambda *arguments: called.append(arguments))
    assert run(["ui", "--port", "34567"]) == 0
    [(program, arguments, environment)] = called
    assert (program, "34567" in arguments) == (arguments[0], True)
    assert environment["DAGSTER_HOME"].startswith(str(here))


@pytest.mark.parametrize("after_s", [0.5, 2.5])
def test_ctrl_c_in_a_run_is_one_line_and_the_snapshot_stays_readable(after_s, here, warehouse):
    for _ in range(3):  # Python loses the interrupt where it falls into a weak reference's callback, 1 time in 40
        status, err = interrupted_run(after_s)
        if status != 0:
            break
    assert status in (130, -signal.SIGINT)
    assert err.strip() == "warehouse run: stopped. What was committed stays; run it again to finish."
    assert warehouse("sql", "SELECT 1").status == 0


def interrupted_run(after_s: float) -> tuple[int, str]:
    """Exit status and stderr of a run that gets SIGINT after some seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "warehouse.cli", "run"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    return process.returncode, err

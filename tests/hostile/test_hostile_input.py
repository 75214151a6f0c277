"""The command line against hostile files, signals and a full disk: rows, rejects or one line; never a traceback."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from commanding import one_line, warehouse
from deltalake import DeltaTable, write_deltalake

from warehouse.contracts import ObjectFact
from warehouse.project import load
from warehouse.repository import Repository

GOOD = b"".join(b'{"text": "line %d of a text"}\n' % number for number in range(40))


@pytest.mark.parametrize("place", ["https://bucket/x", "file:///tmp/x", "S3A://b", "az+x://b"])
@pytest.mark.parametrize("key", ["root", "state"])
def test_a_root_or_state_that_is_a_url_is_refused_and_no_folder_of_that_name_is_made(key, place, here, monkeypatch):
    before = sorted(here.rglob("*"))
    monkeypatch.setenv(f"WAREHOUSE_{key.upper()}", place)
    ended = warehouse("run")
    assert one_line(ended, 2) and f"WAREHOUSE_{key.upper()}: {place.partition('/')[0]}" in ended.err
    monkeypatch.delenv(f"WAREHOUSE_{key.upper()}")
    (here / "warehouse.toml").write_text(f'name = "p"\n{key} = "{place}"\n')
    ended = warehouse("run")
    assert one_line(ended, 2) and "warehouse.toml:2:" in ended.err and "Allowed: a folder" in ended.err
    assert sorted(here.rglob("*")) == before


def test_a_delta_table_comes_in_by_its_folder_and_files_of_it_are_refused_before_a_recipe_is_written(here):
    write_deltalake(here / "data" / "t", pa.table({"text": ["kept", "removed"]}))
    DeltaTable(here / "data" / "t").delete("text = 'removed'")
    recipe = here / "recipes" / "sources" / "t.yaml"
    ended = warehouse("ingest", "data", "--as", "t")
    assert one_line(ended, 2) and "data leads into a Delta table, t, whose files" in ended.err and not recipe.exists()
    recipe.write_text("uri: data\n")
    ended = warehouse("run", "sources/t")
    assert one_line(ended, 1) and "data leads into a Delta table, t, whose files" in ended.err
    recipe.unlink()
    ended = warehouse("ingest", "data/t", "--as", "t", "--table", "documents")
    assert ended.status == 0 and "rows: 1 in, 1 written" in ended.out


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return packed.getvalue()


REFUSED = {
    "table.avro": b"Obj\x01" + bytes(64),
    "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "book.docx": zipped(word__xml=b"<w/>"),
    "cut.bz2": bz2.compress(b"x" * 1000)[:20],
    "rows.tar.xz": b"\xfd7zXZ\0" + bytes(64),
    "nothing": b"",
    "empty.zip": b"",
    "hollow.zip": zipped(),
    "cut.zip": zipped(a__jsonl=GOOD)[:20],
    "cut.gz": gzip.compress(b"x" * 1000)[:12],
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_no_reader_knows_is_refused_by_name_and_nothing_is_stated(name, here):
    (here / name).write_bytes(REFUSED[name])
    ended = warehouse("ingest", name, "--as", "hostile")
    assert one_line(ended, 2), ended.err
    assert name in ended.err
    assert not (here / "recipes" / "sources" / "hostile.yaml").exists()


def test_what_is_no_file_is_refused_at_once(here):
    os.mkfifo(here / "fifo.jsonl")
    (here / "loop.jsonl").symlink_to("loop.jsonl")
    (here / "dangling.jsonl").symlink_to("nowhere")
    (here / "hollow" / "below").mkdir(parents=True)
    for uri in (
        "fifo.jsonl",
        "loop.jsonl",
        "dangling.jsonl",
        "hollow",
        "/dev/zero",
        "-",
        "",
        "${HOME}",
        "\udcff.jsonl",
    ):
        ended = warehouse("ingest", "--as", "hostile", "--", uri)
        assert one_line(ended, 2), (uri, ended.err)


HOSTILE = {
    "nul.jsonl": (GOOD + b"\0\0\n", 40, 1),
    "surrogate.jsonl": (GOOD + b'{"text": "\\ud800"}\n', 41, 0),
    "deep.jsonl": (GOOD + b'{"text": ' + b"[" * 100_000 + b"\n", 40, 1),
    "marked.jsonl": (b"\xef\xbb\xbf" + GOOD, 40, 0),
    "cut.jsonl.gz": (gzip.compress(GOOD)[:-4], 40, 1),
    "behind.jsonl.gz": (gzip.compress(GOOD) + b"behind", 40, 1),
    "nested.zip": (zipped(inner__zip=zipped(a__jsonl=GOOD), b__jsonl__gz=gzip.compress(GOOD)), 80, 0),
    "outside.zip": (zipped(**{"../../up__jsonl": GOOD}), 0, 1),
    "headless.zip": (zipped(a__jsonl=GOOD)[:-30], 40, 1),
    "bomb.zip": (zipped(a__jsonl=GOOD, b__jsonl=b"0" * (20 << 20)), 40, 1),
    "long.jsonl": (GOOD + b'{"text": "' + b"a b " * (17 << 20) + b'"}\n', 40, 1),
    "quoted.csv": (b'a,b\n1,2\n3,"4\n', 1, 1),
    "marked.csv": (b"\xef\xbb\xbfa,b\n1,2\n", 1, 0),
    "exact.jsonl": (b'{"n": 0.5}\n{"n": 9223372036854775807}\n', 1, 1),
    "binary.txt": (bytes(range(256)), 0, 1),
    "nothing.parquet": (b"", 0, 1),
    "page.html": (b"<html><body>A page.</body></html>", 1, 0),
    "deep.html": (b"<html>" + b"<b>" * 50_000, 0, 0),
    "crawl.warc": (b"WARC/1.0\r\nWARC-Type: response\r\n\r\n", 0, 1),
    "crawl.warc.gz": (gzip.compress(b"WARC/1.0\r\n"), 0, 1),
    "mail.eml": (b"From: a@b\nTo: c@d\n\nHello.\n", 1, 0),
    "paper.pdf": (b"%PDF-1.4\n", 0, 1),
    "laughs.xml": (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><x>&b;</x>', 0, 1),
    "cut.xml": (b"<?xml version='1.0'?><x>text", 0, 1),
    "table.arrow": (b"ARROW1\0\0" + bytes(64), 0, 1),
}


TYPED = ("quoted.csv", "marked.csv", "exact.jsonl", "nothing.parquet")


def test_every_object_becomes_rows_and_rejects_that_add_up(here):
    for number, (name, (content, _, _)) in enumerate(HOSTILE.items()):
        (here / name).write_bytes(content)
        table = f"typed_{number}" if name in TYPED else "documents"
        recipe = f"uri: {name}\nmax_reject_share: 1.0\ntable: {table}\n"
        (here / "recipes" / "sources" / f"s{number}.yaml").write_text(recipe)
    ended = warehouse("run", *(f"sources/s{number}" for number in range(len(HOSTILE))))
    assert (ended.status, ended.err) == (0, "")
    repository = Repository(load(here).root)
    facts = [fact for table in repository.tables() for fact in objects(repository, table)]
    counted = {fact.uri: (fact.rows_out, fact.rejected) for fact in facts}
    assert counted == {name: (rows, rejects) for name, (_, rows, rejects) in HOSTILE.items()}
    assert all(fact.rows_in == fact.rows_out + fact.rejected + fact.dropped for fact in facts)
    told = json.loads(warehouse("rejects", "--json").out)
    assert told["total"] == sum(rejects for _, rejects in counted.values())


def objects(repository: Repository, table: str) -> list[ObjectFact]:
    return [fact for receipt in repository.receipts(table) for fact in receipt.objects]


def test_names_of_any_bytes_are_told_apart_and_kept(here):
    names = [
        b"\xff",
        b"%FF",
        b"new\nline",
        "\u2028".encode(),
        b"a=b:c d%2Fe",
        b"\x1b[31m",
        b"'\"",
        b"[b]",
        b"#?",
        b"$x",
    ]
    (here / "in").mkdir()
    for name in names:
        (here / "in" / os.fsdecode(name + b".jsonl")).write_bytes(json.dumps({"text": name.hex()}).encode())
    assert warehouse("ingest", "in", "--as", "named").status == 0
    repository = Repository(load(here).root)
    uris = [fact.uri for fact in objects(repository, "documents")]
    assert len(set(uris)) == len(names)
    assert {uri for uri in uris if uri.startswith("in/")} == {f"in/{name.decode()}.jsonl" for name in names[1:]}
    listed = warehouse("status")
    assert (listed.status, "\x1b" in listed.out) == (0, False)


def write_notes(path: Path, count: int) -> None:
    """Notes of 500 bytes each, none like another."""
    numbers = random.Random(count)
    words = ["the", "of", "and", "to", *(f"word{number}" for number in range(999))]
    sentences = (" ".join(numbers.choices(words, k=12)).capitalize() + "." for _ in iter(int, 1))
    path.write_text(
        "".join(json.dumps({"text": " ".join(next(sentences) for _ in range(6))}) + "\n" for _ in range(count))
    )


def began(*arguments: str) -> subprocess.Popen[str]:
    """The command line in a process of its own, in its first line of code."""
    argv = [sys.executable, "-c", "from warehouse.cli import main; print(flush=True); main()", *arguments]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def stopped(*arguments: str, after_s: float) -> tuple[int, str]:
    process = began(*arguments)
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_ctrl_c_leaves_whole_commits_and_whole_releases_only(here):
    write_notes(here / "data" / "many.jsonl", 4000)
    assert warehouse("run").status == 0
    for verb in (["ingest", "data/many.jsonl", "--as", "many"], ["export", "example"]):
        for after_s in (0.3, 1.7):
            status, err = stopped(*verb, after_s=after_s)
            assert status in (0, 130, -signal.SIGINT), err
            assert len(err.strip().splitlines()) <= 1, err
            assert "Traceback" not in err
        assert warehouse(*verb).status == 0
    root = load(here).root
    assert Repository(root).snapshot("documents").rows == 4022
    assert not [*root.glob("archive/tmp/*"), *root.rglob("_staging/*")]
    releases = [path for path in (root / "datasets" / "example").iterdir() if path.is_dir()]
    assert all(warehouse("verify", f"example@{path.name}").status == 0 for path in releases)


def test_two_ingestions_of_one_source_at_once_write_every_record_once(here):
    write_notes(here / "data" / "many.jsonl", 4000)
    both = [began("ingest", "data/many.jsonl", "--as", "many") for _ in range(2)]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in both]
    assert all(status == 0 or "Traceback" not in err for err, status in ended)
    assert 0 in {status for _, status in ended}
    assert Repository(load(here).root).snapshot("documents").rows == 4000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(argv, check=False, capture_output=True).returncode:
        pytest.skip("needs leave to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


def squeeze(disk: Path, kilobytes: int) -> None:
    """Fill the disk until so much room is left."""
    (disk / "ballast").unlink(missing_ok=True)
    held = os.statvfs(disk)
    (disk / "ballast").write_bytes(bytes(max(0, held.f_bavail * held.f_frsize - kilobytes * 1024)))


def test_init_on_a_full_disk_makes_nothing_and_with_room_a_whole_project(disk):
    squeeze(disk, 16)
    ended = warehouse("init", str(disk / "p"))
    assert one_line(ended, 1), ended.err
    assert not [path for path in (disk / "p").rglob("*") if path.is_file()]
    squeeze(disk, 1000)
    assert warehouse("init", str(disk / "p")).status == 0


@pytest.mark.parametrize("state", ["elsewhere", "on the same disk"])
def test_on_a_full_disk_each_verb_says_so_the_last_state_is_readable_and_with_room_it_completes(
    state, here, disk, tmp_path, monkeypatch
):
    monkeypatch.setenv("WAREHOUSE_ROOT", str(disk / "root"))
    if state == "elsewhere":
        monkeypatch.setenv("WAREHOUSE_STATE", str(tmp_path / "state"))
    assert warehouse("run").status == 0
    write_notes(here / "data" / "many.jsonl", 2000)
    decided = ("sql", "SELECT count(*) AS n FROM curation.decisions", "--json")
    for verb, rooms in (
        (["ingest", "data/many.jsonl", "--as", "many"], (8, 900)),
        (["run"], (8, 500)),
        (["export", "example"], (8,)),
    ):
        before = warehouse(*decided)
        for kilobytes in rooms:
            squeeze(disk, kilobytes)
            ended = warehouse(*verb)
            assert (ended.status, "Traceback" in ended.err) == (1, False), ended.err
            assert "no space left" in ended.err.splitlines()[-1]
            assert warehouse(*decided) == before
        squeeze(disk, 40_000)
        assert warehouse(*verb).status == 0
    repository = Repository(disk / "root")
    assert repository.snapshot("documents").rows == repository.snapshot("signals").rows == 2022
    assert not [
        *disk.glob("root/archive/tmp/*"),
        *disk.rglob("_staging/*"),
        *disk.rglob(".building*"),
        *disk.rglob("*.draft"),
    ]
    assert warehouse("verify", "example@1").status == 0


def test_real_files_of_every_kind_end_as_rows_rejects_or_one_line(here, shared_data: Path):
    chosen = [
        "parquet_testing/bad_data/ARROW-GH-41317.parquet",
        "parquet_testing/data/nested_maps.snappy.parquet",
        "csv_spectrum/csvs",
        "webcrawl_warc",
        "html_gold_scrapinghub/html",
        "ai_models_epoch/chip_dataset.csv",
        "energy_owid.zip",
    ]
    for number, name in enumerate(chosen):
        ended = warehouse("ingest", str(shared_data / name), "--as", f"real_{number}")
        assert (ended.status == 0 and "rows: " in ended.out) or one_line(ended, 1, 2), (name, ended.err)

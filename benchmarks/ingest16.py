"""Ingestion beside the bare parsers and peers: overhead in CPU seconds, main text of pages, memory of a large file.

    make bench AREA=ingest
    make bench AREA=ingest ARGS="--own"               without the peers
    make bench AREA=ingest ARGS="--gigabytes 0"       without the large file
    make bench AREA=ingest ARGS="--own --only parquet parquet_4x"   the overhead of these alone

Ours is the asset ``sources/<name>`` whole, as ``runs`` counts it: the raw archive, identities, rejects, receipts and
the Delta commit; Parquet and HTML in processes of their own. Bare is the parser under it and write_deltalake with our
writer's properties (zstd of level 1, as many rows a group as ours makes, no dictionaries and no statistics of text),
in one process: orjson and pyarrow's from_pylist, pyarrow's Parquet and CSV readers, FastWARC with our page reader for
HTML, FastWARC and a decoder of UTF-8 for text (WET). Bare keeps no copy of the input, hashes nothing, counts nothing,
and would be ended by a file that its parser cannot bear. dlt 1.31.0 writes the same JSON Lines as Parquet, warcio 1.8.1
only iterates over the records of the same archive.

Each in a process of its own, ours and bare in turns, five rounds: the median of the CPU seconds of it and its children,
start-up apart, and their range; the overhead is the one median over the other. Below them what ours alone has to do, in
this process and apart from all else: a copy of the raw object with its sha256, blake2b of each text, blake2b of each
identity, and of Parquet what a process that decodes costs more than decoding in this one.

Input, made here from fixed seeds: 200 MB of text as JSON Lines and as Parquet, 100 MB of CSV with five types, the gold
pages of ../shared/data at four addresses each as WARC, their texts at a hundred as WET; parquet_4x has the rows of the
Parquet file four times, for what is the same at every size weighs less on a larger one. JSONTestSuite and delta-io's
golden tables: how many files are read wrongly, how many tables right. grown_jsonl_share: CPU seconds of reading on the
JSON Lines, which grew by 1 % in whole lines, over those of reading them first. parallel_speedup: seconds of eight
archives of the gold pages with threads = 1 over those with 2; parallel_rss_ratio: peak memory of the process and those
below it, pages that several share counted once (PSS, looked at every 50 ms), with 2 over that with 1. Last line: one
JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import delta_golden
import orjson
import pages
import peers
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import route
from deltalake import ColumnProperties, WriterProperties, write_deltalake
from fastwarc.warc import ArchiveIterator, WarcRecordType

from pipelines.run import run_assets
from warehouse.contracts import BATCH_BYTES, Reject
from warehouse.project import Project, load
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository
from warehouse.repository.documents import content_hashes, doc_ids
from warehouse.sources import Limits, Located, Source, arrow_parsing, closing_parser, read
from warehouse.sources.containers import Member
from warehouse.sources.page import page

TEXT_BYTES, CSV_BYTES = 200_000_000, 100_000_000
ADDRESSES = {"response": 16, "conversion": 100}
ROUNDS = 5
ARCHIVES = 4
RECIPES = {
    "jsonl": "reader: jsonl\nuri: texts.jsonl\n",
    "parquet": "reader: parquet\nuri: texts.parquet\n",
    "parquet_4x": "reader: parquet\nuri: texts_4x.parquet\n",
    "csv": "reader: csv\nuri: rows.csv\ntable: measurements\n",
    "warc": "reader: warc\nuri: pages.warc.gz\n",
    "wet": "reader: warc\nuri: pages.warc.wet.gz\n",
}
GROUP_ROWS = {"jsonl": 3_700, "parquet": 3_700, "parquet_4x": 3_700, "csv": 76_000, "warc": 724, "wet": 3_000}
"""About as many rows has a row group of ours."""


def main() -> None:
    """Make the input, measure, print a line a kind and the JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--own", action="store_true", help="without the peers")
    arguments.add_argument("--only", nargs="+", choices=RECIPES, help="the overhead of these kinds, and nothing else")
    arguments.add_argument("--gigabytes", type=float, default=5.0, help="size of the large file")
    arguments.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.measure:
        how, kind, folder = given.measure
        print(json.dumps({"ours": ours, "bare": bare, "grown": grown, "at_once": at_once}[how](kind, Path(folder))))
        return
    with tempfile.TemporaryDirectory(prefix="bench-ingest-", dir=os.environ.get("BENCH_TMP")) as name:
        if given.only:
            print(json.dumps(overheads(Path(name), own=given.own, kinds=given.only)))
            return
        figures = overheads(Path(name), own=given.own, kinds=list(RECIPES)) | growth(Path(name)) | parallel(Path(name))
        if given.gigabytes:
            figures |= large(Path(name), given.gigabytes)
    data = pages.PAGES.parent
    figures |= html(own=given.own) | {"json_suite_wrong": wrong_json(data)} | delta_golden.measure(data)
    print(json.dumps(figures))


def overheads(folder: Path, *, own: bool, kinds: list[str]) -> dict[str, float]:
    """CPU seconds of ours over those of the bare parser with write_deltalake, by kind."""
    files = made(folder)
    asked = [(how, kind) for kind in kinds for how in ("ours", "bare")]
    asked += [] if own else [peer for peer in (("dlt", "jsonl"), ("warcio", "warc")) if peer[1] in kinds]
    spent: dict[tuple[str, str], list[float]] = {each: [] for each in asked}
    rows = {}
    for turn in range(ROUNDS):
        for each in asked if turn % 2 else reversed(asked):
            answer = measured(*each, folder)
            spent[each].append(answer["cpu_s"])
            rows[each] = answer["rows"]
    figures = {}
    print(f"{'input':11}{'MB':>6}{'by':>8}{'rows':>10}{'CPU s':>8}{'least':>7}{'most':>7}{'MB/CPU s':>10}")
    for how, kind in asked:
        seconds, size = spent[how, kind], files[kind].stat().st_size / 1e6
        middle = median(seconds)
        print(
            f"{kind:11}{size:6.0f}{how:>8}{rows[how, kind]:10,}"
            f"{middle:8.2f}{min(seconds):7.2f}{max(seconds):7.2f}{size / middle:10.1f}"
        )
        if how == "ours":
            figures[f"{kind}_overhead"] = round(middle / median(spent["bare", kind]), 2)
    besides(files)
    return figures


def besides(files: dict[str, Path]) -> None:
    """CPU seconds of what ours has to do and bare has not, the median of ROUNDS."""
    texts = [batch["text"].cast(pa.large_string()) for batch in parquet(files["parquet"].parent)]
    hashes = [content_hashes(each) for each in texts]
    uris = [pa.repeat(files["jsonl"].as_uri(), len(each)) for each in hashes]
    records = [pa.array(map(str, range(len(each))), pa.string()) for each in hashes]
    member = Member("texts", "texts.parquet", lambda: files["parquet"].open("rb"))

    def archived(kind: str) -> None:
        with tempfile.TemporaryDirectory(dir=files[kind].parent) as root:
            Repository(Path(root)).archive(files[kind])

    def identities() -> None:
        for each in zip(uris, records, hashes, strict=True):
            doc_ids("texts", *each)

    def elsewhere() -> None:
        with closing_parser():
            for _ in arrow_parsing.batches(member, "parquet", Limits()):
                pass

    parts: dict[str, Callable[[], object]] = {
        "archive of the JSON Lines": lambda: archived("jsonl"),
        "archive of the Parquet file": lambda: archived("parquet"),
        "content hashes": lambda: [content_hashes(each) for each in texts],
        "identities": identities,
        "Parquet decoded elsewhere": elsewhere,
        "Parquet decoded here": lambda: sum(batch.num_rows for batch in parquet(files["parquet"].parent)),
    }
    for name, done in parts.items():
        seconds = []
        for _ in range(ROUNDS):
            before = used()
            done()
            seconds.append(used() - before)
        print(f"{name:30}{median(seconds):6.2f} CPU s, {min(seconds):.2f} to {max(seconds):.2f}")


def measured(how: str, kind: str, folder: Path) -> dict[str, Any]:
    """What a process of its own says: cpu_s, rows, and of ours peak_rss."""
    if how in ("ours", "bare", "grown", "at_once"):
        argv: list[object] = [sys.executable, __file__, "--measure", how, kind, folder]
    else:
        argv = [peers.interpreter(), Path(__file__).with_name("ingest_peers.py"), how, folder]
    said: dict[str, Any] = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
    return said


def growth(folder: Path) -> dict[str, float]:
    """CPU seconds of what JSON Lines grew by over those of the first reading, the least of the rounds."""
    spent = [measured("grown", "jsonl", folder) for _ in range(ROUNDS)]
    first, rest = (min(each[name] for each in spent) for name in ("first_cpu_s", "cpu_s"))
    print(f"JSON Lines, 1 % more: {rest:.2f} CPU s, first reading {first:.2f}")
    return {"grown_jsonl_share": round(rest / first, 3)}


def grown(kind: str, folder: Path) -> dict[str, float]:
    """A copy of the file is read, grows by a hundredth, and is read on."""
    with tempfile.TemporaryDirectory(prefix="grown-", dir=folder) as name:
        lines = (folder / "texts.jsonl").read_bytes().splitlines(keepends=True)
        file = Path(name) / "texts.jsonl"
        file.write_bytes(b"".join(lines))
        project = made_project(kind, Path(name))
        first = costs(project, kind)
        with file.open("ab") as more:
            more.writelines(lines[: len(lines) // 100])
        del lines
        return {"first_cpu_s": first["cpu_s"], **costs(project, kind)}


def parallel(folder: Path) -> dict[str, float]:
    """Seconds and peak memory of eight archives with one and two threads, CPU seconds beside them."""
    given = list(pages.pages().values())
    (folder / "archives").mkdir()
    for number in range(ARCHIVES):
        path = folder / f"archives/{number}.warc.gz"
        archive(path, "response", "application/http; msgtype=response", map(response, given))
    one, two = (measured("at_once", threads, folder) for threads in ("1", "2"))
    for each in (one, two):
        print("archives at once:", json.dumps(each))
    return {
        "parallel_speedup": round(one["wall_s"] / two["wall_s"], 2),
        "parallel_rss_ratio": round(two["peak_pss"] / one["peak_pss"], 2),
    }


def at_once(threads: str, folder: Path) -> dict[str, float]:
    """The source of the archives in a new project."""
    with tempfile.TemporaryDirectory(prefix="project-", dir=folder) as name:
        project = made_project("warc", folder, Path(name))
        (Path(name) / "recipes/sources/warc.yaml").write_text(f"uri: {folder}/archives\nmax_reject_share: 0\n")
        project = replace(project, threads=int(threads))
        peak = [0]
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.05):
                peak[0] = max(peak[0], pss(os.getpid()))

        watcher = threading.Thread(target=watch)
        watcher.start()
        before = time.perf_counter()
        spent = costs(project, "warc")
        wall = time.perf_counter() - before
        ended.set()
        watcher.join()
        return {"threads": int(threads), "wall_s": round(wall, 2), "peak_pss": peak[0], **spent}


def pss(process: int) -> int:
    """Bytes of memory of a process and those below it, what several share in equal parts; 0 of one that is gone."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        below = [each.read_text() for each in Path(f"/proc/{process}/task").glob("*/children")]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own = next((int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return own + sum(pss(int(each)) for each in " ".join(below).split())


def ours(kind: str, folder: Path) -> dict[str, float]:
    """The asset of a new project that has this source alone."""
    with tempfile.TemporaryDirectory(prefix="project-", dir=folder) as name:
        return costs(made_project(kind, folder, Path(name)), kind)


def made_project(kind: str, data: Path, folder: Path | None = None) -> Project:
    """A project that has a source of the kind alone, of the file in ``data``; there too, where no folder is stated."""
    folder = folder or data
    recipes = folder / "recipes/sources"
    recipes.mkdir(parents=True)
    recipe = RECIPES[kind].replace("uri: ", f"uri: {data}/")
    (recipes / f"{kind}.yaml").write_text(f"{recipe}licence: PSF-2.0\nmax_reject_share: 0\n")
    (folder / "warehouse.toml").write_text('name = "bench"\n')
    os.environ["WAREHOUSE_ROOT"] = f"{folder}/root"
    return load(folder)


def costs(project: Project, kind: str) -> dict[str, float]:
    """What a run of the source costs."""
    run_assets(project, [f"sources/{kind}"])
    con = connect()
    attach_repository(con, [Repository(project.root).snapshot("runs")])
    sql = "SELECT cpu_s, rows, peak_rss FROM repository.runs WHERE asset = ? ORDER BY started_at DESC LIMIT 1"
    ((cpu_s, rows, peak),) = fetch_all(con, sql, [f"sources/{kind}"])
    return {"cpu_s": cpu_s, "rows": rows, "peak_rss": peak}


def bare(kind: str, folder: Path) -> dict[str, float]:
    """The parser alone, into a Delta table."""
    plain = ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE")
    properties = WriterProperties(
        compression="ZSTD",
        max_row_group_size=GROUP_ROWS[kind],
        default_column_properties=plain if kind != "csv" else None,
    )
    before = used()
    batches = PARSERS[kind](folder)
    first = next(batches)
    rows = first.num_rows

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        yield first
        for batch in batches:
            rows += batch.num_rows
            yield batch

    with tempfile.TemporaryDirectory(dir=folder) as table:
        reader = pa.RecordBatchReader.from_batches(first.schema, counted())
        write_deltalake(table, reader, writer_properties=properties)
        return {"cpu_s": used() - before, "rows": rows}


def used() -> float:
    """CPU seconds of this process and of its children that ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def jsonl(folder: Path) -> Iterator[pa.RecordBatch]:
    with (folder / "texts.jsonl").open("rb") as file:
        while lines := file.readlines(BATCH_BYTES):
            yield pa.RecordBatch.from_pylist([orjson.loads(line) for line in lines])


def parquet(folder: Path, name: str = "texts.parquet") -> Iterator[pa.RecordBatch]:
    yield from pq.ParquetFile(folder / name).iter_batches(GROUP_ROWS["parquet"])


def parquet_4x(folder: Path) -> Iterator[pa.RecordBatch]:
    yield from parquet(folder, "texts_4x.parquet")


def csv(folder: Path) -> Iterator[pa.RecordBatch]:
    yield from pyarrow.csv.open_csv(folder / "rows.csv")


def warc(folder: Path) -> Iterator[pa.RecordBatch]:
    yield from documents(folder / "pages.warc.gz", "response", lambda raw: page(raw, None)["text"])


def wet(folder: Path) -> Iterator[pa.RecordBatch]:
    yield from documents(folder / "pages.warc.wet.gz", "conversion", bytes.decode)


PARSERS: dict[str, Callable[[Path], Iterator[pa.RecordBatch]]] = {
    **{"jsonl": jsonl, "parquet": parquet, "parquet_4x": parquet_4x, "csv": csv, "warc": warc, "wet": wet}
}


def documents(path: Path, kind: str, text: Callable[[bytes], str | None]) -> Iterator[pa.RecordBatch]:
    """Address, date and text of the records of a kind, by FastWARC."""
    with path.open("rb") as file:
        records = ArchiveIterator(file, record_types=getattr(WarcRecordType, kind))
        rows = (
            {
                "uri": each.headers["WARC-Target-URI"],
                "date": each.headers["WARC-Date"],
                "text": text(each.reader.read()),
            }
            for each in records
        )
        while some := list(islice(rows, 256)):
            yield pa.RecordBatch.from_pylist([row for row in some if row["text"]])


def made(folder: Path) -> dict[str, Path]:
    """The input by kind."""
    texts = folder / "texts.jsonl"
    with texts.open("w") as file:
        file.writelines(route.lines(TEXT_BYTES))
    table = pa.Table.from_pylist(list(map(orjson.loads, texts.read_bytes().splitlines())))
    pq.write_table(table, folder / "texts.parquet", compression="zstd", row_group_size=1_000)
    with pq.ParquetWriter(folder / "texts_4x.parquet", table.schema, compression="zstd") as writer:
        for _ in range(4):
            writer.write_table(table, row_group_size=1_000)
    numbers, size = random.Random(0), 0
    with (folder / "rows.csv").open("w") as file:
        size += file.write("id,measured,value,station,day\n")
        while size < CSV_BYTES:
            number, value = numbers.randrange(10**9), numbers.random()
            day = f"20{number % 25:02}-{number % 12 + 1:02}-{number % 28 + 1:02}"
            size += file.write(f"{number},{number % 1_000},{value},station {number % 97},{day}\n")
    given = [raw for raw in pages.pages().values()]
    read = pages.ours()
    archive(folder / "pages.warc.gz", "response", "application/http; msgtype=response", map(response, given))
    archive(folder / "pages.warc.wet.gz", "conversion", "text/plain", ((read(raw) or "").encode() for raw in given))
    parquets = {"parquet": folder / "texts.parquet", "parquet_4x": folder / "texts_4x.parquet"}
    return {"jsonl": texts, **parquets, "csv": folder / "rows.csv"} | {
        "warc": folder / "pages.warc.gz",
        "wet": folder / "pages.warc.wet.gz",
    }


def response(raw: bytes) -> bytes:
    """A page as a server sends it."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(raw), raw)


def archive(path: Path, kind: str, media: str, blocks: Iterator[bytes]) -> None:
    """A WARC of the blocks, each at several addresses, gzip around each record."""
    with path.open("wb") as file:
        for number, block in enumerate(blocks):
            for copy in range(ADDRESSES[kind] if block else 0):
                head = (
                    f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://host{copy}.example/{number}\r\n"
                    f"WARC-Record-ID: <urn:uuid:{copy:08}-0000-4000-8000-{number:012}>\r\n"
                    "WARC-Date: 2026-01-02T03:04:05Z\r\n"
                    f"Content-Type: {media}\r\nContent-Length: {len(block)}\r\n\r\n"
                )
                file.write(gzip.compress(head.encode() + block + b"\r\n\r\n", 6))


def large(folder: Path, gigabytes: float) -> dict[str, float]:
    """Peak memory of a JSON Lines file of this size."""
    with (folder / "texts.jsonl").open("w") as file:
        file.writelines(route.lines(int(gigabytes * 1e9)))
    answer = measured("ours", "jsonl", folder)
    print(f"{gigabytes:g} GB of JSON Lines: {answer['cpu_s']:.1f} CPU s, at most {answer['peak_rss'] / 1e6:.0f} MB")
    return {f"peak_rss_mb_{gigabytes:g}gb": round(answer["peak_rss"] / 1e6)}


def html(*, own: bool) -> dict[str, float]:
    """F1 of main text and MB of HTML a CPU second, ours beside resiliparse and trafilatura."""
    found = pages.compared(own=own)
    print(json.dumps(found))
    return {"html_f1": found["ours"]["f1"], "html_mb_per_cpu_s": found["ours"]["mb_per_cpu_s"]}


def wrong_json(data: Path) -> int:
    """Files of JSONTestSuite that are not read as they should: y_ without a reject, n_ as one (or one each line)."""
    wrong = []
    with zipfile.ZipFile(data / "json_test_suite.zip") as archive, tempfile.TemporaryDirectory() as folder:
        for name in (name for name in archive.namelist() if "test_parsing/" in name and name.endswith(".json")):
            path = Path(folder) / Path(name).name
            path.write_bytes(archive.read(name))
            items = read(Source("suite", (path.name,), table="t"), Located(path.name, path, path.stat().st_size), path)
            refused = any(isinstance(item, Reject) for item in items)
            if path.name[0] in "yn" and refused != (path.name[0] == "n"):
                wrong.append(path.name)
    print("JSONTestSuite, wrong:", wrong)
    return len(wrong)


if __name__ == "__main__":
    main()

"""The partition of an object, and the files of an inbox that are whole."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.errors import InputError
from warehouse.sources import Located, Partitions, Source, arrivals, locate, partition_of, read
from warehouse.sources.inbox import SETTLE_S

NOW = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)
DAY = Partitions(r"day=(?P<key>[^/]+)/", "daily", start="2026-01-15")
MONTH = Partitions(r"(?P<key>\d{4}-\d{2})\.csv", "monthly", start="2026-01-15")
OWNER = Partitions(r"owner=(?P<key>[^/]*)/", "static", keys=("a", "b c"))
ANY = Partitions(r"owner=(?P<key>[^/]*)/", "dynamic")


def of(rule: Partitions, uri: str) -> str | None:
    return partition_of(Source("s", ("x",), partitions=rule), Located(uri, Path("x"), 0), now=NOW)


@given(st.dates(datetime(2026, 1, 15).date(), NOW.date()))
def test_every_day_and_month_from_the_start_to_today_is_a_partition(day):
    assert of(DAY, f"in/day={day}/x.csv") == day.isoformat()
    assert of(MONTH, f"in/{day:%Y-%m}.csv") == f"{day:%Y-%m}-01"
    compact = Partitions(r"/(?P<key>\d{8})\.", "daily", start="2026-01-15", format="%Y%m%d")
    assert of(compact, f"in/{day:%Y%m%d}.csv") == day.isoformat()


@pytest.mark.parametrize(
    ("rule", "uri"),
    [
        (DAY, "in/other/x.csv"),
        (DAY, "in/day=2026-02-30/x.csv"),
        (DAY, "in/day=2026-01-14/x.csv"),
        (DAY, "in/day=2026-04-01/x.csv"),
        (MONTH, "in/2025-12.csv"),
        (OWNER, "in/owner=c/x"),
        (ANY, "in/owner=/x"),
        (ANY, "in/owner=a...b/x"),
        (ANY, "in/owner=a,b/x"),
    ],
)
def test_an_object_without_a_partition_is_refused_by_name(rule, uri):
    with pytest.raises(InputError, match=rf"{uri} of source s has") as caught:
        of(rule, uri)
    assert caught.value.allowed


def test_other_keys_are_as_the_uri_has_them():
    assert of(OWNER, "in/owner=b c/x") == "b c"
    assert of(ANY, "in/owner=ü/x") == "ü"
    assert partition_of(Source("s", ("x",)), Located("x", Path("x"), 0), now=NOW) is None


def put(path: Path, text: str = "a,b\n1,2\n", age_s: float = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


HOSTILE = ("a b.csv", "ü\n;$(x).csv", "-rf.csv", "[x]*.csv", "deep/er/x.csv", os.fsdecode(b"\xff\xfe.csv"))


def test_whole_files_of_any_name_at_any_depth_are_found_and_a_run_reads_the_same(tmp_path):
    made = {put(tmp_path / "inbox/s" / name) for name in HOSTILE}
    assert set(arrivals(Source("s", ()), tmp_path).values()) == made
    assert {item.path for item in locate(Source("s", ()), tmp_path)} == made
    for item in locate(Source("s", ()), tmp_path):
        item.uri.encode()


def test_a_file_that_is_still_written_or_hidden_is_left_alone(tmp_path):
    box = tmp_path / "inbox/s"
    put(box / "young.csv", age_s=SETTLE_S / 4)
    for name in (".hidden.csv", ".folder/x.csv", "x.csv.part", "x.tmp", "X.CRDOWNLOAD"):
        put(box / name)
    (box / "loop").symlink_to(box)
    (box / "nothing.tmp").symlink_to("nowhere")
    os.mkfifo(box / "pipe.csv")
    assert arrivals(Source("s", ()), tmp_path) == {}
    os.utime(box / "young.csv", (time.time() - SETTLE_S - 1,) * 2)
    assert set(arrivals(Source("s", ()), tmp_path).values()) == {box / "young.csv"}


def test_a_link_out_of_an_inbox_is_said_and_not_followed_and_one_within_it_is_read(tmp_path):
    box = tmp_path / "inbox/s"
    targets = {"out.csv": put(tmp_path / "secret.csv"), "gone.csv": tmp_path / "nowhere", "deep/folder": tmp_path}
    inside = put(box / "deep/real.csv")
    for name, target in {**targets, "deep/same.csv": inside}.items():
        (box / name).symlink_to(target)
    there = {inside, box / "deep/same.csv"}
    assert set(arrivals(Source("s", ()), tmp_path).values()) == there, "the others were made just now"
    for name in targets:
        os.utime(box / name, (time.time() - 60,) * 2, follow_symlinks=False)
    source = Source("s", (), table="t")
    found = {item.uri: item for item in locate(source, tmp_path)}
    assert set(arrivals(source, tmp_path).values()) == there | {box / name for name in targets}
    assert {item.path for item in found.values() if item.link is None} == there
    for name, target in targets.items():
        item = found[f"inbox/s/{name}"]
        (said,) = read(source, item, item.path)
        assert (said.reason, str(target) in said.message) == ("link_outside", True)


def test_a_rename_into_place_counts_at_once_and_what_is_written_again_is_another_arrival(tmp_path):
    box = tmp_path / "inbox/s"
    put(box / "x.csv.part").rename(box / "x.csv")
    first = arrivals(Source("s", ()), tmp_path)
    assert len(first) == 1
    put(box / "x.csv", "a,b\n3,4\n", age_s=50)
    assert not first.keys() & arrivals(Source("s", ()), tmp_path).keys()


def test_a_clock_that_is_ahead_does_not_keep_a_file_waiting_for_ever(tmp_path):
    put(tmp_path / "inbox/s/x.csv", age_s=-timedelta(days=1).total_seconds())
    assert len(arrivals(Source("s", ()), tmp_path)) == 1


def test_an_inbox_of_ones_own_stands_beside_uri_or_alone(tmp_path):
    put(tmp_path / "drop/x.csv")
    put(tmp_path / "data/y.csv")
    uris = [item.uri for item in locate(Source("s", ("data",), inbox="drop"), tmp_path)]
    assert uris == ["data/y.csv", "drop/x.csv"]
    assert [item.uri for item in locate(Source("s", (), inbox="drop"), tmp_path)] == ["drop/x.csv"]
    assert list(locate(Source("s", (), inbox="empty"), tmp_path)) == []

"""A pull brings a release byte for byte, fetches nothing twice, shows nothing half, and names what was flipped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from file_server import Fault, FileServer, files_served
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from killing import with_tests
from streams import LENGTH
from written_release import write_release, write_rows

from warehouse.errors import (
    FormatError,
    InputError,
    IntegrityError,
    NetworkError,
    NotFound,
    Revoked,
    StorageFull,
    UsageError,
)
from warehouse.loader import Loader, TableLoader
from warehouse.loader import origin as origins
from warehouse.loader import pulling as pulls
from warehouse.loader.pulling import offered, pull
from warehouse.manifest import BLOCK_BYTES, check_file, content_id, decode, encode, read_any, read_manifest, seal


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder but the lock."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != pulls.LOCK]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def sent(server: FileServer) -> int:
    """Bytes of data files that the server sent."""
    return sum(each.stop - each.start for each in server.asked if each.path.endswith((".bin", ".idx")))


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("ranges", [True, False])
def test_what_arrives_equals_the_release_byte_for_byte(
    server: FileServer, large: Path, tmp_path: Path, workers: int, ranges: bool
) -> None:
    server.ranges = ranges
    for location in (f"{server.url}/made/1", f"{server.url}/made/1/manifest.json", large, f"file://{large}"):
        to = tmp_path / f"to-{len(str(location))}-{workers}-{ranges}"
        done = pull(location, to, workers=workers)
        assert contents(to) == contents(large)
        assert (done.id, done.files, done.fetched, done.again) == (read_any(large).id, 8, done.bytes, ())
        shutil.rmtree(to)


def test_a_release_of_rows_comes_as_one_of_tokens(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows")
    pull(rows, tmp_path / "to")
    assert contents(tmp_path / "to") == contents(rows)
    assert len(list(TableLoader(tmp_path / "to", batch=4))) == len(list(TableLoader(rows, batch=4)))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wrecked=st.dictionaries(
        st.tuples(st.sampled_from((0, 2, 3)), st.sampled_from(("bin", "idx"))),
        st.tuples(st.sets(st.integers(0, 3)), st.one_of(st.none(), st.integers(0, 4 << 20))),
    )
)
def test_a_pull_over_any_remains_fetches_the_missing_blocks_and_no_other(
    server: FileServer, large: Path, wrecked: dict[tuple[int, str], tuple[set[int], int | None]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "to"
        offer = offered(f"{server.url}/made/1")
        to.mkdir()
        (to / pulls.MARK).write_bytes(offer.mark)
        missing = 0
        for path in offer.whole.files:
            shutil.copyfile(large / path, to / path)
        for (shard, kind), (flipped, cut) in wrecked.items():
            entry = offer.whole.files[f"train-{shard:05d}-of-00004.{kind}"]
            raw = bytearray((large / entry.path).read_bytes())
            for number in flipped:
                if number * BLOCK_BYTES < len(raw):
                    raw[number * BLOCK_BYTES] ^= 255
            (to / entry.path).write_bytes(raw[:cut])
            for number in range(len(entry.blocks)):
                end = min((number + 1) * BLOCK_BYTES, entry.bytes)
                if number in flipped or (cut is not None and end > cut):
                    missing += end - number * BLOCK_BYTES
        server.asked.clear()
        assert pull(f"{server.url}/made/1", to, workers=2).fetched == missing == sent(server)
        assert contents(to) == contents(large)


KILLED = """
import os, sys
from killing import killing
from warehouse.loader import pulling
os.pwrite = killing(os.pwrite, sys.argv[3])
pulling.pull(sys.argv[1], sys.argv[2], workers=1)
"""


@pytest.mark.parametrize("when", ["before 1", "after 1", "after 4", "after 7"])
def test_killed_at_any_block_it_goes_on_with_the_others_and_is_no_release_before(
    server: FileServer, large: Path, tmp_path: Path, when: str
) -> None:
    to, url = tmp_path / "to", f"{server.url}/made/1"
    ended = subprocess.run([sys.executable, "-c", KILLED, url, str(to), when], env=with_tests(), check=False)
    assert ended.returncode == -9
    with pytest.raises(NotFound, match="no manifest"):
        Loader(to, batch=1)
    left = lacking(to, large)
    whole = sum(path.stat().st_size for path in large.iterdir()) - (large / "manifest.json").stat().st_size
    assert whole - left >= BLOCK_BYTES * ((int(when[-1]) - 3) if when.startswith("after") else 0)
    server.asked.clear()
    assert pull(url, to).fetched == sent(server) == left > 0
    assert contents(to) == contents(large)
    assert pull(url, to).fetched == 0


def lacking(to: Path, release: Path) -> int:
    """Bytes of the blocks of a release that a folder has not."""
    total = 0
    for path in {*release.glob("*.bin"), *release.glob("*.idx")}:
        raw = path.read_bytes()
        held = (to / path.name).read_bytes() if (to / path.name).is_file() else b""
        for at in range(0, len(raw), BLOCK_BYTES):
            block = raw[at : at + BLOCK_BYTES]
            total += len(block) * (held[at : at + BLOCK_BYTES] != block)
    return total


@pytest.mark.parametrize("call", [1, 2, 3])
def test_killed_before_any_file_is_shown_the_next_pull_completes_it(large: Path, tmp_path: Path, call: int) -> None:
    to = tmp_path / "to"
    code = KILLED.replace("os.pwrite", "os.replace")
    ended = subprocess.run(
        [sys.executable, "-c", code, str(large), str(to), f"before {call}"], env=with_tests(), check=False
    )
    if call > 2:
        assert (ended.returncode, contents(to)) == (0, contents(large))
        return
    assert (ended.returncode, (to / "manifest.json").exists()) == (-9, False)
    pull(large, to)
    assert contents(to) == contents(large)


@pytest.mark.parametrize("number", range(8))
def test_a_byte_flipped_at_the_source_is_named_with_file_and_block(datasets: Path, tmp_path: Path, number: int) -> None:
    release = datasets / "made/1"
    entry = list(read_any(release).files.values())[number]
    if not entry.bytes:
        return
    flip(release / entry.path, entry.bytes - 1)
    with pytest.raises(IntegrityError, match=rf"^{entry.path}: block {len(entry.blocks) - 1} \(bytes \d+ to") as told:
        pull(release, tmp_path / "to")
    assert (told.value.values["path"], told.value.values["block"]) == (entry.path, len(entry.blocks) - 1)
    assert not (tmp_path / "to/manifest.json").exists()


def test_a_byte_flipped_anywhere_in_the_manifest_is_named(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release", (3, 2))
    raw = (release / "manifest.json").read_bytes()
    for at in range(len(raw)):
        flipped = bytearray(raw)
        flipped[at] ^= 1 << at % 8
        with pytest.raises(IntegrityError, match=r"^here/manifest\.json (was altered|is not a manifest|has the id)"):
            decode(bytes(flipped), "here/manifest.json")
    for at in (0, len(raw) // 2, len(raw) - 1):
        (release / "manifest.json").write_bytes(raw)
        flip(release / "manifest.json", at)
        with pytest.raises(IntegrityError, match=r"release/manifest\.json"):
            pull(release, tmp_path / "to")
        assert not (tmp_path / "to").exists()


def test_a_sound_manifest_of_another_version_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    later = replace(read_manifest(write_release(tmp_path / "release", (3,))), schema_version=2, seal="")
    with pytest.raises(FormatError, match="schema version 2"):
        decode(encode(replace(later, seal=seal(later))), "here")


def test_a_byte_flipped_on_the_way_is_fetched_again_and_named_where_it_stays_flipped(
    server: FileServer, large: Path, tmp_path: Path
) -> None:
    path, at = "train-00000-of-00004.bin", BLOCK_BYTES + 5
    once = [Fault(flip=at)]
    server.fault = lambda asked, _: once.pop() if once and asked.endswith(path) else None
    done = pull(f"{server.url}/made/1", tmp_path / "once")
    assert done.again == (f"{path}: block 1",)
    assert contents(tmp_path / "once") == contents(large)
    server.fault = lambda asked, _: Fault(flip=at) if asked.endswith(path) else None
    with pytest.raises(IntegrityError, match=rf"^{path}: block 1 \(bytes {BLOCK_BYTES} to {2 * BLOCK_BYTES}\) comes"):
        pull(f"{server.url}/made/1", tmp_path / "always")
    assert not (tmp_path / "always/manifest.json").exists()


def test_a_body_that_breaks_off_is_gone_on_with_and_no_block_comes_twice(
    server: FileServer, large: Path, tmp_path: Path
) -> None:
    data = "made/1/train-00000-of-00004.bin"
    cuts = [Fault(cut=BLOCK_BYTES + 7), Fault(status=503), Fault(cut=0), Fault(status=429)]
    server.fault = lambda path, _: cuts.pop() if cuts and path == data else None
    done = pull(f"{server.url}/made/1", tmp_path / "to", workers=1)
    assert contents(tmp_path / "to") == contents(large)
    assert done.fetched == done.bytes
    assert [each.start for each in server.of(data)] == [0, 0, 0, 0, BLOCK_BYTES]


def test_a_dead_network_is_one_error_after_bounded_tries_and_what_came_stays(
    server: FileServer, large: Path, tmp_path: Path
) -> None:
    data = "made/1/train-00003-of-00004.bin"
    server.fault = lambda path, start: Fault(status=503) if path == data else None
    with pytest.raises(NetworkError, match="answers 503"):
        pull(f"{server.url}/made/1", tmp_path / "to", workers=1)
    assert len(server.of(data)) == 5
    server.fault = lambda *_: None
    assert pull(f"{server.url}/made/1", tmp_path / "to").fetched == 64 * LENGTH * 2 + rest_of(large)
    server.fault = lambda *_: Fault(status=503)
    server.asked.clear()
    with pytest.raises(NetworkError, match=r"manifest\.json answers 503"):
        pull(f"{server.url}/made/1", tmp_path / "other")
    assert len(server.asked) == 5


def rest_of(release: Path) -> int:
    """Bytes of the file that comes after the last shard's data."""
    return (release / "train-00003-of-00004.idx").stat().st_size


def test_waits_double_are_bounded_and_are_what_the_server_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "WAIT_S", 0.5)
    monkeypatch.setattr(origins, "LONGEST_WAIT_S", 60.0)
    assert [origins.wait_s(tries, NetworkError("503")) for tries in (1, 2, 3, 4, 9)] == [0.5, 1, 2, 4, 60]
    assert [origins.wait_s(1, NetworkError("503", retry_after_s=asked)) for asked in (0, 7, 999)] == [0.5, 7, 60]


def test_progress_is_told_block_by_block_up_to_what_had_to_come(large: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    done = pull(large, tmp_path / "to", progress=lambda *bytes_: told.append(bytes_))
    assert [came for came, _ in told] == sorted({came for came, _ in told})
    assert (told[-1], {needed for _, needed in told}) == ((done.bytes, done.bytes), {done.bytes})


@pytest.mark.parametrize("change", ["shorter", "gone"])
def test_a_file_that_is_shorter_or_gone_at_the_source_is_named(server: FileServer, tmp_path: Path, change: str) -> None:
    path = server.folder / "made/1/train-00003-of-00004.bin"
    raw = path.read_bytes()
    path.unlink() if change == "gone" else path.write_bytes(raw[:-1])
    said = "the file is missing" if change == "gone" else f"{len(raw) - 1} bytes in .* where {len(raw)} were recorded"
    for location in (f"{server.url}/made/1", server.folder / "made/1"):
        with pytest.raises(IntegrityError, match=rf"^train-00003-of-00004\.bin: {said}"):
            pull(location, tmp_path / "to")


def test_a_disk_without_room_is_told_before_the_first_byte_with_what_is_missing_alone(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = offered(f"{server.url}/made/1")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=whole.size + len(whole.raw) - 1))
    server.asked.clear()
    with pytest.raises(StorageFull, match=f"room for {whole.size + len(whole.raw) - 1:,} bytes, and"):
        pull(f"{server.url}/made/1", tmp_path / "to")
    assert sent(server) == 0
    assert contents(tmp_path / "to") == {}
    (tmp_path / "to" / pulls.MARK).write_bytes(whole.mark)
    shutil.copyfile(server.folder / "made/1/train-00000-of-00004.bin", tmp_path / "to/train-00000-of-00004.bin")
    pull(f"{server.url}/made/1", tmp_path / "to")


def test_a_disk_that_fills_up_meanwhile_is_one_error_and_what_came_stays(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = os.pwrite, [3]

    def full(*arguments: Any) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StorageFull, match="what came stays"):
        pull(large, tmp_path / "to", workers=1)
    left[0] = 99
    assert pull(large, tmp_path / "to").fetched == sum(entry.bytes for entry in read_any(large).files.values()) - (
        3 * BLOCK_BYTES
    )


def revoke(release: Path, why: str = "a person asked") -> None:
    (release / "revoked.json").write_text(json.dumps({"why": why}))


def test_a_revoked_release_is_refused_with_the_reason_and_a_copy_of_it_says_so(
    server: FileServer, datasets: Path, tmp_path: Path
) -> None:
    pull(datasets / "made/1", tmp_path / "before")
    revoke(datasets / "made/1")
    for location in (datasets / "made/1", f"{server.url}/made/1"):
        with pytest.raises(Revoked, match="a person asked"):
            pull(location, tmp_path / "to")
        assert contents(tmp_path / "to") == {}
        with pytest.raises(Revoked, match="a person asked"):
            pull(location, tmp_path / "before")
    with pytest.raises(Revoked, match="a person asked"):
        Loader(tmp_path / "before", batch=1)


@pytest.mark.parametrize("gone", [True, False])
def test_a_release_that_is_revoked_meanwhile_is_refused_and_what_came_is_deleted(
    server: FileServer, tmp_path: Path, gone: bool
) -> None:
    release = server.folder / "made/1"

    def meanwhile(path: str, _start: int) -> None:
        if path.endswith("00003-of-00004.idx"):
            revoke(release)
            if gone:
                (release / "train-00003-of-00004.idx").unlink(missing_ok=True)

    server.fault = meanwhile
    with pytest.raises(Revoked, match="a person asked"):
        pull(f"{server.url}/made/1", tmp_path / "to", workers=1)
    assert contents(tmp_path / "to") == {}


def test_a_data_set_gives_its_last_live_version_or_the_one_that_is_named(datasets: Path, tmp_path: Path) -> None:
    for version in (2, 3):
        write_release(datasets / f"made/{version}", (40, version))
    states = [{"version": 1, "state": "live", "why": ""}, {"version": 2, "state": "live", "why": ""}]
    states.append({"version": 3, "state": "revoked", "why": "a person asked"})
    (datasets / "made/index.json").write_text(json.dumps({"name": "made", "versions": states}))
    with files_served(datasets) as server:
        for home in (f"{server.url}/made", datasets / "made"):
            assert offered(home).whole == read_any(datasets / "made/2")
            assert offered(f"{home}@1").whole == read_any(datasets / "made/1")
            with pytest.raises(Revoked, match="a person asked"):
                pull(f"{home}@3", tmp_path / "to")
            with pytest.raises(NotFound, match=r"no release 4 of .*Allowed: @1, @2"):
                offered(f"{home}@4")
        for nothing in (f"{server.url}/nothing", datasets / "nothing"):
            with pytest.raises(NotFound, match=r"neither manifest\.json nor index\.json"):
                offered(nothing)


@pytest.mark.parametrize("path", ["../out", "/etc/out", "a/../../out", "manifest.json", ".pull.json", "a//b", ""])
def test_a_manifest_that_names_a_file_elsewhere_is_refused(tmp_path: Path, path: str) -> None:
    release = write_release(tmp_path / "release", (3,))
    rewritten(release, path)
    with pytest.raises(IntegrityError, match="names the file"):
        pull(release, tmp_path / "to/below")
    assert not list(tmp_path.glob("to/**/out"))


def rewritten(release: Path, path: str) -> None:
    """Have a sound manifest name the first data file otherwise."""
    manifest = read_manifest(release)
    first = next(iter(manifest.files.values()))
    files = {path: replace(first, path=path)}
    forged = replace(manifest, files=files, id=content_id(files.values()), seal="")
    (release / "manifest.json").write_bytes(encode(replace(forged, seal=seal(forged))))


def test_a_folder_that_holds_anything_else_is_left_as_it_is(large: Path, tmp_path: Path) -> None:
    other = write_release(tmp_path / "other", (3,))
    before = contents(other)
    with pytest.raises(UsageError, match="another release"):
        pull(large, other)
    assert contents(other) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="1 other files"):
        pull(large, tmp_path / "mine")
    with pytest.raises(UsageError, match="no folder"):
        pull(large, tmp_path / "mine/notes.txt")


def test_a_copy_that_was_damaged_since_is_mended_by_the_same_pull(large: Path, tmp_path: Path) -> None:
    pull(large, tmp_path / "to")
    flip(tmp_path / "to/train-00000-of-00004.bin", 2 * BLOCK_BYTES)
    assert pull(large, tmp_path / "to").fetched == BLOCK_BYTES
    assert contents(tmp_path / "to") == contents(large)


def test_two_pulls_into_one_folder_fetch_everything_once(server: FileServer, large: Path, tmp_path: Path) -> None:
    server.fault = lambda *_: Fault(wait_s=0.02)
    threads = [threading.Thread(target=pull, args=(f"{server.url}/made/1", tmp_path / "to")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents(tmp_path / "to") == contents(large)
    assert sent(server) == sum(entry.bytes for entry in read_any(large).files.values())


def test_secrets_of_a_url_are_sent_and_never_said(server: FileServer, tmp_path: Path) -> None:
    host = server.url.removeprefix("http://")
    secret = f"http://user:hush@{host}/made/1?token=hush"
    done = pull(secret, tmp_path / "to", headers={"X-Key": "hush"})
    assert all(each.query == "token=hush" for each in server.asked)
    assert {each.headers["authorization"] for each in server.asked} == {"Basic dXNlcjpodXNo"}
    assert {each.headers["x-key"] for each in server.asked} == {"hush"}
    assert "hush" not in repr(done) + repr(offered(secret).origin)
    for status in (403, 404, 503):
        for reason in (None, "no /made/1?token=hush for user:hush", "token=hush"):
            answer = Fault(status, reason=reason)
            server.fault = lambda *_, answer=answer: answer
            with pytest.raises((NetworkError, InputError, NotFound)) as told:
                pull(secret, tmp_path / "other")
            assert "hush" not in str(told.value)
    with pytest.raises(UsageError) as told:
        pull(f"http://user:hush@{host}/a b?token=hush", tmp_path / "other")
    assert "hush" not in str(told.value)


def test_a_redirect_to_a_private_address_is_followed_only_where_that_is_allowed(
    server: FileServer, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server answers for a public address as its proxy."""
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    public = "http://93.184.216.34/made/1"

    def away(path: str, _start: int) -> Fault | None:
        inside = path.removeprefix("http://93.184.216.34/")
        return Fault(302, (("Location", f"{server.url}/{inside}"),)) if inside != path else None

    server.fault = away
    with pytest.raises(InputError, match="a redirect to a private address, which allow_private would follow"):
        pull(public, tmp_path / "to")
    pull(public, tmp_path / "to", allow_private=True, headers={"X-Key": "hush"})
    assert contents(tmp_path / "to") == contents(large)
    assert {each.path.startswith("http") for each in server.asked if "x-key" in each.headers} == {True}


def test_the_parts_of_all_ranks_are_the_release_and_each_is_one_to_verify_and_read(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release", (40, 0, 33, 30, 7), sources=("a", "b"))
    whole = read_any(release)
    for world in (1, 2, 3, 5):
        seen = []
        for rank in range(world):
            to = tmp_path / f"{rank}-of-{world}"
            done = pull(release, to, rank=rank, world=world)
            held = read_any(to)
            for entry in held.files.values():
                check_file(to, entry)
            assert held.id == done.id == (whole.id if world == 1 else f"{whole.id}.{rank}of{world}")
            assert set(contents(to)) - {"manifest.json", "part.json"} == set(held.files)
            if held.splits["train"].samples:
                loader = Loader(to, batch=1, seed=3)
                read = np.concatenate([batch.tokens for batch in loader.batches(source_ids=True)])
                seen.append(read[:, 0].astype(int) * (1 << 16) + read[:, 1])
        assert sorted(np.concatenate(seen)) == list(range(110))
    with pytest.raises(UsageError, match="split 'train' has 5 shards for 6 ranks"):
        pull(release, tmp_path / "to", rank=0, world=6)
    with pytest.raises(UsageError, match="rank 2 of a world of 2"):
        pull(release, tmp_path / "to", rank=2, world=2)
    with pytest.raises(NotFound, match=r"no split 'tset'.*Allowed: train"):
        pull(release, tmp_path / "to", splits=["tset"])
    with pytest.raises(UsageError, match="another part"):
        pull(release, tmp_path / "0-of-2", rank=1, world=2)


def test_a_part_of_rows_is_read_as_rows(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows")
    numbers = []
    for rank in range(2):
        pull(rows, tmp_path / f"{rank}", rank=rank, world=2)
        loader = TableLoader(tmp_path / f"{rank}", batch=1)
        numbers.extend(int(columns["number"][0]) for columns in loader)
    assert sorted(numbers) == list(range(103))


def test_a_channel_of_a_training_service_is_found_in_the_environment(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFound, match=r"no channel 'training'.*SM_CHANNEL_TRAINING or AIP_TRAINING_DATA_URI"):
        offered("channel:training")
    monkeypatch.setenv("AIP_TRAINING_DATA_URI", "gs://bucket/made/1")
    mounted = tmp_path / "gcs/bucket/made"
    assert origins.channel("training", os.environ, mounts=tmp_path / "gcs") == "gs://bucket/made/1"
    shutil.copytree(large, mounted / "1")
    assert origins.channel("training", os.environ, mounts=tmp_path / "gcs") == str(mounted / "1")
    monkeypatch.setenv("SM_CHANNEL_TRAINING", str(large))
    assert offered("channel:training").whole == read_any(large)

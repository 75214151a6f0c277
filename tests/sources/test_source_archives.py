"""Archives and packed streams: any tree of files gives the same rows in every format and nesting; links, names that
lead out, bombs, cuts.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from outcomes import Outcome, outcome

from warehouse.sources import Limits, containers, unpacking

Tree = dict[str, bytes]
Pack = Callable[[bytes], bytes]


def zstd_with_dictionary(data: bytes) -> bytes:
    """As .warc.zst files are written: a skippable frame with the dictionary, then frames that need it."""
    samples = [b"WARC/1.0 of document %d, and words that they share" % at for at in range(2000)]
    held = zstandard.train_dictionary(4096, samples)
    packed = zstandard.compress(held.as_bytes())
    head = b"\x5d\x2a\x4d\x18" + len(packed).to_bytes(4, "little") + packed
    return head + zstandard.ZstdCompressor(dict_data=held).compress(data)


STREAMS: dict[str, Pack] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
    ".lz4": lz4.frame.compress,
}
PACKERS = {**STREAMS, "dictionary": zstd_with_dictionary}


def zipped(tree: Tree) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in tree.items():
            archive.writestr(name, data)
    return out.getvalue()


def streamed_zip(tree: Tree) -> bytes:
    """A zip whose headers state no sizes, as of a writer that cannot go back."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.parts: list[bytes] = []

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.parts.append(bytes(data))
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in tree.items():
            archive.writestr(name, data)
    return b"".join(pipe.parts)


def tarred(tree: Tree, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in tree.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


ARCHIVES: dict[str, Callable[[Tree], bytes]] = {
    ".zip": zipped,
    ".streamed.zip": streamed_zip,
    ".tar": tarred,
    ".gnu.tar": lambda tree: tarred(tree, tarfile.GNU_FORMAT),
}


def texts(result: Outcome) -> list[str]:
    return sorted(result.column("text"))


NAMES = st.lists(
    st.text("abcé ü=%", min_size=1, max_size=60).map(lambda text: text.strip() or "x"), min_size=1, max_size=4
)
TREES = st.dictionaries(
    NAMES.map(lambda parts: "/".join(parts) + ".txt"),
    st.text("xyz \n", min_size=1, max_size=2000),
    min_size=1,
    max_size=5,
)


@given(TREES, st.data())
@settings(max_examples=60, deadline=None)
def test_a_tree_of_files_gives_the_same_rows_in_every_archive_and_nesting(tree: dict[str, str], data):
    said = {name: f"text of {name}: {text}" for name, text in tree.items()}
    inner: Tree = {}
    for name, text in said.items():
        suffix = data.draw(st.sampled_from(["", *STREAMS]))
        inner[name + suffix] = STREAMS[suffix](text.encode()) if suffix else text.encode()
    first, second = (data.draw(st.sampled_from(list(ARCHIVES))) for _ in range(2))
    around = data.draw(st.sampled_from(["", *STREAMS]))
    whole = ARCHIVES[first](inner)
    if data.draw(st.booleans()):
        whole = ARCHIVES[second]({f"inner{first}{around}": STREAMS[around](whole) if around else whole})
        name = f"outer{second}"
    else:
        whole, name = STREAMS[around](whole) if around else whole, f"outer{first}{around}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0badc0de"
        path.write_bytes(whole)
        result = outcome(path, name)
    assert not result.rejects and not result.drops
    assert texts(result) == sorted(said.values())
    assert len(set(result.column("uri"))) == len(said)


class Dripping(io.BytesIO):
    """A stream that gives a few bytes at a time."""

    size = 1

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.size)


@given(st.binary(max_size=3000), st.integers(0, 31), st.integers(1, 40), st.sampled_from([0, 1, 5, 9]))
@settings(max_examples=80, deadline=None)
def test_a_gzip_header_of_any_fields_is_passed_over_however_the_bytes_come(content, flags, size, tail):
    fields = {4: b"\3\0abc", 8: b"name\0", 16: b"a comment\0"}
    head = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6) + b"".join(fields[flag] for flag in fields if flags & flag)
    head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little") if flags & 2 else b""
    whole = head + gzip.compress(content)[10:]
    assert gzip.decompress(whole) == content
    wrapper = unpacking.wrapper_of(whole)
    assert wrapper is not None
    stream = Dripping(whole * 2 + bytes(tail))
    stream.size = size
    assert io.BufferedReader(wrapper.open(stream)).read() == content * 2
    stream = Dripping(whole + whole[:-1])
    stream.size = size
    unpacked = wrapper.open(stream)
    found = bytearray(len(content) * 2 + 1)
    with pytest.raises(EOFError):
        while unpacked.readinto(found):
            pass


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("streams", [1, 3])
def test_streams_in_a_row_and_zeros_behind_them_are_one(packed, streams, reading):
    lines = [b'{"text": "line %d of some"}\n' % at for at in range(300)]
    parts = [b"".join(lines[at::streams]) for at in range(streams)]
    joined = b"".join(map(PACKERS[packed], parts)) if packed != "dictionary" else PACKERS[packed](b"".join(parts))
    result = reading(joined + bytes(512), "a.jsonl")
    assert (len(result.rows), result.rejects) == (300, [])


@pytest.mark.parametrize("packed", PACKERS)
def test_of_a_cut_or_broken_stream_all_before_the_break_is_read_and_the_rest_is_one_reject(packed, reading):
    numbers = random.Random(1)
    found = [numbers.randbytes(20).hex() for _ in range(60_000)]
    whole = PACKERS[packed]("".join(f'{{"text": "{text}"}}\n' for text in found).encode())
    for share in (0.5, 0.9, 0.999):
        result = reading(whole[: int(len(whole) * share)], "a.jsonl")
        assert result.reasons == {"truncated": 1}
        assert result.column("text") == found[: len(result.rows)]
        assert len(result.rows) > len(found) * (share - 0.4)
    behind = reading(whole + b"no stream of any kind", "a.jsonl")
    assert (len(behind.rows), behind.reasons) == (len(found), {"corrupt": 1})


def test_xz_that_asks_for_too_much_memory_is_too_large(reading):
    packed = bytearray(lzma.compress(b"a", filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}]))
    assert reading(bytes(packed), "a.txt.xz").column("text") == ["a"]
    packed[packed.index(b"\x21\x01") + 2] = 38  # the dictionary of LZMA2: 2 GiB
    end = 12 + (packed[12] + 1) * 4  # of the block's header, its checksum last
    packed[end - 4 : end] = zlib.crc32(packed[12 : end - 4]).to_bytes(4, "little")
    assert reading(bytes(packed), "a.txt.xz").reasons == {"too_large": 1}


def test_members_of_the_same_name_are_all_read_under_uris_of_their_own(reading):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for text in (b"a\n1\n", b"a\n2\n"):
            info = tarfile.TarInfo("./a.csv")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    result = reading(out.getvalue(), "x.tar", table="t")
    assert (result.column("a"), result.column("_record")) == ([1, 2], ["a.csv!0", "a.csv#2!0"])


LEADING_OUT = ["/etc/a.txt", "../a.txt", "b/../../a.txt", "C:\\a.txt", "..\\a.txt", "c:/a.txt"]


@pytest.mark.parametrize("name", LEADING_OUT)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_name_that_leads_out_of_the_archive_is_a_reject_and_nothing_is_written(pack, name, reading, tmp_path: Path):
    before = sorted(tmp_path.rglob("*"))
    result = reading(pack({name: b"text", "in/../b.txt": b"inside"}), "x")
    assert (result.reasons, result.column("uri")) == ({"name_outside": 1}, ["x!/b.txt"])
    assert name in result.rejects[0].message.replace("\\\\", "\\")
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before] == [tmp_path / "0badc0de"]


LINKS = {"a.txt": None, "sub/../a.txt": None, "../a.txt": 1, "/etc/passwd": 1, "sub/../../a": 1}


@pytest.mark.parametrize("target", LINKS)
@pytest.mark.parametrize("kind", ["zip", "tar symlink", "tar hard link"])
def test_a_link_is_never_followed_but_counted_and_one_that_leads_out_is_a_reject(kind, target, reading):
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("a.txt", "text")
            link = zipfile.ZipInfo("link.txt")
            link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, target)
    else:
        with tarfile.open(fileobj=out, mode="w") as tar:
            info = tarfile.TarInfo("a.txt")
            info.size = 4
            tar.addfile(info, io.BytesIO(b"text"))
            info = tarfile.TarInfo("link.txt")
            info.type, info.linkname = (tarfile.SYMTYPE if "sym" in kind else tarfile.LNKTYPE), target
            tar.addfile(info)
    result = reading(out.getvalue(), "x")
    assert result.column("text") == ["text"]
    assert (result.dropped["link"], result.reasons["link_outside"]) == ((0, 1) if LINKS[target] else (1, 0))
    assert result.met == 2


def test_what_a_tar_holds_beside_files_is_said(reading):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind in (("pipe", tarfile.FIFOTYPE), ("device", tarfile.CHRTYPE), ("volume", b"V")):
            info = tarfile.TarInfo(name)
            info.type = kind
            archive.addfile(info)
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    result = reading(out.getvalue(), "x.tar")
    assert result.reasons == {"not_a_file": 2, "unsupported": 1}


@pytest.mark.parametrize("around", ["", *STREAMS])
def test_of_a_cut_tar_the_members_before_the_cut_are_read_and_the_cut_is_said(around, reading):
    numbers = random.Random(2)
    line = b'{"text": "%s"}\n'
    tree = {f"{at}.jsonl": b"".join(line % numbers.randbytes(10_000).hex().encode() for _ in "abc") for at in range(40)}
    whole = tarred(tree)
    held = STREAMS[around](whole) if around else whole
    for share in (0.1, 0.5, 0.93):
        result = reading(held[: int(len(held) * share)], f"x.tar{around}")
        assert set(result.reasons) <= {"truncated", "invalid_json"}
        assert result.reasons["truncated"] in (1, 2)
        assert len(result.rows) > 100 * (share - 0.5)
        assert len(set(result.column("uri"))) <= len(tree)
    if not around:
        broken = bytearray(whole)
        at = whole.index(b"20.jsonl")
        broken[at + 150] ^= 7
        result = reading(bytes(broken), "x.tar")
        assert (len(result.rows), result.reasons) == (60, {"corrupt": 1})
        assert reading(whole.rstrip(b"\0") + bytes(100), "x.tar").reasons == {"truncated": 1}


@pytest.mark.parametrize("pack", [zipped, streamed_zip])
def test_of_a_cut_zip_the_members_before_the_cut_are_read_and_the_rest_is_a_reject(pack, reading):
    numbers = random.Random(3)
    tree = {f"{at:02}.txt": numbers.randbytes(2000).hex().encode() for at in range(30)}
    whole = pack(tree)
    for share in (0.3, 0.8):
        result = reading(whole[: int(len(whole) * share)], "x.zip")
        assert set(result.reasons) == {"truncated", "not_zip"}
        assert result.column("text") == [text.decode() for text in tree.values()][: len(result.rows)]
        assert 30 * share - 3 < len(result.rows) <= 30 * share
    assert reading(whole[:-10], "x.zip").reasons == {"not_zip": 1}


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    **STREAMS,
    ".zip": lambda data: zipped({"a.jsonl": data}),
    ".tar.gz": lambda data: gzip.compress(tarred({"a.jsonl": data})),
    ".tar.xz": lambda data: lzma.compress(tarred({"a.jsonl": data})),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_in_any_format_ends_at_its_limit(name, reading):
    bomb = BOMBS[name](bytes(64 << 20))
    before = pa.total_allocated_bytes()
    for limits in (Limits(max_ratio=50), Limits(max_object_bytes=1 << 20)):
        result = reading(bomb, f"a.jsonl{name}", limits=limits)
        assert set(result.reasons) <= {"too_large", "record_too_large"} and result.reasons["too_large"] in (1, 2)
    assert pa.total_allocated_bytes() - before < 1 << 20


def test_many_small_bombs_in_one_archive_share_one_budget(reading, monkeypatch):
    taken = 0

    class Counted(unpacking.Meter):
        def upto(self, count: int) -> None:
            nonlocal taken
            taken = max(taken, self.budget.spent)
            super().upto(count)

    monkeypatch.setattr(containers, "Meter", Counted)
    small = gzip.compress(bytes(15 << 20))
    for pack in (zipped, tarred):
        taken = 0
        whole = zstandard.compress(pack({f"{at}.jsonl.gz": small for at in range(40)}))
        result = reading(whole, "x", limits=Limits(max_record_bytes=1 << 30))
        assert result.reasons["too_large"] >= 1
        assert taken <= max(unpacking.FREE_BYTES, 400 * len(whole)) + unpacking.BLOCK


def test_a_tar_header_that_asks_for_memory_is_refused(reading):
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    result = reading(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024), "x.tar")
    assert result.reasons == {"too_large": 1}


@pytest.mark.parametrize("pack", [zipped, tarred, lambda tree: gzip.compress(tarred(tree))])
def test_a_delta_table_in_an_archive_is_one_reject(pack, reading):
    tree = {"t/part-1.parquet": b"PAR1", "t/_delta_log/00000000000000000000.json": b"{}"}
    assert reading(pack(tree), "x").reasons == {"delta_table": 1}
    assert reading(pack(tree), "x").met == 1


def test_flipped_bytes_of_archives_raise_nothing(reading):
    numbers = random.Random(4)
    tree = {f"{at}.jsonl": b'{"text": "words of a text"}\n' * 20 for at in range(5)}
    for pack in [*ARCHIVES.values(), *(lambda tree, one=one: one(tarred(tree)) for one in STREAMS.values())]:
        whole = pack(tree)
        for _ in range(40):
            broken = bytearray(whole)
            for _ in range(numbers.choice([1, 4, 20])):
                broken[numbers.randrange(len(broken))] = numbers.randrange(256)
            reading(bytes(broken[: numbers.randrange(1, len(broken) + 1)]), "x")


def test_an_archive_leaves_no_file_open_and_none_behind(reading, tmp_path: Path):
    whole = gzip.compress(tarred({"a.txt": b"text", "b.zip": zipped({"c.txt": b"more"})}))
    reading(whole, "x")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        assert len(reading(whole, "x").rows) == 2
    assert len(os.listdir("/proc/self/fd")) <= before

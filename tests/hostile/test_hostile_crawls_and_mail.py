"""Every real crawl and file of Arrow's fuzzing corpus, and a sample of real mail: rows, drops or Rejects of each."""

from __future__ import annotations

import gzip
import random
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from warehouse.contracts import Dropped, Reject
from warehouse.sources import Located, Source, closing_parser, read

UNREAD = {"clipped.warc.gz", "CC-MAIN-2024-22.warc.paths.gz"}
"""Those of which nothing can be read: cut in its first record, a list of paths."""


def counted(path: Path, uri: str, *, table: str = "documents") -> Counter[str]:
    """Rows, drops and Rejects by reason of the file."""
    found: Counter[str] = Counter()
    source = Source("hostile", (uri,), table=table)
    for item in read(source, Located(uri, path, path.stat().st_size), path):
        if isinstance(item, (Reject, Dropped)):
            found[f"{type(item).__name__} {item.reason}"] += 1
        else:
            found["rows"] += item.num_rows
    return found


def files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def test_of_every_real_crawl_each_record_is_a_row_a_drop_or_a_reject(shared_data: Path):
    with closing_parser():
        found = {str(path): counted(path, path.name) for path in files(shared_data / "webcrawl_warc")}
    assert all(sum(counts.values()) for counts in found.values())
    unread = {Path(name).name for name, counts in found.items() if not counts["rows"] and set(counts) <= REFUSALS}
    assert unread == UNREAD
    assert sum(counts["rows"] for counts in found.values()) > 200


REFUSALS = {"Reject unknown_format", "Reject truncated"}


@pytest.mark.parametrize("folder", ["arrow_testing", "parquet_testing"])
def test_every_file_of_arrows_own_corpus_gives_rows_rejects_or_drops(folder, shared_data: Path):
    for at, path in enumerate(files(shared_data / folder)):
        counts = counted(path, path.name, table="fuzz" if at % 2 else "documents")
        assert sum(counts.values()), path


def test_a_sample_of_real_mail_is_all_documents_or_drops(shared_data: Path, tmp_path: Path):
    found: Counter[str] = Counter()
    with zipfile.ZipFile(shared_data / "mail_spamassassin.zip") as archive, closing_parser():
        names = [name for name in archive.namelist() if name.endswith(".txt")][::25]
        for name in names:
            (tmp_path / "mail").write_bytes(archive.read(name))
            counts = counted(tmp_path / "mail", name)
            assert counts["rows"] + counts["Dropped no_text"] == 1, (name, counts)
            found += counts
    assert set(found) <= {"rows", "Dropped no_text", "Dropped attachment"}


def test_flipped_bytes_of_crawls_and_mail_raise_nothing(shared_data: Path, tmp_path: Path):
    numbers = random.Random(0)
    crawl = gzip.decompress((shared_data / "webcrawl_warc" / "warcio" / "example.warc.gz").read_bytes())
    mail = b"From a@b Tue Mar  5 08:00:00 2024\nFrom: a\nContent-Type: multipart/mixed; boundary=x\n\n"
    mail += b"--x\n\nhello\n--x--\n"
    with closing_parser():
        for raw in (crawl, mail):
            for _ in range(80):
                broken = bytearray(raw)
                for _ in range(numbers.choice([1, 5, 30])):
                    broken[numbers.randrange(len(raw))] = numbers.randrange(256)
                (tmp_path / "broken").write_bytes(bytes(broken[: numbers.randrange(1, len(raw) + 1)]))
                counted(tmp_path / "broken", "a.warc" if raw is crawl else "a.mbox")

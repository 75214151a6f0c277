"""What peers take for the input of ingest.py: run by a Python that has dlt 1.31.0 and warcio 1.8.1.

    python ingest_peers.py dlt|warcio FOLDER

The last line is one JSON object: cpu_s of the process and its children, start-up apart, and rows.
"""

import json
import os
import resource
import sys
from pathlib import Path

import dlt
import orjson
from dlt.destinations import filesystem
from warcio.archiveiterator import ArchiveIterator

BATCH_BYTES = 16 << 20


def write_with_dlt(folder):
    """texts.jsonl as Parquet files of a data set; rows written."""
    rows = 0

    def texts():
        nonlocal rows
        with (folder / "texts.jsonl").open("rb") as file:
            while lines := file.readlines(BATCH_BYTES):
                rows += len(lines)
                yield [orjson.loads(line) for line in lines]

    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(folder / "dlt"),
        destination=filesystem(str(folder / "dlt_data")),
        dataset_name="bench",
    )
    start = used()
    pipeline.run(dlt.resource(texts, name="texts"), loader_file_format="parquet", write_disposition="replace")
    return rows, used() - start


def iterate_with_warcio(folder):
    """Records of pages.warc.gz, each read to its end."""
    start, rows = used(), 0
    with (folder / "pages.warc.gz").open("rb") as file:
        for record in ArchiveIterator(file):
            record.content_stream().read()
            rows += 1
    return rows, used() - start


def used():
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    found, spent = {"dlt": write_with_dlt, "warcio": iterate_with_warcio}[sys.argv[1]](Path(sys.argv[2]))
    print(json.dumps({"rows": found, "cpu_s": spent}))

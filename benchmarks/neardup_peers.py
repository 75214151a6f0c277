"""Near duplicates by datatrove 0.10.1, rensa 0.5.0 and datasketch 2.0.0, for neardup.py: text to kept ids.

    python neardup_peers.py TEXTS.jsonl ANSWERS.jsonl

All with 14 bands of 8 rows over word 5-grams: datatrove's own words (spaCy's), for the others runs of word characters
in lower case, cut here by ``re``. datatrove: its four steps one after the other in this process, files in a folder.
The others keep a text that shares no band with one kept before. Nobody verifies. A line an answer: name, CPU seconds
and the places of the texts kept.
"""

import json
import re
import sys
import tempfile
import time
from pathlib import Path

import datasketch
import rensa
from datatrove.data import Document
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.utils.hashing import HashConfig
from loguru import logger

BANDS, ROWS = 14, 8
WORD = re.compile(r"\w+")


def by_datatrove(texts):
    config = MinhashConfig(
        n_grams=5, num_buckets=BANDS, hashes_per_bucket=ROWS, hash_config=HashConfig(precision=64, hash_fc="xxhash")
    )
    with tempfile.TemporaryDirectory() as folder:
        signed, met, removed = (f"{folder}/{name}" for name in ("signed", "met", "removed"))
        MinhashDedupSignature(output_folder=signed, config=config).run(documents(texts), 0, 1)
        for bucket in range(BANDS):
            MinhashDedupBuckets(input_folder=signed, output_folder=met, config=config).run(None, bucket, BANDS)
        MinhashDedupCluster(input_folder=met, output_folder=removed, config=config).run(None, 0, 1)
        return [int(document.id) for document in MinhashDedupFilter(input_folder=removed).run(documents(texts), 0, 1)]


def documents(texts):
    return (Document(text=text, id=str(at)) for at, text in enumerate(texts))


def shingles(text):
    words = WORD.findall(text.lower())
    return [" ".join(words[at : at + 5]) for at in range(max(1, len(words) - 4))] if words else []


def by_rensa(texts):
    index = rensa.RMinHashLSH(threshold=0.8, num_perm=BANDS * ROWS, num_bands=BANDS)
    kept = []
    for at, text in enumerate(texts):
        signature = rensa.RMinHash(num_perm=BANDS * ROWS, seed=42)
        signature.update(shingles(text))
        if not index.query(signature):
            index.insert(at, signature)
            kept.append(at)
    return kept


def by_datasketch(texts):
    index = datasketch.MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    kept = []
    for at, text in enumerate(texts):
        signature = datasketch.MinHash(num_perm=BANDS * ROWS)
        signature.update_batch([shingle.encode() for shingle in shingles(text)])
        if not index.query(signature):
            index.insert(at, signature)
            kept.append(at)
    return kept


def main():
    logger.remove()
    texts = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    with Path(sys.argv[2]).open("w") as out:
        for name, peer in (("datatrove", by_datatrove), ("rensa", by_rensa), ("datasketch", by_datasketch)):
            peer(texts[:20])
            began = time.process_time()
            kept = peer(texts)
            out.write(json.dumps({"name": name, "cpu_s": time.process_time() - began, "kept": kept}) + "\n")


if __name__ == "__main__":
    main()

"""Near duplicates: bands, sets and similarities are their definitions; what is kept does not depend on the batches."""

from __future__ import annotations

import html
import random
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import twins
from corpus import MODELS, append, arrive, build, compare, decided, empty, row
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from word_shapes import PART, shape

from examples import dear
from warehouse import query
from warehouse.curation import duplicates
from warehouse.curation import minhash as measured_bands
from warehouse.engine import run_threads
from warehouse.errors import UsageError
from warehouse.gate import load_suites, run_suites
from warehouse.kernels import graph
from warehouse.kernels import minhash as kernel
from warehouse.kernels.texts import texts

Row = Mapping[str, Any]
ANY = {
    name: 0.0 if name.startswith("house_min") else 1e18
    for name in re.findall(r"'(house_\w+)'", (Path(__file__).parents[2] / "sql/curation/house.sql").read_text())
    if name != "house_max_lorem_ipsum_lines"
}
"""The house rules opened wide: only 'lorem ipsum' fails."""
NEEDED = [name for name in MODELS if name not in ("curation.funnel", "curation.dolma", "curation.nemo")]


def shingles(text: str) -> set[tuple[str, ...]]:
    """The definition: word 5-grams, A-Z as a-z; fewer than five words are one shingle, none is no shingle."""
    text = text.translate(twins.ASCII_LOWER)
    words = [text[slice(*found.span())] for found in re.finditer(PART, "".join(map(shape, text)))]
    return {tuple(words[at : at + 5]) for at in range(max(1, len(words) - 4))} if words else set()


def similarity(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0


def jaccards(some: Sequence[str], pairs: Sequence[tuple[int, int]]) -> list[float]:
    left, right = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    return list(kernel.jaccard(kernel.sets(texts(pa.array(some, pa.large_string()))), left, right))


WORDS = st.lists(st.sampled_from(["a", "B", "b", "é", "É", "_", "1", "don't", "ab", "汉字", "A\u0301", "\u2014", "."]))
UNSPACED = st.lists(st.sampled_from(twins.UNSPACED)).map("".join)
TEXTS = st.one_of(WORDS.map(" ".join), WORDS.map("\u3000".join), st.text(max_size=60), UNSPACED)


@given(st.lists(TEXTS, min_size=2, max_size=8))
@settings(max_examples=150, deadline=None)
@example(["", "a"])
@example(["a b c d e", "A  b,c\nd-e."])
def test_similarity_is_that_of_the_sets_of_word_5_grams(some: list[str]) -> None:
    every = list(combinations(range(len(some)), 2))
    wanted = [similarity(shingles(some[i]), shingles(some[j])) for i, j in every]
    assert jaccards(some, every) == wanted


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_texts_of_one_text_hash_have_the_same_bands(text: str) -> None:
    other = "  " + re.sub(r"\s", "\n", twins.normalised(text)).upper().translate(twins.ASCII_LOWER)
    if twins.normalised(other) == twins.normalised(text):
        batch = pa.RecordBatch.from_pydict({"doc_id": ["0", "1"], "text": [text, other]})
        bands = measured_bands(batch)["bands"].to_pylist()
        assert bands[0] == bands[1]


def test_bands_are_minima_of_112_permutations_and_the_same_however_texts_arrive() -> None:
    some = ["one two three four five six seven", "", "solo", "drop", " ".join(map(str, range(400)))]
    column = pa.array(some, pa.large_string())
    keys, filled = kernel.bands(texts(column))
    assert list(filled) == [True, False, True, True, True]
    raw = [np.array(sorted(hashes)) for hashes in split(kernel.sets(texts(column)))]
    minima = [lanes(hashes) if hashes.size else None for hashes in raw]
    for one, other in combinations([0, 2, 3, 4], 2):
        same = (minima[one] == minima[other]).reshape(kernel.BANDS, kernel.ROWS).all(axis=1)
        assert list(keys[one] == keys[other]) == list(same)
    assert len(np.unique(keys[filled])) == 4 * kernel.BANDS
    batch = pa.RecordBatch.from_arrays([pa.array(["x"] * 5), pa.array(some, pa.string_view())], ["doc_id", "text"])
    apart = run_threads(measured_bands, [batch.slice(at, 1) for at in range(5)], threads=3)
    assert pa.concat_batches(apart) == measured_bands(batch)
    assert [len(bands) for bands in measured_bands(batch)["bands"].to_pylist()] == [14, 0, 14, 14, 14]


def split(found: kernel.Sets) -> list[list[int]]:
    ends = np.cumsum(found.counts)
    return [list(found.keep[0][end - count : end]) for end, count in zip(ends, found.counts, strict=True)]


def lanes(hashes: np.ndarray) -> np.ndarray:
    """uint32[112]: the least of a * x + b modulo 2^32 over the upper halves of the hashes."""
    upper = (hashes.astype(np.uint64) >> np.uint64(32)).astype(np.uint32)
    return (kernel.MULTIPLIERS[:, None] * upper[None, :] + kernel.ADDITIONS[:, None]).min(axis=1)


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40), st.integers(0, 9))
@settings(max_examples=100, deadline=None)
def test_runs_hold_whole_lefts_and_components_are_the_connected_ones(edges: list[tuple[int, int]], size: int) -> None:
    left, right = (np.array([edge[side] for edge in sorted(edges)], np.int64) for side in (0, 1))
    groups = {node: {node} for node in range(20)}
    for one, other in edges:
        merged = groups[one] | groups[other]
        groups |= dict.fromkeys(merged, merged)
    assert list(graph.components(left, right, 20)) == [min(groups[node]) for node in range(20)]
    starts = graph.runs(left, right, np.full(20, size), 30)
    assert [starts[0], starts[-1]] == [0, len(edges)]
    assert all(left[at] != left[at - 1] for at in starts[1:-1])
    for begin, end in pairwise(starts):
        before = left[begin:end] != left[end - 1]
        touched = np.union1d(left[begin:end][before], right[begin:end][before])
        assert size * touched.size < 30


def made_up(seed: int, bases: int = 6, versions: int = 7) -> list[Row]:
    """Documents with planted near duplicates, exact copies, bad ones, of four ranks; some at two times."""
    rng = random.Random(seed)
    words = [f"w{number}" for number in range(5000)]
    rows = []
    for base in range(bases):
        first = rng.sample(words, rng.randint(3, 120))
        for version in range(rng.randint(1, versions)):
            changed = list(first)
            for _ in range(rng.choice([0, 0, 1, 2, 4, 12])):
                changed[rng.randrange(len(changed))] = rng.choice(words)
            changed += ["lorem", "ipsum"] * rng.choice([0, 0, 0, 1])
            text = rng.choice([str, str.upper, "\n{}".format])(" ".join(changed))
            licence, synthetic = rng.choice(["MIT", None]), rng.random() < 0.2
            rows.append(row(f"{base}/{version}", text, licence=licence, synthetic=synthetic))
            if rng.random() < 0.1:
                rows.append(row(f"{base}/{version}", text, licence=licence, synthetic=synthetic, day=2))
    return rows


def outcome(checkout: Path, batches: Sequence[Sequence[Row]], **variables: float) -> tuple[Any, ...]:
    """Decisions of the house, near pairs and clusters after these batches, through the real functions and SQL."""
    con = empty(**ANY, **variables)
    for batch in batches:
        arrive(con, batch)
    build(con, checkout, NEEDED)
    columns = "doc_id, kept, reason, value, threshold, twin"
    return (
        query.fetch_all(con, f"SELECT {columns} FROM curation.decisions WHERE rule_set = 'house' ORDER BY doc_id"),
        query.fetch_all(con, "FROM curation.near_pairs ORDER BY ALL"),
        query.fetch_all(con, "FROM curation.clusters ORDER BY ALL"),
    )


def expected(rows: Sequence[Row], *, threshold: float = 0.8) -> list[tuple[Any, ...]]:
    """(doc_id, kept, reason, twin) by the definition: in order, kept unless a kept earlier one is a copy or a pair.

    A pair shares a band and has a similarity of the threshold or more; of several twins the nearest is named. Copies of
    a text that fell as a near duplicate fall with it, and name the same twin.
    """
    documents = {str(value["doc_id"]): value for value in rows}
    names = sorted(documents)
    keys, filled = kernel.bands(texts(pa.array([documents[name]["text"] for name in names], pa.large_string())))
    bands = {name: set(key) if full else set() for name, key, full in zip(names, keys, filled, strict=True)}
    sets = {name: shingles(documents[name]["text"]) for name in names}
    rank = {name: 2 * documents[name]["synthetic"] + (documents[name]["licence"] is None) for name in names}
    kept, found = [], []
    fell: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (rank[name], name)):
        text = twins.normalised(documents[name]["text"])
        if "lorem ipsum" in text:
            found.append((name, False, "lorem_ipsum", None))
            continue
        near = [(similarity(sets[name], sets[other]), other) for other in kept if bands[name] & bands[other]]
        copies = [other for other in kept if twins.normalised(documents[other]["text"]) == text]
        near = [pair for pair in near if pair[0] >= threshold]
        if copies:
            found.append((name, False, "duplicate_document", copies[0]))
        elif near:
            found.append((name, False, "near_duplicate", fell.setdefault(text, max(near)[1])))
        else:
            kept.append(name)
            found.append((name, True, None, None))
    return sorted(found)


@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
@settings(max_examples=dear(6), deadline=None, suppress_health_check=list(HealthCheck))
@example(1290624642, random.Random(0))  # a copy of a text that fell, after a nearer one that stayed
def test_the_same_is_kept_in_1_3_or_10_batches_in_any_order(checkout: Path, seed: int, rng: random.Random) -> None:
    rows = made_up(seed)
    whole = outcome(checkout, [rows])
    assert [(name, kept, reason, twin) for name, kept, reason, _, _, twin in whole[0]] == expected(rows)
    for parts in (3, 10):
        rng.shuffle(rows)
        assert outcome(checkout, [rows[part::parts] for part in range(parts)]) == whole


def test_made_up_corpora_hold_every_outcome() -> None:
    reasons = {reason for seed in range(20) for _, _, reason, _ in expected(made_up(seed))}
    assert reasons == {None, "lorem_ipsum", "duplicate_document", "near_duplicate"}


def words(seed: int, count: int = 60) -> list[str]:
    return [f"{seed}x{number}" for number in range(count)]


def chain() -> tuple[Row, Row, Row]:
    """Three texts in the order in which they are decided: the second is a pair of the other two, which are none."""
    middle = words(1)
    left, right = ["p", "q", *middle[2:]], [*middle[:-2], "r", "s"]
    for salt in range(100):
        rows = [row(f"{name}{salt}", " ".join(text)) for name, text in (("a", left), ("b", middle), ("c", right))]
        if sorted(str(each["doc_id"]) for each in rows) == [each["doc_id"] for each in rows]:
            return rows[0], rows[1], rows[2]
    raise AssertionError("no order found")


def kept(checkout: Path, rows: Sequence[Row], **variables: float) -> set[str]:
    found = outcome(checkout, [rows], near_duplicate_jaccard=0.9, **variables)[0]
    return {doc_id for doc_id, keeps, *_ in found if keeps}


def test_of_a_chain_the_ends_stay_and_taking_one_out_brings_its_twin_back(checkout: Path) -> None:
    a, b, c = chain()
    assert kept(checkout, [a, b, c]) == {a["doc_id"], c["doc_id"]}
    assert kept(checkout, [b, c]) == {b["doc_id"]}
    con = empty(**ANY, near_duplicate_jaccard=0.9)
    arrive(con, [a, b, c])
    build(con, checkout, NEEDED)
    clusters = "SELECT doc_id, cluster FROM curation.clusters WHERE doc_id > ? ORDER BY 1"
    before = query.fetch_all(con, clusters, [a["doc_id"]])
    con.execute("DELETE FROM repository.documents WHERE doc_id = ?", [a["doc_id"]])
    build(con, checkout, NEEDED)
    found = query.fetch_all(con, "SELECT doc_id, twin FROM curation.decisions WHERE rule_set = 'house' ORDER BY 1")
    assert found == [(b["doc_id"], None), (c["doc_id"], b["doc_id"])]
    assert query.fetch_all(con, clusters, [a["doc_id"]]) == before


def test_a_variable_moves_the_threshold_of_a_pair(checkout: Path) -> None:
    a, b, _ = chain()
    (near,) = jaccards([a["text"], b["text"]], [(0, 1)])
    for limit, stays in ((near - 1e-9, 1), (near, 1), (near + 1e-9, 2)):
        found = outcome(checkout, [[a, b]], near_duplicate_jaccard=limit)[0]
        assert sum(keeps for _, keeps, *_ in found) == stays
        assert [(value, threshold) for _, keeps, _, value, threshold, _ in found if not keeps] == [(near, limit)] * (
            2 - stays
        )


def test_a_document_that_fails_another_rule_takes_no_twin_down(checkout: Path) -> None:
    _, b, _ = chain()
    bad = row("bad", str(b["text"]) + " lorem ipsum")
    assert kept(checkout, [bad, b]) == {b["doc_id"]}


def test_a_bucket_of_any_size_costs_its_texts_and_gives_the_same_pairs_in_any_order(checkout: Path) -> None:
    rows = [row(str(number), " ".join([*words(2, 300), f"n{number}"])) for number in range(600)]
    batches = [rows[part::5] for part in range(5)]
    con = empty(**ANY)
    for batch in batches:
        arrive(con, batch)
    build(con, checkout, NEEDED)
    near = query.fetch_all(con, "FROM curation.near_pairs ORDER BY ALL")
    assert outcome(checkout, [rows[::-1]])[1] == near
    assert query.fetch_all(con, "SELECT count(*) > 600 * 500 FROM repository.pairs")[0][0] is False
    buckets = defaultdict(list)
    member = "SELECT text_hash, bands FROM repository.minhash JOIN repository.signals USING (doc_id)"
    for text, bands in query.fetch_all(con, member):
        for bucket in bands:
            buckets[bucket].append(text)
    wanted = {
        (a, b)
        for members in map(sorted, buckets.values())
        for at, a in enumerate(members)
        for b in members[at + 1 : at + 1 + duplicates.WINDOW]
    }
    assert {(a, b) for a, b, _ in near} == wanted
    large = sorted((len(members), bucket) for bucket, members in buckets.items() if len(members) > 257)
    assert sorted(query.fetch_all(con, "SELECT texts, bucket FROM curation.oversized_buckets")) == large
    suites = load_suites([checkout / "expectations/curation.oversized_buckets.json"])
    told, *others = run_suites(con, suites)
    assert (told.success, told.observed, told.element_count) == (False, sum(n for n, _ in large), len(large))
    assert all(check.success for check in others)
    count, bucket = large[-1]
    left_out = query.fetch_all(con, "SELECT left_out FROM curation.oversized_buckets WHERE bucket = ?", [bucket])[0][0]
    assert left_out == count * (count - 1) // 2 - sum(min(at, duplicates.WINDOW) for at in range(count))
    stays = query.fetch_all(con, "SELECT count(*) FROM curation.decisions WHERE rule_set = 'house' AND kept")[0][0]
    assert 1 <= stays <= 3
    assert query.fetch_all(con, "SELECT count(DISTINCT cluster) FROM curation.clusters") == [(1,)]


def test_the_sql_states_the_window_and_the_floor_of_the_code(checkout: Path) -> None:
    for name, numbers in (("near_pairs", (256, 0.5)), ("oversized_buckets", (257, 256))):
        text = (checkout / "sql/curation" / f"{name}.sql").read_text()
        assert all(str(number) in text for number in numbers)
    assert (duplicates.WINDOW, duplicates.FLOOR) == (256, 0.5)


def test_started_anew_after_any_part_the_rest_follows_and_nothing_comes_twice() -> None:
    rows = made_up(3, bases=16)
    whole = empty()
    arrive(whole, rows)
    wanted = query.fetch_all(whole, "FROM repository.pairs ORDER BY ALL")
    parts = interrupted(rows, 10**6)[1]
    assert parts > 4
    for stop in range(parts):
        con, _ = interrupted(rows, stop)
        compare(con)
        found = query.fetch_all(con, "FROM repository.pairs ORDER BY ALL")
        assert found == wanted, stop


def interrupted(rows: Sequence[Row], stop: int) -> tuple[query.Connection, int]:
    """A connection on which only the first ``stop`` parts of a comparison were committed, and how many those are."""
    con = empty()
    arrive(con, rows)
    con.execute("DELETE FROM repository.pairs")
    parts = list(duplicates.pairs(con, read_bytes=2000))[:stop]
    for found in parts:
        append(con, "pairs", pa.Table.from_batches([found.rows]))
    return con, len(parts)


def test_a_batch_reads_only_the_texts_that_it_meets() -> None:
    con = empty()
    arrive(con, [row(str(number), " ".join(words(number))) for number in range(50)])
    before = query.arrow(con, "FROM repository.pairs")
    near = " ".join([*words(7)[1:], "other"])
    arrive(con, [row("new", near), row("alone", " ".join(words(99)))])
    con.execute("DELETE FROM repository.pairs")
    append(con, "pairs", before)
    found = list(duplicates.pairs(con))
    assert sum(part.compared for part in found) == 1
    assert sum(part.bytes for part in found) < 3 * len(near)


def pages(path: Path) -> Iterator[tuple[str, str]]:
    """(version/name, text) of every tenth page of the documentation, tags taken off."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".html"))
        chosen = set(sorted({name.rpartition("/")[2] for name in names})[::10])
        for name in names:
            if name.rpartition("/")[2] in chosen:
                text = re.sub(r"<[^>]+>", " ", archive.read(name).decode("utf-8", "replace"))
                yield "/".join(name.split("/")[-2:]), html.unescape(text)


def test_of_two_versions_of_a_page_one_is_kept_and_other_pages_stay_apart(checkout: Path, shared_data: Path) -> None:
    found = dict(pages(shared_data / "near_dup_pgdocs.zip"))
    con = decided(checkout, [row(name, text) for name, text in found.items()], **ANY)
    twin = (
        "SELECT d.uri, t.uri FROM curation.decisions JOIN staging.current_documents AS d USING (doc_id) "
        "JOIN staging.current_documents AS t ON t.doc_id = twin WHERE rule_set = 'house'"
    )
    for one, other in query.fetch_all(con, twin):
        assert similarity(shingles(found[one]), shingles(found[other])) >= 0.8
    by_name = defaultdict(list)
    house = "FROM curation.decisions JOIN staging.current_documents USING (doc_id) WHERE rule_set = 'house'"
    for uri, keeps in query.fetch_all(con, f"SELECT uri, kept {house}"):
        by_name[uri.partition("/")[2]].append((uri, keeps))
    for versions in by_name.values():
        one, other = (uri for uri, _ in versions)
        near = similarity(shingles(found[one]), shingles(found[other]))
        assert near < 0.9 or sum(keeps for _, keeps in versions) <= 1, (one, near)


def test_every_stored_pair_of_mails_is_truly_near(shared_data: Path) -> None:
    with zipfile.ZipFile(shared_data / "mail_spamassassin.zip") as archive:
        names = sorted(name for name in archive.namelist() if "spam-1" in name and not name.endswith("/"))
        rows = [row(name, archive.read(name).decode("latin-1")) for name in names[:250]]
    con = empty()
    arrive(con, rows)
    text = {str(each["doc_id"]): str(each["text"]) for each in rows}
    stored = query.fetch_all(con, "SELECT a, b, jaccard FROM repository.pairs WHERE b IS NOT NULL")
    assert len(stored) >= 10
    assert all(similarity(shingles(text[a]), shingles(text[b])) == near for a, b, near in stored)


def test_a_batch_without_its_columns_is_refused() -> None:
    with pytest.raises(UsageError, match="doc_id"):
        measured_bands(pa.RecordBatch.from_pydict({"text": ["a"]}))

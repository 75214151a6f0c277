"""A mixture: the tokens of each group are those asked to within one document, or its epochs ran out and it says so."""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.answers.holding import find_holding
from warehouse.datasets import DatasetRecipe, Given, Mixture, Release, Train, load_recipe, rebuild, trace, verify
from warehouse.datasets.mixing import copies_of
from warehouse.datasets.selection import hashes
from warehouse.errors import CheckFailed, RecipeError
from warehouse.loader import Loader

lengths = st.lists(st.integers(1, 50), min_size=1, max_size=30).map(lambda found: np.array(found, np.int64))


@settings(deadline=None)
@given(lengths, st.integers(0, 4000), st.integers(1, 5))
def test_tokens_differ_from_those_asked_by_half_a_document_at_most_or_the_epochs_ran_out(
    tokens: np.ndarray, asked: int, most: int
) -> None:
    copies = copies_of(tokens, asked, most)
    got = int((copies * tokens).sum())
    assert abs(got - asked) * 2 <= tokens.max() or ((copies == most).all() and got < asked)
    assert copies.max() <= most and set(np.diff(copies)) <= {0, -1} and copies[0] - copies[-1] <= 1


@settings(deadline=None)
@given(
    st.dictionaries(st.text(min_size=1), st.integers(1, 10**12), min_size=1, max_size=6),
    st.integers(1, 10**12),
    st.floats(1, 50).map(lambda value: round(value, 2)),
)
def test_a_temperature_asks_for_tokens_to_its_inverse_in_proportion(
    there: dict[str, int], tokens: int, temperature: float
) -> None:
    asked = Mixture(tokens, temperature=temperature).asked(there)
    assert sum(asked.values()) == tokens
    parts = {name: each ** (1 / temperature) for name, each in there.items()}
    for name, each in asked.items():
        assert each == pytest.approx(tokens * parts[name] / sum(parts.values()), rel=1e-9, abs=1.001)


def test_weights_ask_for_exact_shares() -> None:
    assert Mixture(10, weights=(("a", 0.1), ("b", 0.2), ("c", 0.7))).asked({}) == {"a": 1, "b": 2, "c": 7}
    thirds = Mixture(10**6 + 1, weights=(("a", 0.3), ("b", 0.3), ("c", 0.4))).asked({})
    assert sum(thirds.values()) == 10**6 + 1 and thirds["a"] == int(Fraction(3, 10) * (10**6 + 1))


def frozen(release: Release) -> list[dict[str, Any]]:
    return pq.read_table(release.path / "documents.parquet").to_pylist()


def groups_of(rows: list[dict[str, Any]], key: str = "source") -> dict[str, list[dict[str, Any]]]:
    """Rows of the train split by group."""
    found = defaultdict(list)
    for row in rows:
        if row["split"] == "train":
            found[row[key]].append(row)
    return dict(found)


EVEN = Mixture(80_000, weights=(("made", 0.5), ("other", 0.5)), epochs=4)


@pytest.fixture
def given_tokens(recipe: DatasetRecipe, made: tuple[Any, Release]) -> DatasetRecipe:
    """The recipe with a tokenizer from a file."""
    return replace(recipe, tokenizer=Given(made[1].path / "recipe" / "tokenizer.json"))


@pytest.fixture
def plain(made: tuple[Any, Release]) -> dict[str, int]:
    """Tokens by doc_id, as a release without a mixture has them."""
    return {row["doc_id"]: row["tokens"] for row in frozen(made[1])}


@pytest.mark.parametrize(
    "mixture",
    [
        EVEN,
        Mixture(60_000, weights=(("other", 0.9), ("made", 0.1)), epochs=(("other", 7),)),
        Mixture(700, temperature=3),
        Mixture(8_000, temperature=1.5, epochs=2),
        Mixture(500, weights=(("other", 0), ("made", 1))),
    ],
)
def test_a_release_holds_of_each_group_what_was_asked_or_says_that_it_ran_out(
    world: Any, given_tokens: DatasetRecipe, plain: dict[str, int], mixture: Mixture
) -> None:
    release = world.export(replace(given_tokens, mixture=mixture))
    rows, found = frozen(release), release.manifest.mixture
    assert all(row["tokens"] == plain[row["doc_id"]] for row in rows)
    held = groups_of(rows)
    for name, said in found["groups"].items():
        mine = held.get(name, [])
        copies, tokens = Counter(row["doc_id"] for row in mine), sum(row["tokens"] for row in mine)
        assert (said["tokens"], said["documents"], said["copies"]) == (tokens, len(copies), len(mine))
        assert said["epochs"] == round(tokens / said["there"]["tokens"], 6)
        assert max(copies.values(), default=0) <= said["most_epochs"] == mixture.most(name)
        assert len(set(copies.values())) <= 2
        longest = max(plain[row["doc_id"]] for row in world_rows(world, name))
        full = said["ran_out"] and set(copies.values()) == {said["most_epochs"]}
        assert full or abs(tokens - said["asked"]) < longest
    assert (found["asked"], found["tokens"]) == (mixture.tokens, release.manifest.splits["train"].tokens)
    others = [row["doc_id"] for row in rows if row["split"] != "train"]
    assert len(others) == len(set(others)) and all(not row["copy"] for row in rows if row["split"] != "train")
    assert len({(row["doc_id"], row["copy"]) for row in rows}) == len(rows)
    assert "## Mixture" in (release.path / "README.md").read_text()


def world_rows(world: Any, source: str) -> list[dict[str, Any]]:
    return [row for row in world.rows if row["source"] == source]


def contents(release: Release) -> dict[str, str]:
    files = {path.relative_to(release.path).as_posix(): path for path in release.path.rglob("*") if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items() if name != "run.json"}


def test_processes_batches_and_the_order_of_sql_change_no_byte_and_a_rebuild_gives_them_again(
    world: Any, recipe: DatasetRecipe
) -> None:
    mixed = replace(recipe, mixture=EVEN)
    one = world.export(mixed, out="one")
    backwards = replace(mixed, select=f"{recipe.select} ORDER BY doc_id DESC")
    two = world.export(backwards, out="two", processes=2, batch_rows=7)
    assert len(two.run["pids"]) == 2 and os.getpid() not in two.run["pids"]
    first, second = contents(one), contents(two)
    assert {name for name, value in first.items() if second[name] != value} == {
        *("recipe/recipe.yaml", "recipe/select.sql", "manifest.json", "README.md", "croissant.json")
    }
    assert first.keys() == second.keys() and one.manifest.mixture == two.manifest.mixture
    assert verify(one.path).id == rebuild(one.path, world.snapshot, batch_rows=11).id == one.id


@pytest.mark.parametrize(("tokens", "max_bytes"), [(80_000, 20_000), (9_000, 20_000)])
def test_the_tokenizer_is_trained_on_text_that_goes_out_in_the_shares_of_the_mixture(
    world: Any, recipe: DatasetRecipe, tokens: int, max_bytes: int
) -> None:
    mixed = replace(recipe, tokenizer=Train(400, max_bytes), mixture=replace(EVEN, tokens=tokens))
    release = world.export(mixed)
    seen = [row for row in frozen(release) if row["trained_on"]]
    assert seen and all(row["split"] == "train" and row["copy"] == 0 for row in seen)
    most = min(tokens, max_bytes) // 2
    for name, rows in groups_of(seen).items():
        assert most - 1900 < sum(row["bytes"] for row in rows) <= most, name
    assert rebuild(release.path, world.snapshot).id == release.id


def test_a_tokenizer_by_which_less_of_a_group_goes_out_is_trained_again_without_the_rest(
    tmp_path: Path, recipe: DatasetRecipe, make_world: Callable[..., Any], make_row: Callable[..., Any]
) -> None:
    """Of the group ``dull`` two of the first to be taken have nearly all its tokens, and a fifteenth of its bytes."""
    chance, names = random.Random(3), [f"{n:032x}" for n in range(90)]
    dull = sorted(names[30:], key=lambda name: hashes("mixture", recipe.seed, [name])[0])
    rich = {*names[:30], *dull[1:3]}
    rows = [
        make_row(
            n,
            "".join(chance.choices("abcdefghijklmnopqrst ", k=2000)) if name in rich else "ab" * 500 + f" {n}",
            source="dull" if name in dull else "rich",
            doc_id=name,
        )
        for n, name in enumerate(names)
    ]
    world = make_world(tmp_path, rows)
    mixed = replace(recipe, splits=(("train", 1.0),), tokenizer=Train(300), mixture=Mixture(12_000, temperature=1))
    release = world.export(mixed)
    seen = groups_of([row for row in frozen(release) if row["trained_on"]])
    assert [row["doc_id"] for row in seen["dull"]] == dull[:1] and len(seen["rich"]) > 1
    assert rebuild(release.path, world.snapshot).id == release.id


def test_no_sample_holds_a_document_twice_and_both_ways_lead_to_every_copy(
    world: Any, given_tokens: DatasetRecipe
) -> None:
    mixture = Mixture(200_000, weights=(("other", 0.4), ("made", 0.6)), epochs=4)
    release = world.export(replace(given_tokens, shards=4, sequence_length=2048, mixture=mixture))
    rows = frozen(release)
    twice = Counter(row["doc_id"] for row in rows if row["split"] == "train")
    assert max(twice.values()) > 2
    found = defaultdict(int)
    for sample in range(release.manifest.splits["train"].samples):
        pieces = trace(release.path, "train", sample)
        starts = Counter(piece.doc_id for piece in pieces if piece.token_offset == 0)
        assert max(starts.values(), default=1) == 1
        for piece in pieces:
            found[piece.doc_id] += piece.length
    often = max(twice, key=lambda name: twice[name])
    held = find_holding(release.path, "doc", often)
    [length] = {row["tokens"] for row in rows if row["doc_id"] == often}
    assert (held.documents, held.tokens) == (1, length * twice[often]) == (1, found[often])
    assert sum(found.values()) == release.manifest.splits["train"].tokens
    ids = np.concatenate(list(Loader(release.path, batch=1)))
    assert (ids != release.manifest.pad_id).sum() == sum(found.values())


def test_a_column_of_the_select_makes_groups_and_what_has_none_is_unknown(
    world: Any, given_tokens: DatasetRecipe
) -> None:
    select = (
        "SELECT doc_id, CASE WHEN hash(doc_id) % 3 > 0 THEN hash(doc_id) % 3 END AS topic, 'en' AS language "
        "FROM curation.decisions"
    )
    asked = replace(given_tokens, select=select)
    by_topic = world.export(replace(asked, mixture=Mixture(30_000, by="topic", temperature=9)))
    topics = set(groups_of(frozen(by_topic), "group"))
    assert set(by_topic.manifest.mixture["groups"]) == topics == {"1", "2", "unknown"}
    for by, groups in (("language", {"en"}), ("licence", {"MIT", "unknown"})):
        found = world.export(replace(asked, mixture=Mixture(900, by=by, temperature=1))).manifest
        assert set(found.mixture["groups"]) == groups and found.mixture["by"] == by


def test_what_the_groups_do_not_bear_out_is_refused_at_its_line(
    tmp_path: Path, world: Any, recipe: DatasetRecipe
) -> None:
    def exported(mixture: str) -> None:
        text = f"select: {recipe.select}\ntokenizer: {{train: {{vocab_size: 300}}}}\nmixture:\n  tokens: 900\n  "
        (tmp_path / "mine.yaml").write_text(text + mixture)
        world.export(load_recipe(tmp_path / "mine.yaml"))

    for mixture, message in (
        ("weights:\n    made: 0.5\n    books: 0.5\n", r"mine.yaml:7: no document of train has .*'books'.*made, other"),
        ("weights:\n    made: 1\n", r"mine.yaml:3: source 'other' has no weight.*0 to keep it out"),
        ("temperature: 2\n  epochs: {books: 2}\n", r"mine.yaml:6: no document of train has the source 'books'"),
        ("temperature: 2\n  by: topic\n", r"mine.yaml:1: the select gives no topic.*doc_id"),
    ):
        with pytest.raises(RecipeError, match=message):
            exported(mixture)
    with pytest.raises(CheckFailed, match=r"a mixture of 1 tokens takes no document"):
        world.export(replace(recipe, mixture=Mixture(1, weights=(("made", 0.5), ("other", 0.5)))))


def test_the_cap_on_synthetic_text_counts_every_copy(
    tmp_path: Path, recipe: DatasetRecipe, make_world: Callable[..., Any], make_row: Callable[..., Any]
) -> None:
    rows = [make_row(n, f"ten words of text number {n} " * 4, source="synth" if n < 8 else "real") for n in range(40)]
    world = make_world(tmp_path, [row | {"synthetic": row["source"] == "synth"} for row in rows])
    mixture = Mixture(2_000, weights=(("synth", 0.6), ("real", 0.4)), epochs=9)
    whole = replace(recipe, splits=(("train", 1.0),))
    with pytest.raises(CheckFailed, match=r"\d\d\.\d% of the text that goes out is synthetic .*30\.0%"):
        world.export(replace(whole, mixture=mixture))
    fair = world.export(replace(whole, mixture=replace(mixture, weights=(("synth", 0.25), ("real", 0.75)))))
    sizes = Counter[bool]()
    for row in frozen(fair):
        sizes[row["synthetic"]] += row["bytes"]
    assert fair.manifest.synthetic_share == round(sizes[True] / sizes.total(), 6) > 0.2

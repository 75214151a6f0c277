"""Masks in conversations: what they hide is nowhere in the release, in no other message, and in no special token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chat_world import RECIPE, conversations, export
from sent_chats import sent
from test_chat_release import decoded, turns
from test_masks import KINDS
from tokenizers import Tokenizer

from warehouse.contracts import PII_KINDS
from warehouse.curation import PII
from warehouse.datasets import Manifest, Release, load_recipe, rebuild, trace
from warehouse.datasets.masks import masked_text
from warehouse.datasets.recipe import TARGETS
from warehouse.manifest import CARDS

Rows = list[dict[str, Any]]
Made = Release[Manifest]
SECRETS = list(KINDS)


def secretive(count: int) -> Rows:
    """Conversations of which every second holds something personal in each message but the last."""
    rows = conversations(count)
    for number, row in enumerate(rows[::2]):
        for at, message in enumerate(row["messages"][:-1]):
            secret = SECRETS[(number + at) % len(SECRETS)]
            message["content"] = f"Für Nº {number}: {secret}; {message['content']}"
    return rows


@pytest.fixture(scope="module")
def rows() -> Rows:
    return secretive(60)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> Made:
    """A release that masks every kind."""
    return export(tmp_path_factory.mktemp("masked"), rows, replace(RECIPE, mask=PII_KINDS, targets=TARGETS))


def frozen(made: Made) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in pq.read_table(made.path / "documents.parquet").to_pylist()}


def contents(messages: Sequence[dict[str, str]]) -> list[bytes]:
    return [message["content"].encode() for message in messages]


def test_what_is_masked_is_in_no_token_no_message_and_no_file_of_a_target(made: Made, rows: Rows) -> None:
    tables = [pq.read_table(path) for path in made.path.rglob("*.parquet")]
    others = [path for path in made.path.rglob("*") if path.is_file() and path.suffix != ".parquet"]
    plain = [path.read_bytes().decode(errors="replace") for path in others]
    words = [decoded(made.path, each.ids) for each in sent(made.path, made.manifest)]
    for text in [*words, *plain, *(str(table.to_pylist()) for table in tables)]:
        assert not [secret for secret in SECRETS if secret in text]
    given = " ".join(message["content"] for row in rows for message in row["messages"])
    assert all(secret in given for secret in SECRETS)


def test_all_else_goes_out_in_the_words_of_the_template(made: Made) -> None:
    for each in sent(made.path, made.manifest):
        if each.ids:
            pieces = turns(each.row["messages"])
            assert decoded(made.path, each.ids) == "".join(text for text, _ in pieces)
            marked = [number for number, learnt in zip(each.ids, each.learnt, strict=True) if learnt]
            assert decoded(made.path, marked) == "".join(text for text, learnt in pieces if learnt)


def test_each_mask_stands_in_one_message_at_the_place_of_what_it_hides_and_is_counted(made: Made, rows: Rows) -> None:
    counted, held = dict.fromkeys(PII_KINDS, 0), frozen(made)
    for row in rows:
        found, before = held[f'{{"id": {row["id"]}}}'], contents(row["messages"])
        whole, edges = b"".join(before), [0, *accumulate(map(len, before))]
        assert masked_text(whole.decode(), found["masked"]).encode() == b"".join(contents(found["messages"]))
        assert found["bytes"] == sum(map(len, contents(found["messages"])))
        for span in found["masked"]:
            assert KINDS[whole[span["start"] : span["stop"]].decode()] == span["kind"]
            assert not [edge for edge in edges if span["start"] < edge < span["stop"]]
            counted[span["kind"]] += 1
    holders = sum(bool(row["masked"]) for row in held.values())
    assert made.manifest.pii == {"masked": counted, "documents": holders} and holders > 20
    readme = (made.path / "README.md").read_text()
    assert f"Personal data masked in {holders} conversations" in readme and f"email {counted['email']}" in readme


def test_what_masks_hide_moves_nothing_else_of_a_release(tmp_path: Path, rows: Rows) -> None:
    """Two releases whose conversations differ in an e-mail address alone differ in places of masks and the id."""
    recipe = replace(RECIPE, mask=("email",), targets=TARGETS)
    secrets, releases = ("a@b.de", "grace.hopper@mail.co.uk"), []
    for number, secret in enumerate(secrets):
        told = [{**row, "messages": [{"role": "user", "content": f"I am {secret}."}, *row["messages"]]} for row in rows]
        releases.append(export(tmp_path, told, recipe, out=str(number)))
    one, other = ({name: entry.sha256 for name, entry in made.manifest.files.items()} for made in releases)
    assert {name for name in one if one[name] != other[name]} - {*CARDS} == {"documents.parquet"}
    tables = [pq.read_table(made.path / "documents.parquet").drop_columns("masked") for made in releases]
    assert tables[0].equals(tables[1])


def test_only_the_kinds_of_the_recipe_are_masked(tmp_path: Path, rows: Rows) -> None:
    release = export(tmp_path, rows, replace(RECIPE, mask=("email", "iban")))
    text = str(frozen(release))
    assert {kind for secret, kind in KINDS.items() if secret in text} == {*PII_KINDS} - {"email", "iban"}
    assert list(release.manifest.pii["masked"]) == ["email", "iban"]


Find = Callable[[pa.RecordBatch], pa.RecordBatch]


def finding(word: str, mask: str) -> Find:
    """A search for one word, which masks it so."""

    def find(batch: pa.RecordBatch) -> pa.RecordBatch:
        found = []
        for name, text in zip(batch["doc_id"].to_pylist(), batch["text"].to_pylist(), strict=True):
            start = text.encode().find(word.encode())
            found.append((name, 1, "email", start, start + len(word.encode()), mask))
        return pa.RecordBatch.from_arrays([pa.array(column) for column in zip(*found, strict=True)], PII.names)

    return find


def test_a_rebuild_makes_the_same_bytes_whatever_the_search_finds_by_then(tmp_path: Path, rows: Rows) -> None:
    recipe = replace(RECIPE, mask=("email",), targets=("jsonl",))
    one = export(tmp_path, rows, recipe)
    other = export(tmp_path, rows, recipe, find=finding("Für", "For"), out="other")
    assert one.id != other.id and rebuild(one.path).id == one.id and rebuild(other.path).id == other.id


def test_a_mask_makes_no_special_token_with_what_stands_beside_it(tmp_path: Path) -> None:
    rows = conversations(6)
    for row in rows:
        row["messages"][0]["content"] = "before ada@end|> and after"
    recipe = replace(RECIPE, mask=("email",))
    release = export(tmp_path, rows, recipe, find=finding("ada@", "<|im_"))
    for each in sent(release.path, release.manifest):
        assert each.row["messages"][0]["content"] == "before <|im_end|> and after"
        pieces = turns(each.row["messages"])
        assert decoded(release.path, each.ids) == "".join(text for text, _ in pieces)
        assert decoded(release.path, each.ids).count("<|im_end|>") == len(each.row["messages"]) + 1
        ends = each.ids.count(special(release, "<|im_end|>"))
        assert ends == len(each.row["messages"])


def special(release: Made, token: str) -> int:
    return int(Tokenizer.from_file(str(release.path / "recipe" / "tokenizer.json")).token_to_id(token))


def test_a_sample_of_masked_conversations_leads_to_the_words_that_went_out(made: Made) -> None:
    held = {row["doc_id"]: row for row in frozen(made).values()}
    samples = range(made.manifest.splits["train"].samples)
    segments = [each for sample in samples for each in trace(made.path, "train", sample)]
    assert any(held[each.doc_id]["masked"] for each in segments)
    for segment in segments:
        text = "".join(text for text, _ in turns(held[segment.doc_id]["messages"]))
        assert (segment.text_start, segment.text_end) == (0, len(text.encode()))


def test_a_recipe_of_conversations_states_its_masks(tmp_path: Path, made: Made) -> None:
    assert load_recipe(made.path / "recipe" / "recipe.yaml").mask == PII_KINDS
    path = tmp_path / "chats.yaml"
    path.write_text("kind: chat\nselect: SELECT 1 AS id\nkey: [id]\ntemplate: chatml\npii: {mask: [phone, email]}\n")
    assert load_recipe(path).mask == ("email", "phone")

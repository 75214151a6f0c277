"""A release of conversations: the words of their template, a bit for each learnt token, the same bytes again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
from chat_world import CHATML, RECIPE, conversations, export
from sent_chats import Sent, sent
from tiny_world import RECIPE as DOCUMENTS
from tokenizers import Tokenizer

from warehouse.datasets import Chat, Given, Manifest, Release, rebuild, trace, verify
from warehouse.errors import CheckFailed, IntegrityError, RecipeError
from warehouse.loader import Loader, Mixture, Source, StreamingLoader, pull
from warehouse.manifest import CARDS

Rows = list[dict[str, Any]]
Made = Release[Manifest]
TARGETED = replace(RECIPE, targets=("parquet",))


@pytest.fixture(scope="module")
def chats() -> Rows:
    return conversations(60)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, chats: Rows) -> Made:
    """A release to be read only, with a target that each process writes a part of."""
    return export(tmp_path_factory.mktemp("chats"), chats, TARGETED)


def turns(messages: list[dict[str, str]]) -> list[tuple[str, bool]]:
    """The template chatml in plain Python: its pieces, and whether each is learnt."""
    found = []
    for message in messages:
        learnt = message["role"] == "assistant"
        found += [
            (f"<|im_start|>{message['role']}\n", False),
            (f"{message['content']}<|im_end|>", learnt),
            ("\n", False),
        ]
    return found


def decoded(path: Path, ids: list[int]) -> str:
    tokenizer = Tokenizer.from_file(str(path / "recipe" / "tokenizer.json"))
    return str(tokenizer.decode(ids, skip_special_tokens=False))


def gone(each: Sent) -> bool:
    return each.row["left_out"] is not None


@pytest.mark.parametrize("packing", ["best_fit", "concatenate"])
def test_every_conversation_goes_out_in_the_words_of_its_template_with_the_answers_marked(
    tmp_path: Path, chats: Rows, packing: Literal["best_fit", "concatenate"]
) -> None:
    release = export(tmp_path, chats, replace(RECIPE, packing=packing))
    found = [each for each in sent(release.path, release.manifest) if not gone(each)]
    assert len(found) > 50 and {each.row["key"] for each in found} < {f'{{"id": {row["id"]}}}' for row in chats}
    for each in found:
        pieces = turns(each.row["messages"])
        assert decoded(release.path, each.ids) == "".join(text for text, _ in pieces)
        marked = [number for number, learnt in zip(each.ids, each.learnt, strict=True) if learnt]
        assert decoded(release.path, marked) == "".join(text for text, learnt in pieces if learnt)
        assert (each.row["tokens"], each.row["learnt"]) == (len(each.ids), sum(each.learnt))
    assert release.manifest.chat["learnt"] == sum(sum(each.learnt) for each in found)
    assert release.manifest.sources == ("made", "other")
    assert verify(release.path).files == len(release.manifest.files)


def test_what_is_longer_than_a_sample_is_left_out_or_cut_and_counted(tmp_path: Path, made: Made, chats: Rows) -> None:
    left_out = [each.row for each in sent(made.path, made.manifest) if gone(each)]
    assert {(row["tokens"], row["learnt"], row["left_out"]) for row in left_out} == {(0, 0, "too_long")}
    assert made.manifest.chat["left_out"] == {"too_long": len(left_out), "nothing_learnt": 0} and left_out
    assert made.manifest.documents == len(chats) == sum(split.documents for split in made.manifest.splits.values())
    assert RECIPE.chat is not None
    whole = {each.row["key"]: each for each in sent(made.path, made.manifest)}
    cut = export(tmp_path, chats, replace(RECIPE, chat=replace(RECIPE.chat, longer="cut")))
    for each in sent(cut.path, cut.manifest):
        if gone(whole[each.row["key"]]):
            text = "".join(text for text, _ in turns(each.row["messages"]))
            assert len(each.ids) == 256 and text.startswith(decoded(cut.path, each.ids).rstrip("\ufffd"))
        else:
            assert each == whole[each.row["key"]]
    assert cut.manifest.chat["left_out"] == {"too_long": 0, "nothing_learnt": 0}


def test_a_conversation_of_which_nothing_is_learnt_is_left_out_and_counted(tmp_path: Path, chats: Rows) -> None:
    asked = {**chats[0], "id": 100, "messages": [{"role": "user", "content": "Is there anybody?"}]}
    release = export(tmp_path, [*chats[:5], asked])
    found = {each.row["key"]: each for each in sent(release.path, release.manifest)}
    assert found['{"id": 100}'].row["left_out"] == "nothing_learnt" and not found['{"id": 100}'].ids
    assert release.manifest.chat["left_out"]["nothing_learnt"] == 1


def contents(path: Path) -> dict[str, str]:
    files = {each.relative_to(path).as_posix(): each for each in path.rglob("*") if each.is_file()}
    return {name: hashlib.sha256(each.read_bytes()).hexdigest() for name, each in files.items() if name != "run.json"}


def test_processes_batches_and_the_order_of_rows_change_no_byte_and_rebuild_makes_them_again(
    tmp_path: Path, made: Made, chats: Rows
) -> None:
    other = export(tmp_path, chats[::-1], TARGETED, processes=2, batch_rows=7)
    assert contents(other.path) == contents(made.path)
    assert rebuild(made.path).id == made.id
    assert rebuild(made.path, batch_rows=3).files == len(made.manifest.files) - len(CARDS)


@pytest.fixture
def given(made: Made) -> Any:
    """The recipe with a tokenizer from a file."""
    return replace(RECIPE, tokenizer=Given(made.path / "recipe" / "tokenizer.json"))


def test_a_conversation_less_changes_one_shard_and_another_template_all(
    tmp_path: Path, given: Any, chats: Rows
) -> None:
    first, second = export(tmp_path, chats, given), export(tmp_path, chats[:-1], given)
    alone = export(tmp_path, chats[:-1], given, out="alone")
    before, after = contents(first.path), contents(second.path)
    shards = {name.partition(".")[0] for name in before if name.startswith(("train", "valid"))}
    changed = {name.partition(".")[0] for name in before if before[name] != after[name]} & shards
    assert len(changed) == 1 and second.run["reused_shards"] == len(shards) - 1
    assert after == contents(alone.path) and verify(second.path)
    for chat in (
        replace(given.chat, loss=("user",)),
        replace(given.chat, longer="cut"),
        replace(given.chat, template=given.chat.template + "{{- '' -}}"),
    ):
        assert export(tmp_path, chats[:-1], replace(given, chat=chat)).run["reused_shards"] == 0
    moved = export(tmp_path, [{**row, "_source": "other"} for row in chats[:-1]], replace(given, description="Moved."))
    assert moved.manifest.sources == ("other",) and moved.run["reused_shards"] < len(shards)


def masks(loader: Loader | Mixture | StreamingLoader) -> Iterator[tuple[int, int, list[bool]]]:
    """Of the next 300 batches or the epoch."""
    for batch in islice(loader.batches(loss_mask=True), 300):
        assert batch.loss_mask is not None
        yield from zip(batch.sources.tolist(), batch.samples.tolist(), batch.loss_mask.tolist(), strict=True)


def stored(release: Made, split: str = "train") -> list[list[bool]]:
    """The masks of a split's samples, bit by bit."""
    size, found = release.manifest.sequence_length, []
    for shard in release.manifest.splits[split].shards:
        bits = np.fromfile(release.path / shard.mask, "u1").reshape(-1, -(-size // 8))
        found += [[bool(row[at // 8] >> (at % 8) & 1) for at in range(size)] for row in bits.tolist()]
    return found


def test_a_loader_gives_the_mask_that_is_stored(made: Made, tmp_path: Path, chats: Rows) -> None:
    for release in (made, export(tmp_path, chats, replace(RECIPE, sequence_length=250))):
        expected = stored(release)
        for kind in (Loader, StreamingLoader):
            found = {sample: mask for _, sample, mask in masks(kind(release.path, batch=2, drop_last=False))}
            assert [found[sample] for sample in range(len(expected))] == expected


def test_in_a_mixture_documents_are_learnt_whole_and_conversations_where_they_say(
    made: Made, world: Any, tmp_path: Path
) -> None:
    tokenizer = Given(made.path / "recipe" / "tokenizer.json")
    documents = world.export(replace(DOCUMENTS, tokenizer=tokenizer, sequence_length=256))
    bits, seen = stored(made), set()
    mixture = Mixture([Source(documents.path), Source(made.path)], batch=4)
    plain = {sample: mask for _, sample, mask in masks(Loader(documents.path, batch=1))}
    for source, sample, mask in masks(mixture):
        seen.add(source)
        assert mask == (bits[sample] if source else plain[sample])
    assert seen == {0, 1}


def test_the_mask_travels_with_a_part_and_a_flipped_bit_is_caught(made: Made, tmp_path: Path) -> None:
    pull(made.path, tmp_path / "part", splits=["train"], rank=0, world=2)
    loader = Loader(tmp_path / "part", batch=1)
    assert {sample: mask for _, sample, mask in masks(loader)} == dict(enumerate(stored(made)[: len(loader)]))
    path = tmp_path / "part" / made.manifest.splits["train"].shards[0].mask
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    with pytest.raises(IntegrityError, match=r"train-00000-of-00002\.mask: block 0"):
        list(masks(Loader(tmp_path / "part", batch=1)))


def test_a_sample_leads_to_its_conversations(made: Made) -> None:
    frozen = {row["doc_id"]: row for row in pq.read_table(made.path / "documents.parquet").to_pylist()}
    for sample in range(made.manifest.splits["train"].samples):
        segments = trace(made.path, "train", sample)
        for segment in segments:
            row = frozen[segment.doc_id]
            text = "".join(text for text, _ in turns(row["messages"]))
            assert (segment.text_start, segment.text_end) == (0, len(text.encode()))
            assert (segment.source, segment.record, segment.licence) == (row["source"], row["key"], "CC0-1.0")
        last = segments[-1]
        one = trace(made.path, "train", sample, last.position + 1)
        assert 0 < one[0].text_start < one[0].text_end < last.text_end or last.length < 3


def test_prompts_and_responses_are_conversations_and_a_template_without_marks_learns_by_roles(tmp_path: Path) -> None:
    template = """{% for message in messages %}
{{- '<|' + message['role'] + '|>' + message['content'] + eos_token -}}
{% endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"""
    select = """SELECT id, 'be brief' AS system, messages[1].content AS prompt, 'the answer' AS response FROM chats"""
    special = ("<|system|>", "<|user|>", "<|assistant|>")
    for loss, expected in (
        (("assistant",), "the answer<|endoftext|>"),
        (("system",), "<|system|>be brief<|endoftext|>"),
    ):
        chat = Chat(("id",), template, special, loss)
        release = export(tmp_path, conversations(5), replace(RECIPE, select=select, chat=chat))
        for each in sent(release.path, release.manifest):
            prompt = each.row["messages"][1]["content"]
            whole = f"<|system|>be brief<|endoftext|><|user|>{prompt}<|endoftext|><|assistant|>the answer<|endoftext|>"
            assert decoded(release.path, each.ids) == whole
            marked = [number for number, learnt in zip(each.ids, each.learnt, strict=True) if learnt]
            assert decoded(release.path, marked) == expected


def test_a_prompt_with_several_answers_lies_in_one_split(tmp_path: Path, chats: Rows) -> None:
    twice = [
        {**row, "id": row["id"] + 1000, "messages": [*row["messages"][:-1], {"role": "assistant", "content": "Other."}]}
        for row in chats
        if len(row["messages"]) == 3
    ]
    release = export(tmp_path, [*chats, *twice], replace(RECIPE, splits=(("train", 0.5), ("validation", 0.5))))
    found = {each.row["key"]: each.row["split"] for each in sent(release.path, release.manifest)}
    pairs = [(found[f'{{"id": {row["id"] - 1000}}}'], found[f'{{"id": {row["id"]}}}']) for row in twice]
    assert len(pairs) > 10 and all(one == other for one, other in pairs) and len(set(pairs)) == 2


LISTED = "SELECT id, list_transform(messages, lambda m: {change}) AS messages FROM chats"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"select": "SELECT id FROM chats"}, r"the select gives id.*messages, or prompt and response"),
        ({"select": "SELECT messages FROM chats"}, r"gives no id"),
        ({"select": "SELECT * FROM chats WHERE false"}, "gives no conversation"),
        ({"select": "SELECT 1 AS id, messages FROM chats"}, r"gives 60 rows but 1 of id"),
        ({"select": "SELECT id, 'hello' AS messages FROM chats"}, r"messages is string.*list of structs of role and"),
        (
            {"select": "SELECT id, [{'role': 'user', 'content': 'a', 'name': 'b'}] AS messages FROM chats"},
            r"messages is list.*name.*list_transform",
        ),
        ({"select": "SELECT id, messages[:0] AS messages FROM chats"}, r'conversation {"id": \d+} has no message'),
        (
            {"select": "SELECT id, [{'role': 'a user', 'content': 'a'}] AS messages FROM chats"},
            r"message 0 has the role 'a user'",
        ),
        (
            {"select": "SELECT id, NULL::VARCHAR AS prompt, 'b' AS response FROM chats"},
            r"the content of message 0 is None",
        ),
        (
            {"select": "SELECT id, chr(64976) AS prompt, 'b' AS response FROM chats"},
            r"message 0 holds a noncharacter of Unicode",
        ),
        ({"select": "SELECT *, 'yesterday' AS known_at FROM chats"}, r"column known_at: .*CAST it in the select"),
        (
            {"template": "{{ raise_exception('roles must alternate') }}"},
            r"conversation {.*template.*roles must alternate",
        ),
        ({"template": "{{ messages[99].content }}"}, r"template template\.jinja"),
        ({"template": "{{ strftime_now('%Y') }}"}, r"'strftime_now' is undefined"),
        ({"template": "{{ messages[-1].content }}"}, r"changes what stands before it"),
        (
            {"template": "{{ messages.append(1) }}"},
            r"template template\.jinja: access to attribute 'append'.*is unsafe",
        ),
    ],
)
def test_what_makes_no_conversations_is_refused_by_name(
    tmp_path: Path, chats: Rows, change: dict[str, str], message: str
) -> None:
    recipe = replace(RECIPE, select=change.get("select", RECIPE.select))
    if "template" in change:
        recipe = replace(recipe, chat=Chat(("id",), change["template"]))
    with pytest.raises(RecipeError, match=message):
        export(tmp_path, chats, recipe)
    assert not list((tmp_path / "out").glob("*/[0-9]*"))


def test_a_tokenizer_without_a_token_of_the_template_is_refused_by_its_name(tmp_path: Path, made: Made) -> None:
    given = Given(made.path / "recipe" / "tokenizer.json")
    chat = Chat(("id",), CHATML.text, ("<|im_start|>", "<|eot_id|>"), called="mine")
    with pytest.raises(RecipeError, match=r"no special token '<\|eot_id\|>', which template mine writes.*<\|im_end\|>"):
        export(tmp_path, conversations(3), replace(RECIPE, tokenizer=given, chat=chat))


def test_synthetic_conversations_keep_to_the_cap_and_must_be_marked(tmp_path: Path, chats: Rows) -> None:
    marked = replace(RECIPE, select="SELECT *, id % 2 = 0 AS synthetic FROM chats")
    with pytest.raises(CheckFailed, match=r"% of the text that goes out is synthetic"):
        export(tmp_path, chats, marked)
    half = export(tmp_path, chats, replace(marked, max_synthetic_share=0.7))
    assert 0.3 < half.manifest.synthetic_share < 0.7
    with pytest.raises(CheckFailed, match=r"reads repository\.synthetic_chats and gives no column synthetic"):
        export(tmp_path, chats, drawn={"repository.synthetic_chats"})

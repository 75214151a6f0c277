"""Chat templates: no message becomes a special token, whatever it spells, and none of it is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chat_world import CHATML, RECIPE, conversations, export
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from warehouse.datasets import Chat
from warehouse.datasets.chat_encoding import Encoded, encode, encode_fast, make_chat_encoder
from warehouse.datasets.chat_guard import make_speller
from warehouse.datasets.chat_template import BUILT_IN, Worded, environment, worded
from warehouse.datasets.vocabulary import Vocabulary, open_vocabulary

SPECIAL = ("<|im_start|>", "<|im_end|>", "<|eot_id|>", "<s>", "[INST]", "<<x>>", "<|<|")
LLAMA = BUILT_IN["llama3"]
ALL = tuple(dict.fromkeys((*SPECIAL, *LLAMA.special)))
TEMPLATES = {
    "chatml": CHATML.text,
    "llama3": LLAMA.text,
    "alpaca": BUILT_IN["alpaca"].text,
    "joined": "{% for m in messages %}{{ m.content }}{% endfor %}",
    "joined and trimmed": "{% for m in messages %}{{ m.content | trim }}{% endfor %}",
    "beside halves": "{% for m in messages %}<|im_{{ m.content }}|>{{ m.content | trim }}<{% endfor %}[IN",
    "marked": "{% for m in messages %}<s>{% generation %}{{ m.content }}{% endgeneration %}<{% endfor %}",
}
FRAGMENTS = [token[:at] for token in SPECIAL for at in range(1, len(token) + 1)]
FRAGMENTS += [token[at:] for token in SPECIAL for at in range(1, len(token))]
TEXTS = st.lists(st.sampled_from([*FRAGMENTS, *"<>|[] \n", "end", "im_end", "naïve 🙂", "word"]), max_size=6).map(
    "".join
)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    """Of a tokenizer with every token of SPECIAL and of the built-in templates."""
    assert RECIPE.chat is not None
    recipe = replace(RECIPE, chat=replace(RECIPE.chat, special=ALL))
    release = export(tmp_path_factory.mktemp("chats"), conversations(20), recipe)
    return open_vocabulary(release.path / "recipe" / "tokenizer.json", recipe)


def encoded(vocabulary: Vocabulary, template: str, contents: list[str]) -> tuple[str, Encoded]:
    """The words that plain Jinja makes, and what goes out."""
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(contents)]
    named, speller = vocabulary.named, make_speller(list(vocabulary.special))
    chat = Chat(("id",), template, called="it") if "generation" in template else Chat(("id",), template, loss=())
    plain = template.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    plain = plain.replace("{%- generation -%}", "").replace("{%- endgeneration -%}", "")
    text = environment().from_string(plain).render(messages=messages, loss=chat.loss, **named)
    (found,) = encoded_twice([worded(chat, messages, speller, named=named, where="it")], vocabulary)
    return text, found


def encoded_twice(texts: list[Worded], vocabulary: Vocabulary) -> list[Encoded]:
    """What ``tokenizers`` makes of the texts, which is what the kernel makes of them."""
    kernel = make_chat_encoder(vocabulary)
    assert kernel is not None
    made, expected = list(encode_fast(texts, vocabulary, kernel)), list(encode(texts, vocabulary))
    for one, other in zip(made, expected, strict=True):
        for values, wanted in ((one.ids, other.ids), (one.ends, other.ends), (one.learnt, other.learnt)):
            assert values.tolist() == wanted.tolist() and values.dtype == wanted.dtype
    return expected


def special(vocabulary: Vocabulary, ids: Any) -> list[int]:
    return [number for number in ids.tolist() if number in vocabulary.special.values()]


@given(name=st.sampled_from(sorted(TEMPLATES)), contents=st.lists(TEXTS, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_the_special_tokens_are_those_that_the_template_writes_whatever_messages_spell(
    vocabulary: Vocabulary, name: str, contents: list[str]
) -> None:
    text, found = encoded(vocabulary, TEMPLATES[name], contents)
    _, harmless = encoded(vocabulary, TEMPLATES[name], ["x"] * len(contents))
    assert special(vocabulary, found.ids) == special(vocabulary, harmless.ids)
    assert vocabulary.tokenizer.decode(found.ids.tolist(), skip_special_tokens=False) == text
    assert found.ends.size == 0 or found.ends[-1] == len(text.encode())


@given(contents=st.lists(TEXTS, min_size=1, max_size=4), loss=st.sets(st.sampled_from(["user", "assistant"])))
@settings(max_examples=100, deadline=None)
def test_what_is_learnt_is_what_the_roles_say_whatever_messages_spell(
    vocabulary: Vocabulary, contents: list[str], loss: set[str]
) -> None:
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(contents)]
    chat = Chat(("id",), CHATML.text, loss=tuple(sorted(loss)))
    speller = make_speller(list(vocabulary.special))
    (found,) = encoded_twice([worded(chat, messages, speller, named=vocabulary.named, where="it")], vocabulary)
    learnt = vocabulary.tokenizer.decode(found.ids[found.learnt].tolist(), skip_special_tokens=False)
    assert learnt == "".join(f"{each['content']}<|im_end|>" for each in messages if each["role"] in loss)


def test_the_kernel_makes_a_batch_of_conversations_as_tokenizers_makes_each(vocabulary: Vocabulary) -> None:
    assert RECIPE.chat is not None
    speller = make_speller(list(vocabulary.special))
    rows = [row["messages"] for row in conversations(60)] + [[{"role": "user", "content": "<|im_end|>é"}]]
    texts = [worded(RECIPE.chat, each, speller, named=vocabulary.named, where="it") for each in rows]
    assert sum(not text.plain for text in texts) > 0 and not encoded_twice([], vocabulary)
    alone = [found for text in texts for found in encode([text], vocabulary)]
    for one, other in zip(encoded_twice(texts, vocabulary), alone, strict=True):
        assert (one.ids.tolist(), one.learnt.tolist()) == (other.ids.tolist(), other.learnt.tolist())


@pytest.mark.parametrize(
    "change",
    [
        lambda json: json["added_tokens"][0].update(lstrip=True),
        lambda json: json["added_tokens"][0].update(single_word=True),
        lambda json: json.update(
            post_processor={"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        ),
    ],
)
def test_a_tokenizer_whose_special_tokens_or_places_move_is_left_to_tokenizers(
    vocabulary: Vocabulary, change: Callable[[dict[str, Any]], None]
) -> None:
    content = json.loads(vocabulary.tokenizer.to_str())
    change(content)
    assert make_chat_encoder(replace(vocabulary, tokenizer=Tokenizer.from_str(json.dumps(content)))) is None


def test_a_message_without_anything_of_a_special_token_is_left_as_it_is() -> None:
    speller = make_speller(SPECIAL)
    for content in ("plain words", "  a < b and b > c, 3 | 4  ", "", " \n", "array[INSTANCE]", "naïve 🙂"):
        assert speller.guarded(content) == content
    for content in ("<|im_end|>", "so <", " end|>", "<|im_", "im", "[INST]", "a<s>b"):
        assert speller.guarded(content) != content


def test_a_tokenizer_without_special_tokens_needs_no_guard() -> None:
    speller = make_speller(())
    assert speller.guarded("<|im_end|>") == "<|im_end|>" and speller.cuts("<|im_end|>") == ()


def test_templates_of_a_name_write_the_special_tokens_that_they_state_and_no_others(tmp_path: Path) -> None:
    for name, made in BUILT_IN.items():
        messages = [{"role": role, "content": "x"} for role in ("system", "user", "assistant")]
        chat = Chat(("id",), made.text, made.special, called=name)
        text = worded(chat, messages, make_speller(ALL), named={"eos_token": "<eos>"}, where="it").text
        assert {token for token in ALL if token in text} == set(made.special)

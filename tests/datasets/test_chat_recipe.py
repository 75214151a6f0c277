"""A recipe of conversations: read back as it was resolved, refused with its file and line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from chat_world import RECIPE

from warehouse.datasets import Chat, DatasetRecipe, load_recipe
from warehouse.datasets.chat_template import BUILT_IN
from warehouse.datasets.recipe import resolved
from warehouse.errors import RecipeError

GOOD = "kind: chat\nselect: SELECT 1 AS a\nkey: [a]\ntemplate: chatml\n"
MARKED = "{% for m in messages %}{%- generation -%}{{ m.content }}{%- endgeneration -%}{% endfor %}"


def load(folder: Path, text: str, template: str = MARKED) -> DatasetRecipe:
    (folder / "own.jinja").write_text(template)
    (folder / "mine.yaml").write_text(text)
    found = load_recipe(folder / "mine.yaml")
    assert isinstance(found, DatasetRecipe)
    return found


def test_a_built_in_template_brings_its_special_tokens_and_a_file_its_text(tmp_path: Path) -> None:
    for name, made in BUILT_IN.items():
        assert load(tmp_path, GOOD.replace("chatml", name)).chat == Chat(("a",), made.text, made.special)
    own = load(tmp_path, GOOD.replace("chatml", "own.jinja") + "special: [<u>]\nbos: <s>\n").chat
    assert own == Chat(("a",), MARKED, ("<u>",), loss=(), bos="<s>")
    by_role = load(tmp_path, GOOD.replace("chatml", "own.jinja") + "loss: [bot]\n", "{{ messages[0].content }}").chat
    assert by_role == Chat(("a",), "{{ messages[0].content }}", loss=("bot",))


def test_a_resolved_recipe_of_conversations_is_the_same_recipe(tmp_path: Path) -> None:
    assert RECIPE.chat is not None
    odd = Chat(("a", "ü: b"), MARKED, ("<|u|>",), loss=(), longer="cut", bos="<s>")
    for chat in (RECIPE.chat, odd, replace(RECIPE.chat, loss=("user", "tool"))):
        recipe = replace(RECIPE, chat=chat)
        (tmp_path / "template.jinja").write_text(chat.template)
        (tmp_path / "mine.yaml").write_text(resolved(recipe), "utf-8")
        assert load_recipe(tmp_path / "mine.yaml") == recipe


@pytest.mark.parametrize(
    ("text", "template", "message"),
    [
        (GOOD.replace("key: [a]\n", ""), MARKED, r"mine\.yaml:1: no key.*select, key, template"),
        (GOOD.replace("template: chatml\n", ""), MARKED, r"mine\.yaml:1: no template"),
        (GOOD + "rule_set: house\n", MARKED, r"mine\.yaml:5: unknown key 'rule_set'"),
        (GOOD + "longer: split\n", MARKED, r"mine\.yaml:5: longer is 'split'. Allowed: drop, cut"),
        (GOOD + "loss: assistant\n", MARKED, r"mine\.yaml:5: loss is 'assistant'"),
        (GOOD + "special: [<u>]\n", MARKED, r"mine\.yaml:5: special beside the built-in template chatml"),
        (
            GOOD.replace("chatml", "chatlm"),
            MARKED,
            r"mine\.yaml:4: template is 'chatlm'. Allowed: chatml, llama3, alpaca, or",
        ),
        (GOOD.replace("chatml", "gone.jinja"), MARKED, r"mine\.yaml:4: template is 'gone\.jinja'"),
        (GOOD.replace("chatml", "own.jinja"), "\n{% for %}", r"mine\.yaml:4: own\.jinja:2: "),
        (GOOD.replace("chatml", "own.jinja"), "{% generation %}", r"mine\.yaml:4: own\.jinja:1: "),
        (GOOD.replace("chatml", "own.jinja") + "loss: [bot]\n", MARKED, r"mine\.yaml:5: loss beside own\.jinja"),
    ],
)
def test_what_is_wrong_in_a_recipe_of_conversations_is_refused_with_its_line(
    tmp_path: Path, text: str, template: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        load(tmp_path, text, template)

"""Conversations put into words by a chat template, with what of them is learnt.

A template is Jinja as Hugging Face's ``chat_template``: sandboxed, blocks trimmed, with ``messages``, ``bos_token``,
``eos_token``, ``pad_token``, ``add_generation_prompt``, ``raise_exception``, ``tojson`` and ``{% generation %}``, and
``loss``, the recipe's roles. What that block holds is learnt; in a template without one, what each message of those
roles adds to the messages before it with the prompt for it. Not there: ``strftime_now``, which would give other bytes
tomorrow, tools, and images.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import jinja2
from jinja2 import meta, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from warehouse.datasets.chat_guard import BEGIN, END, GUARD, Spans, Speller, shifted
from warehouse.datasets.recipe import Chat
from warehouse.errors import RecipeError

Message = Mapping[str, str]
MARKS = re.compile(f"[{BEGIN}{END}]")


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A template that has a name; special: the tokens that it writes."""

    text: str
    special: tuple[str, ...] = ()


BUILT_IN: Mapping[str, BuiltIn] = {
    "chatml": BuiltIn(
        """\
{%- for message in messages -%}
    {{- '<|im_start|>' + message.role + '\\n' -}}
    {%- if message.role in loss -%}
        {%- generation -%}{{- message.content + '<|im_end|>' -}}{%- endgeneration -%}
    {%- else -%}
        {{- message.content + '<|im_end|>' -}}
    {%- endif -%}
    {{- '\\n' -}}
{%- endfor -%}
""",
        ("<|im_start|>", "<|im_end|>"),
    ),
    "llama3": BuiltIn(
        """\
{{- '<|begin_of_text|>' -}}
{%- for message in messages -%}
    {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' -}}
    {%- if message.role in loss -%}
        {%- generation -%}{{- message.content | trim + '<|eot_id|>' -}}{%- endgeneration -%}
    {%- else -%}
        {{- message.content | trim + '<|eot_id|>' -}}
    {%- endif -%}
{%- endfor -%}
""",
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    "alpaca": BuiltIn(
        """\
{%- for message in messages -%}
    {%- if message.role == 'system' -%}
        {{- message.content + '\\n\\n' -}}
    {%- elif message.role == 'user' -%}
        {{- '### Instruction:\\n' + message.content + '\\n\\n' -}}
    {%- elif message.role == 'assistant' -%}
        {{- '### Response:\\n' -}}
        {%- if 'assistant' in loss -%}
            {%- generation -%}{{- message.content + eos_token -}}{%- endgeneration -%}
        {%- else -%}
            {{- message.content + eos_token -}}
        {%- endif -%}
        {%- if not loop.last -%}{{- '\\n\\n' -}}{%- endif -%}
    {%- else -%}
        {{- raise_exception('a role ' + message.role + '; it knows system, user, assistant') -}}
    {%- endif -%}
{%- endfor -%}
"""
    ),
}


class Generation(Extension):
    """``{% generation %}``: what it holds comes out between BEGIN and END."""

    tags = {"generation"}  # noqa: RUF012 # jinja2 declares it of instances, so mypy allows no ClassVar

    def parse(self, parser: Parser) -> nodes.Node:
        """The block as a call that marks what its body gives."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller: Macro) -> str:
        return f"{BEGIN}{caller()}{END}"


@lru_cache(maxsize=1)
def environment() -> ImmutableSandboxedEnvironment:
    """What templates are compiled in."""
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.globals["raise_exception"] = _refused
    made.filters["tojson"] = _json
    return made


def _refused(why: str) -> NoReturn:
    raise jinja2.TemplateRuntimeError(why)


def _json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


@lru_cache(maxsize=2)
def _compiled(text: str) -> jinja2.Template:
    return environment().from_string(text)


@lru_cache(maxsize=2)
def marks_learnt(text: str) -> bool:
    """Whether a template says by ``{% generation %}`` what is learnt."""
    return re.search(r"\{%[-+]?\s*generation\s*[-+]?%\}", text) is not None


def reads_loss(text: str) -> bool:
    """Whether what is learnt follows the recipe's ``loss`` in it."""
    return not marks_learnt(text) or "loss" in meta.find_undeclared_variables(environment().parse(text))


BROKEN = (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError)
"""What a template raises that does not fit the messages."""


@dataclass(frozen=True, slots=True)
class Worded:
    """A conversation in words. learnt, special: what is learnt and where special tokens of the template stand, as
    characters of the text; plain: no message held anything of a special token.
    """

    text: str
    learnt: Spans
    special: Spans
    plain: bool


def worded(
    chat: Chat, messages: Sequence[Message], speller: Speller, *, named: Mapping[str, str], where: str
) -> Worded:
    """The conversation by its template. named: ``eos_token`` and the like; where: what errors begin with.

    Raises RecipeError for messages that the template refuses, and for a template that does not go on as it began.
    """
    guarded = [{"role": message["role"], "content": speller.guarded(message["content"])} for message in messages]
    try:
        raw, learnt = _marked(chat, guarded, named)
    except BROKEN as error:
        raise RecipeError(
            f"{where}: template {chat.called}: {error or type(error).__name__}",
            do="leave it out in the select, or mend the template",
        ) from None
    guards = [found.start() for found in re.finditer(GUARD, raw)]
    special = shifted(speller.cuts(raw), guards)
    return Worded(raw.replace(GUARD, ""), shifted(learnt, guards), special, plain=not guards)


def _marked(chat: Chat, messages: Sequence[Message], named: Mapping[str, str]) -> tuple[str, Spans]:
    """The text with its guards, and what of it is learnt."""

    def render(count: int, *, prompt: bool = False) -> str:
        values: dict[str, Any] = {**named, "bos_token": chat.bos, "loss": chat.loss}
        return _compiled(chat.template).render(messages=messages[:count], add_generation_prompt=prompt, **values)

    def prompts(count: int) -> Iterator[str]:
        yield from (render(count, prompt=prompt) for prompt in (True, False))

    text = render(len(messages))
    if marks_learnt(chat.template):
        return _without_marks(text)
    found = []
    for number, message in enumerate(messages):
        if message["role"] in chat.loss:
            with_it = render(number + 1)
            before = next((each for each in prompts(number) if with_it.startswith(each)), None)
            if before is None or not text.startswith(with_it):
                raise ValueError(
                    f"message {number} changes what stands before it, so mark what is learnt by {{% generation %}}"
                )
            found.append((len(before), len(with_it)))
    return text, tuple(found)


def _without_marks(text: str) -> tuple[str, Spans]:
    marks = [(found.group(), found.start() - number) for number, found in enumerate(MARKS.finditer(text))]
    begins, ends = ([at for mark, at in marks if mark == wanted] for wanted in (BEGIN, END))
    return MARKS.sub("", text), tuple(zip(begins, ends, strict=True))

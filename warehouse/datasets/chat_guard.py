"""No message can spell a special token: what would is broken before a template sees it, and made whole afterwards.

GUARD, a noncharacter of Unicode, is put after the first character of each special token in a message, of what at its
end begins one, and before what at its beginning ends one or what is an inner part of one: so none is there, nor comes
to be with what the template or another message puts beside it. White space at the ends of a message stays there, so a
template may trim. Once the special tokens of the whole are found, which are then those that the template wrote, GUARD
goes.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

GUARD, BEGIN, END = "\ufdd0", "\ufdd1", "\ufdd2"
"""Noncharacters, which Unicode keeps for use inside a program: they break a token, and stand around what is learnt."""

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Speller:
    """The special tokens of a tokenizer as messages may spell them; ``make_speller`` makes it.

    heads, tails: beginnings of tokens by their last character, and ends by their first.
    """

    tokens: tuple[str, ...]
    begun: re.Pattern[str]
    whole: re.Pattern[str]
    heads: Mapping[str, tuple[str, ...]]
    tails: Mapping[str, tuple[str, ...]]

    def guarded(self, content: str) -> str:
        """The content with GUARD wherever it must be broken."""
        if not self.tokens:
            return content
        places = {found.end() for found in self.begun.finditer(content)}
        first, last = len(content) - len(content.lstrip()), len(content.rstrip())
        bare, longest = content[first:last], len(self.tokens[0])
        if bare.startswith(self.tails.get(bare[:1], ())) or self._inside(bare, longest):
            places.add(first)
        places |= {last - len(head) + 1 for head in self.heads.get(bare[-1:], ()) if bare.endswith(head)}
        if not places:
            return content
        cut = [0, *sorted(places), len(content)]
        return GUARD.join(content[start:stop] for start, stop in pairwise(cut))

    def _inside(self, bare: str, longest: int) -> bool:
        return 0 < len(bare) < longest and any(bare in token for token in self.tokens)

    def cuts(self, text: str) -> Spans:
        """Where special tokens stand in a text, the longest at each place."""
        return tuple(found.span() for found in self.whole.finditer(text)) if self.tokens else ()


def make_speller(tokens: Sequence[str]) -> Speller:
    """The speller of special tokens; tokens of one character cannot be broken and must not be given."""
    ordered = tuple(sorted(tokens, key=lambda token: (-len(token), token)))
    either = "|".join(map(re.escape, ordered))
    heads, tails = dict[str, tuple[str, ...]](), dict[str, tuple[str, ...]]()
    for token in ordered:
        for head, tail in ((token[:size], token[size:]) for size in range(1, len(token))):
            heads[head[-1]] = (*heads.get(head[-1], ()), head)
            tails[tail[0]] = (*tails.get(tail[0], ()), tail)
    return Speller(ordered, re.compile(f"(?=(?:{either})).", re.DOTALL), re.compile(either), heads, tails)


def shifted(spans: Spans, gone: Sequence[int]) -> Spans:
    """Spans of a text as they stand once the characters at ``gone``, which ascend, are taken out."""
    if not gone:
        return spans
    return tuple((start - bisect_left(gone, start), stop - bisect_left(gone, stop)) for start, stop in spans)

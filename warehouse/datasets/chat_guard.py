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
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

GUARD, BEGIN, END = "\ufdd0", "\ufdd1", "\ufdd2"
"""Noncharacters, which Unicode keeps for use inside a program: they break a token, and stand around what is learnt."""

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Speller:
    """The special tokens of a tokenizer as messages may spell them; ``make_speller`` makes it."""

    tokens: tuple[str, ...]
    begun: re.Pattern[str]
    whole: re.Pattern[str]
    heads: frozenset[str]
    tails: frozenset[str]

    def guarded(self, content: str) -> str:
        """The content with GUARD wherever it must be broken."""
        if not self.tokens:
            return content
        places = {found.end() for found in self.begun.finditer(content)}
        first, last = len(content) - len(content.lstrip()), len(content.rstrip())
        bare, longest = content[first:last], len(self.tokens[0])
        if any(bare[:size] in self.tails for size in range(1, longest)) or self._inside(bare, longest):
            places.add(first)
        sizes = range(1, min(longest, len(bare) + 1))
        places |= {last - size + 1 for size in sizes if bare[-size:] in self.heads}
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
    heads = frozenset(token[:size] for token in ordered for size in range(1, len(token)))
    tails = frozenset(token[size:] for token in ordered for size in range(1, len(token)))
    return Speller(ordered, re.compile(f"(?=(?:{either})).", re.DOTALL), re.compile(either), heads, tails)


def shifted(spans: Spans, gone: Sequence[int]) -> Spans:
    """Spans of a text as they stand once the characters at ``gone``, which ascend, are taken out."""
    return tuple((start - bisect_left(gone, start), stop - bisect_left(gone, stop)) for start, stop in spans)

"""Lines of text from a byte stream in bounded memory, for a parser that wants lines with their ends and may go back.

Where nothing is declared and no byte order mark tells, UTF-16 is known by its zero bytes, any other charset is guessed
from the first MiB (``charset``), UTF-8 where nothing is likely; bytes that are not in it become surrogates, so that
they spoil their own record alone. An object without a line feed in its first block and with carriage returns has those
as line ends.
"""

from __future__ import annotations

import codecs
import io
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import BinaryIO

from warehouse.contracts import Reject
from warehouse.sources.charset import guessed, unmarked_utf16
from warehouse.sources.guard import guarded

BLOCK = 1 << 20
MARKS_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class _Kept:
    """A text that was given, from its first line on; ``lines`` are its parts between line feeds."""

    def __init__(self, line: int, text: str) -> None:
        self.line, self.text = line, text

    @cached_property
    def lines(self) -> list[str]:
        return self.text.removesuffix("\n").split("\n")


class Lines:
    """Lines of text with their ends, counted from 0; those since ``settled`` are kept and may be given again.

    A line beyond ``max_chars`` becomes a Reject instead; where the stream fails, the lines before that are given.
    chars: of the text taken up since the caller set it to 0.
    """

    def __init__(self, stream: BinaryIO, uri: str, encoding: str | None, max_chars: int) -> None:
        self.uri, self.chars = uri, 0
        self._encoding, self._max_chars, self._skipping = encoding, max_chars, False
        self._rejects: list[Reject] = []
        self._changed: Callable[[str], str] = str
        self._ahead: deque[str] = deque()  # texts that were looked at before their time
        self._current: Iterator[str] = iter(())
        self._back: deque[str] = deque()  # lines to be given again before the rest of ``_current``
        self._kept: deque[_Kept] = deque()
        self.line = 0  # of the next text
        self._texts = guarded(self._blocks(stream), uri=uri, reason="not_csv")

    def __iter__(self) -> Iterator[str]:
        """The lines from where the last iteration stopped, or ``again_from`` went back to."""
        while True:
            while self._back:
                yield self._back.popleft()
            yield from self._current
            text = self._ahead.popleft() if self._ahead else self._next()
            if text is None:
                return
            if text:
                self.chars += len(text)
                self._kept.append(_Kept(self.line, text))
                self.line += _lines_in(text)
                self._current = itertools.chain(io.StringIO(text, newline="\n"))  # not closed with this generator

    def sample(self, size: int) -> str:
        """Whole lines of the first ``size`` characters, at least the first that is not blank; all are still to come."""
        for _ in range(2 + self._max_chars // BLOCK):
            if "".join(self._ahead).strip() or (text := self._next()) is None:
                break
            self._ahead.append(text)
        start = "".join(self._ahead)
        first = start.find("\n", len(start) - len(start.lstrip()))
        return start if len(start) <= size or first < 0 else start[: max(start.rfind("\n", 0, size), first) + 1]

    def change(self, made: Callable[[str], str]) -> None:
        """Put every text from here on through a function that leaves the number of its lines as it is."""
        self._changed = made
        self._ahead = deque(map(made, self._ahead))

    def next_text(self) -> str:
        """The next block of whole lines, which is still to come; empty at the end."""
        while not any(self._ahead) and (text := self._next()) is not None:
            self._ahead.append(text)
        return next(filter(None, self._ahead), "")

    def skip_text(self) -> None:
        """Go past the next block, as one that was read otherwise."""
        self.line += _lines_in(self.next_text())
        while not self._ahead.popleft():
            pass

    def settled(self, line: int) -> None:
        """The lines before ``line`` are done with."""
        while len(self._kept) > 1 and self._kept[1].line <= line:
            self._kept.popleft()

    def between(self, start: int, stop: int) -> list[str]:
        """Lines ``start`` to ``stop`` (excluded) without their ends, which must not be settled."""
        found: list[str] = []
        for kept in self._kept:
            found += kept.lines[max(0, start - kept.line) : max(0, stop - kept.line)]
        return found

    def holds(self, parts: Sequence[str], *, first: str) -> bool:
        """Whether the lines that are kept hold one of these, or ``first`` begins one of their texts."""
        texts = [kept.text for kept in self._kept]
        return any(part in text for text in texts for part in parts) or any(text.startswith(first) for text in texts)

    def again_from(self, line: int, stop: int) -> None:
        """Let a new iteration begin with lines ``line`` to ``stop`` (excluded), the last that was given."""
        self._back.extendleft(f"{text}\n" for text in reversed(self.between(line, stop)))

    def taken(self) -> list[Reject]:
        """The Rejects since the last call; ``record`` is ``?`` for those of a line, empty for the object's own."""
        found, self._rejects = self._rejects, []
        return found

    def _next(self) -> str | None:
        """The next block of whole lines; None at the end."""
        for text in self._texts:
            if not isinstance(text, Reject):
                return self._changed(text)
            self._rejects.append(text)
        return None

    def _blocks(self, stream: BinaryIO) -> Iterator[str]:
        """Text in blocks of whole lines; broken UTF-8 as surrogates, so that it spoils its row alone."""
        decoder, tail, end = None, "", "\n"
        for chunk in iter(lambda: stream.read(BLOCK), b""):
            if decoder is None:
                decoder = _decoder(chunk, self._encoding)
                first = decoder.decode(chunk)
                end = "\r" if "\r" in first and "\n" not in first else "\n"
            else:
                first = decoder.decode(chunk)
            text = self._resumed(tail + first, end)
            cut = text.rfind(end) + 1
            tail = self._bounded(text[cut:])
            yield self._given(text[:cut], end)
        tail = self._resumed(tail + (decoder.decode(b"", True) if decoder else ""), end)
        yield self._given(tail, end)

    def _given(self, text: str, end: str) -> str:
        return text.replace("\r", "\n") if end == "\r" else text

    def _resumed(self, text: str, end: str) -> str:
        """The text after the line that is being skipped, if one is."""
        if not self._skipping:
            return text
        at = text.find(end)
        self._skipping = at < 0
        return "" if at < 0 else text[at + 1 :]

    def _bounded(self, tail: str) -> str:
        if len(tail) <= self._max_chars:
            return tail
        message = f"a line of more than {self._max_chars} characters"
        first = tail[:200].encode("utf-8", "replace")[:200]
        self._rejects.append(Reject(self.uri, "?", "record_too_large", message, -1, None, first))
        self._skipping = True
        return ""


def _lines_in(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n"))


def charset_of(chunk: bytes, encoding: str | None) -> str:
    """The charset of the object that starts with ``chunk``, by the name that Python knows it under."""
    if chunk.startswith(MARKS_UTF16):
        return "utf-16"
    if encoding is None and not chunk.startswith(codecs.BOM_UTF8):
        encoding = unmarked_utf16(chunk) or guessed(chunk)
    return encoding or "utf-8-sig"


def _decoder(chunk: bytes, encoding: str | None) -> codecs.IncrementalDecoder:
    """A decoder for the object that starts with ``chunk``, which takes away a byte order mark."""
    charset = charset_of(chunk, encoding)
    return codecs.getincrementaldecoder(charset)("strict" if charset == "utf-16" else "surrogateescape")

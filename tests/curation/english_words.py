"""The words of spacy_en as strings: the kernel called chunk by chunk."""

from __future__ import annotations

import numpy as np

from warehouse.kernels import english
from warehouse.kernels.english_table import block


class Held:
    """A text in memory, and room to cut it in."""

    def __init__(self, text: str) -> None:
        self.raw = text.encode()
        self.bytes = np.frombuffer(self.raw + b"\0", np.uint8).copy()
        self.begin = self.bytes.ctypes.data
        self.end = self.begin + len(self.raw)
        self.memory = english.spare_for(len(self.raw))
        self.memory[16:32].view(np.int64)[:] = self.begin, self.end
        self.spare = self.memory.ctypes.data


def cut(text: str) -> list[str]:
    """The kernel's words."""
    held, words, place = Held(text), [], 0
    ends = held.memory[english.TOKENS :][: 8 * len(held.raw)].view(np.int64)
    for chunk in text.split():
        start = place = held.raw.index(chunk.encode(), place)
        place += len(chunk.encode())
        count = english.words_of(block().ctypes.data, held.begin + start, held.begin + place, held.spare)
        for stop in (ends[:count] - held.begin).tolist():
            words.append(held.raw[start:stop].decode())
            start = stop
    return words

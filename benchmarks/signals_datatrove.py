"""What datatrove says of each text, for signals.py: run by a Python that has datatrove 0.10.1 and spaCy 3.8.18.

    python signals_datatrove.py TEXTS.jsonl ANSWERS.jsonl

A line an answer: words, the text that C4's line rules leave in both settings, and the first failing reason of each
filter, of FineWeb's chain and of that on unedited text (null: kept; "raises NAME" where the filter raised); the last
line is its speed on the first documents, each filter called once a document.
"""

import json
import sys
import time
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.word_tokenizers import SpaCyTokenizer, load_word_tokenizer

FILTERS = {
    "gopher_quality": GopherQualityFilter(),
    "gopher_repetition": GopherRepetitionFilter(),
    "c4": C4QualityFilter(),
    "fineweb": FineWebQualityFilter(),
}
CHAIN = ("gopher_repetition", "gopher_quality", "open", "fineweb")
OPEN = C4QualityFilter(filter_no_terminal_punct=False)
LINES = {
    "c4": C4QualityFilter(min_num_sentences=-1),
    "c4_open": C4QualityFilter(min_num_sentences=-1, filter_no_terminal_punct=False),
}
TIMED = 150


def reason(each, document):
    """The first failing reason, None if the document is kept."""
    try:
        verdict = each.filter(document)
    except (ZeroDivisionError, AssertionError, ValueError) as error:
        return f"raises {type(error).__name__}"
    return verdict[1] if isinstance(verdict, tuple) else None if verdict else "dropped"


def chain(text):
    """The reason of the first filter of FineWeb's chain that fails; C4 hands on the text without the lines it drops."""
    document = Document(text=text, id="")
    return next((why for name in CHAIN if (why := reason({**FILTERS, "open": OPEN}[name], document))), None)


def unedited(text):
    """The same with every filter on the text as it is stored."""
    whys = (reason({**FILTERS, "open": OPEN}[name], Document(text=text, id="")) for name in CHAIN)
    return next(filter(None, whys), None)


def left(each, text):
    """The text without the lines that C4 drops; None where a line drops the document."""
    document = Document(text=text, id="")
    return document.text if each.filter(document) is True else None


def main():
    texts = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    some = texts[:TIMED]
    for each in FILTERS.values():
        reason(each, Document(text=texts[0], id=""))
    start = time.process_time()
    for text in some:
        for each in FILTERS.values():
            reason(each, Document(text=text, id=""))
    spent = time.process_time() - start
    speed = {"documents": len(some), "mb_per_cpu_s": sum(len(text.encode()) for text in some) / 1e6 / spent}
    remember()
    tokenizer = load_word_tokenizer("en")
    with Path(sys.argv[2]).open("w") as out:
        for text in texts:
            answer = {"words": tokenizer.word_tokenize(text), "chain": chain(text), "unedited": unedited(text)}
            answer["left"] = {name: left(each, text) for name, each in LINES.items()}
            answer |= {name: reason(each, Document(text=text, id="")) for name, each in FILTERS.items()}
            out.write(json.dumps(answer) + "\n")
        out.write(json.dumps(speed))


def remember():
    """Let spaCy cut a text that it has just cut only once; after the timing."""
    cut, last = SpaCyTokenizer.word_tokenize, {}

    def word_tokenize(self, text):
        if text not in last:
            if len(last) > 1:
                last.pop(next(iter(last)))
            last[text] = cut(self, text)
        return last[text]

    SpaCyTokenizer.word_tokenize = word_tokenize


if __name__ == "__main__":
    main()

"""What dolma 1.2.1's taggers and NeMo Curator 1.4.0's filters say of each text, for signals.py.

    python signals_taggers.py TEXTS.jsonl ANSWERS.jsonl

Both wheels ask for much that these parts do not use (NeMo Curator's for torch and Ray), so they are taken by
themselves, without what their packages import at the start. A line an answer: the first failing reason of each (null:
kept; "raises NAME" where it raised).
"""

import importlib
import json
import sys
import types
from pathlib import Path

LIMITS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}


def bare(root, *names):
    """Make packages of these folders without running what they import at their start; whether the first is there."""
    found = next((Path(path) for path in sys.path if (Path(path) / root).is_dir()), None)
    for name in (root, *names) if found else ():
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(found / name.replace(".", "/"))]
    return found is not None


def dolma():
    """dolma_gopher and dolma_c4: functions from a text to the first rule of the published configurations that fails."""
    if not bare("dolma", "dolma.core", "dolma.taggers"):
        return {}
    gopher, c4 = (importlib.import_module(f"dolma.taggers.{name}") for name in ("gopher", "c4"))
    document = importlib.import_module("dolma.core.data_types").Document

    def by_gopher(text):
        found = gopher.get_attributes(text)
        grams = dict(found.fraction_of_characters_in_duplicate_ngrams)
        rules = [
            ("word_count_min", found.word_count < 50),
            ("word_count_max", found.word_count > 100_000),
            ("median_word_length_min", found.median_word_length < 3),
            ("median_word_length_max", found.median_word_length > 10),
            ("symbol_to_word_ratio", found.symbol_to_word_ratio > 0.1),
            ("words_with_alpha_character", found.fraction_of_words_with_alpha_character < 0.8),
            ("required_word_count", found.required_word_count < 2),
            ("lines_starting_with_bullet_point", found.fraction_of_lines_starting_with_bullet_point > 0.9),
            ("lines_ending_with_ellipsis", found.fraction_of_lines_ending_with_ellipsis > 0.3),
            ("duplicate_lines", found.fraction_of_duplicate_lines > 0.3),
            ("characters_in_duplicate_lines", found.fraction_of_characters_in_duplicate_lines > 0.3),
            *((f"duplicate_{n}grams", grams.get(n, 0) > limit) for n, limit in LIMITS.items()),
        ]
        return next((name for name, failed in rules if failed), None)

    tagger = c4.FasterC4Tagger()

    def by_c4(text):
        spans = {span.type for span in tagger.predict(document("", "", text, "")).spans}
        return next((name for name in ("has_curly_brace", "has_lorem_ipsum", "has_javascript") if name in spans), None)

    return {"dolma_gopher": by_gopher, "dolma_c4": by_c4}


def nemo():
    """nemo: a function from a text to the first filter of heuristic_filter_english_pipeline that drops it."""
    text = "nemo_curator.stages.text"
    packages = ("nemo_curator.stages", text, f"{text}.filters", f"{text}.filters.heuristic", f"{text}.utils")
    if not bare("nemo_curator", *packages, f"{text}.filters.heuristic.repetition"):
        return {}
    string = importlib.import_module(f"{text}.filters.heuristic.string")
    repetition = importlib.import_module(f"{text}.filters.heuristic.repetition.repetition")
    filters = [
        string.NonAlphaNumericFilter(),
        string.SymbolsToWordsFilter(),
        string.NumbersFilter(),
        string.UrlsFilter(),
        string.WhiteSpaceFilter(),
        string.ParenthesesFilter(),
        string.BoilerPlateStringFilter(),
        repetition.RepeatedLinesFilter(),
        repetition.RepeatedParagraphsFilter(),
        repetition.RepeatedLinesByCharFilter(),
        repetition.RepeatedParagraphsByCharFilter(),
        string.WordCountFilter(),
        string.PunctuationFilter(),
        string.WordsWithoutAlphabetsFilter(),
        string.CommonEnglishWordsFilter(),
        string.MeanWordLengthFilter(),
        string.LongWordFilter(),
        string.EllipsisFilter(),
        *(repetition.RepeatingTopNGramsFilter(n, limit) for n, limit in ((2, 0.2), (3, 0.18), (4, 0.16))),
        *(repetition.RepeatingDuplicateNGramsFilter(n, limit) for n, limit in LIMITS.items()),
        string.BulletsFilter(),
    ]

    def by_nemo(text):
        for each in filters:
            try:
                score = each.score_document(text)
            except (ZeroDivisionError, ValueError) as error:
                return f"raises {type(error).__name__}"
            if not each.keep_document(score):
                low = {"word_count": 50, "mean_word_length": 3}.get(each.name)
                return each.name if low is None else f"{each.name}_{'min' if score < low else 'max'}"
        return None

    return {"nemo": by_nemo}


def main():
    judges = {}
    for peer in (dolma, nemo):
        try:
            judges |= peer()
        except ImportError as error:
            print(f"without {peer.__name__}: {error}")
    texts = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    with Path(sys.argv[2]).open("w") as out:
        for text in texts:
            out.write(json.dumps({name: judge(text) for name, judge in judges.items()}) + "\n")


if __name__ == "__main__":
    main()

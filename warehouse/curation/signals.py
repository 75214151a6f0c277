"""The signals of a document: what every published rule needs, measured once, so that rules are SQL over integers.

Counts are of the text as it is; a null text counts as the empty text. A rule's ratio is a quotient of two columns, so a
threshold changes without reading text again. The few lengths that are part of a count (30, 200 and 1,000 characters,
three words) are fixed by the rules' definitions. Each column, what it holds and which rule reads it:

{table}
"""

from __future__ import annotations

import pyarrow as pa

from warehouse.kernels import c4, lines, ngrams, profile, words

SIGNALS_VERSION = 8
"""Raised whenever a column changes its meaning; signals of another version are measured again.

Clusters are named by ``text_hash``, so where that changes, documents move between shards and splits once (version 8).
"""

MEANING = {
    "doc_id": "the document",
    "version": "SIGNALS_VERSION that measured it",
    "words_mode": "spacy_en | unicode | whitespace: how words and sentences were cut (warehouse.kernels.words)",
    "chars": "code points: gopher, house, nemo",
    "bytes": "of UTF-8: funnel",
    "text_hash": "hash of the text, A-Z as a-z, white space as single spaces, trimmed: exact duplicates",
    "alpha_chars": "letters (category L): house",
    "digit_chars": "decimal digits (Nd)",
    "upper_chars": "upper-case letters (Lu)",
    "space_chars": "white space (str.isspace)",
    "punctuation_chars": "punctuation as datatrove lists it, control characters included",
    "control_chars": "control characters (Cc) that are no white space: house",
    "replacement_chars": "U+FFFD, left by a wrong decoding: house",
    "hashes": "'#': gopher",
    "ellipses": "'...' and U+2026: gopher",
    "nemo_plain_chars": "a-z, A-Z, 0-9, '\\n', ? ! , and full stops: nemo",
    "bracket_chars": "( ) [ ] { } U+27E8 U+27E9: nemo",
    "curly_brackets": "'{': dolma",
    "url_chars": "code points of URLs as NeMo Curator finds them: http:// or https:// and what may follow: nemo",
    "dolma_symbol_words": "words by str.split that hold '#' or U+2026: dolma",
    "nemo_symbol_words": "words by str.split that are '#', '...', U+2026, either in brackets, or '-U+00BB': nemo",
    "newlines": "'\\n': house, nemo",
    "split_lines": "parts between runs of '\\n', empty ends included: gopher",
    "duplicate_lines": "of those, met before in the document: gopher",
    "duplicate_line_chars": "code points of duplicate_lines: gopher",
    "filled_lines": "lines by '\\n' that are not blank: house, nemo",
    "terminal_lines": "of those, ending in a Sentence_Terminal",
    "short_lines": "of those, of at most 30 code points",
    "duplicate_filled_chars": "code points of filled lines met before: nemo",
    "long_lines": "lines of at least 200 code points: c4 (mC4 paragraphs)",
    "longest_line": "code points of the longest line by '\\n'",
    "paragraphs": "parts of the stripped text between runs of two or more '\\n': gopher",
    "duplicate_paragraphs": "of those, met before: gopher",
    "duplicate_paragraph_chars": "code points of duplicate_paragraphs: gopher",
    "dolma_repeated_lines": "lines by '\\n', empty ones too, that equal another, the first one counted: dolma",
    "dolma_repeated_line_chars": "code points of dolma_repeated_lines: dolma",
    "dolma_bullet_lines": "lines by '\\n' that start with '*' or '-': dolma",
    "dolma_ellipsis_lines": "lines by '\\n' that end with U+2026: dolma",
    "nemo_duplicate_lines": "filled lines met before: nemo",
    "nemo_bullet_lines": "filled lines that start, after white space, with one of 12 bullets, no hyphen: nemo",
    "nemo_ellipsis_lines": "filled lines that end in an ellipsis, bare or in brackets, '-U+00BB' or 'read more': nemo",
    "nemo_unended_lines": "filled lines that end with none of . ? ! \" ': nemo",
    "nemo_paragraphs": "parts by '\\n\\n', empty ones too: nemo",
    "nemo_duplicate_paragraphs": "of those, met before: nemo",
    "nemo_duplicate_paragraph_chars": "code points of nemo_duplicate_paragraphs: nemo",
    "comment_chars": "code points of lines that are comments in code: #, //, --, /* */, <!-- -->",
    "xml_headers": "1 where '<?xml version=' stands in the first 100 code points",
    "carriage_returns": "'\\r' before '\\n', which 'feed_' columns take as part of it: house",
    "feed_split_lines": "as split_lines: house",
    "feed_duplicate_lines": "as duplicate_lines: house",
    "feed_duplicate_line_chars": "as duplicate_line_chars: house",
    "feed_terminal_lines": "as terminal_lines: house",
    "feed_short_lines": "as short_lines: house",
    "feed_paragraphs": "as paragraphs: house",
    "feed_duplicate_paragraphs": "as duplicate_paragraphs: house",
    "lines": "str.splitlines: gopher, c4",
    "bullet_lines": "starting with U+2022 or '-' after white space: gopher",
    "ellipsis_lines": "ending with '...' or U+2026 before white space: gopher",
    "c4_long_word_lines": "lines dropped by C4: a word of more than 1,000 code points",
    "c4_kept_lines": "lines that C4 keeps",
    "c4_few_words_lines": "lines dropped by C4: fewer than 3 words",
    "c4_lorem_ipsum_lines": "lines holding 'lorem ipsum': c4 drops the document",
    "c4_javascript_lines": "lines dropped by C4: 'javascript'",
    "c4_curly_bracket_lines": "lines holding '{': c4 drops the document",
    "c4_policy_lines": "lines dropped by C4: 'terms of use', 'use cookies' and their like",
    "c4_sentences": "sentences in kept lines, by words_mode: c4",
    "c4_no_terminal_lines": "lines dropped by C4: not ending in . ? ! \" ', or ending in '...'",
    "c4_open_kept_lines": "as c4_kept_lines, without the rule of terminal marks: fineweb",
    "c4_open_few_words_lines": "the same of few words: fineweb",
    "c4_open_lorem_ipsum_lines": "the same of lorem ipsum: fineweb",
    "c4_open_javascript_lines": "the same of javascript: fineweb",
    "c4_open_curly_bracket_lines": "the same of curly brackets: fineweb",
    "c4_open_policy_lines": "the same of policy phrases: fineweb",
    "c4_open_sentences": "sentences in c4_open_kept_lines: fineweb",
    "lorem_ipsum_lines": "lines holding 'lorem ipsum', whatever else they break: dolma, nemo",
    "javascript_lines": "the same of 'javascript': dolma",
    "nemo_boilerplate_paragraphs": "of nemo_paragraphs, holding one of ten policy phrases: nemo",
    "c4_open_left_words": "words in words_mode of what is left: c4_open_kept_lines without citations, joined: fineweb",
    "c4_open_left_chars": "code points of what is left: fineweb",
    "c4_open_left_newlines": "as newlines, of what is left: fineweb",
    "c4_open_left_filled_lines": "as filled_lines, of what is left: fineweb",
    "c4_open_left_terminal_lines": "as terminal_lines, of what is left: fineweb",
    "c4_open_left_short_lines": "as short_lines, of what is left: fineweb",
    "c4_open_left_duplicate_filled_chars": "as duplicate_filled_chars, of what is left: fineweb",
    "words": "words in words_mode: every ratio to words",
    "word_chars": "code points of all words",
    "plain_words": "words that are more than punctuation: gopher",
    "plain_word_chars": "code points of plain_words: gopher",
    "alpha_words": "words with a letter: gopher",
    "stop_words": "distinct words of {the, be, to, of, and, that, have, with}, as written: gopher",
    "longest_word": "code points of the longest word",
    "distinct_words": "different words",
    "top_2_gram_chars": "code points of the most frequent 2-gram (first of equals, spaces included), times its count",
    "top_3_gram_chars": "the same of 3-grams: gopher",
    "top_4_gram_chars": "the same of 4-grams: gopher",
    "duplicate_5_gram_chars": "code points in 5-grams met before, without overlap, spaces excluded: gopher",
    "duplicate_6_gram_chars": "the same of 6-grams",
    "duplicate_7_gram_chars": "the same of 7-grams",
    "duplicate_8_gram_chars": "the same of 8-grams",
    "duplicate_9_gram_chars": "the same of 9-grams",
    "duplicate_10_gram_chars": "the same of 10-grams",
    "split_words": "words by str.split, whatever words_mode: dolma, nemo",
    "alpha_split_words": "of those, with a letter: dolma, nemo",
    "stop_split_words": "of those, one of {the, be, to, of, and, that, have, with}, as written, each time: dolma, nemo",
    "median_split_word": "median of their code points, none taken for more than 255: dolma",
    "nemo_duplicate_5_gram_chars": "code points in 5-grams by str.split met before, each once, with spaces: nemo",
    "nemo_duplicate_6_gram_chars": "the same of 6-grams: nemo",
    "nemo_duplicate_7_gram_chars": "the same of 7-grams: nemo",
    "nemo_duplicate_8_gram_chars": "the same of 8-grams: nemo",
    "nemo_duplicate_9_gram_chars": "the same of 9-grams: nemo",
    "nemo_duplicate_10_gram_chars": "the same of 10-grams: nemo",
    "dolma_repeated_5_gram_share": "of the characters of all 5-grams by str.split, those of repeated ones: dolma",
    "dolma_repeated_6_gram_share": "the same of 6-grams: dolma",
    "dolma_repeated_7_gram_share": "the same of 7-grams: dolma",
    "dolma_repeated_8_gram_share": "the same of 8-grams: dolma",
    "dolma_repeated_9_gram_share": "the same of 9-grams: dolma",
    "dolma_repeated_10_gram_share": "the same of 10-grams: dolma",
    "script": "of most letters: ISO 15924 code of Unicode's Script, of equals the first; 'Zyyy' where none has one",
    "language": "likeliest of the first 1,000 characters, '\\r\\n' as one (lid.176.ftz); 'und' where there is no text",
    "language_score": "its probability, 4 decimals",
    "language_2nd": "second likeliest language; 'und' where its probability is below 0.00005",
    "language_2nd_score": "its probability",
}

COUNTS = (*profile.COLUMNS, *lines.COLUMNS, *c4.COLUMNS, *words.COLUMNS)
"""The columns of numbers, in the order in which the kernels give them: integers but for a median and six shares."""

SIGNALS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("version", pa.int32()),
        ("words_mode", pa.string()),
        *((name, pa.float64() if name in ngrams.SHARES else pa.int64()) for name in COUNTS),
        ("script", pa.string()),
        ("language", pa.string()),
        ("language_score", pa.float64()),
        ("language_2nd", pa.string()),
        ("language_2nd_score", pa.float64()),
    ]
)

PARAGRAPHS_VERSION = 2
"""Raised whenever other lines count or get another hash; all documents are measured again when it rises."""

PARAGRAPHS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("version", pa.int32()),  # PARAGRAPHS_VERSION
        ("hashes", pa.list_(pa.int64())),  # of its lines of at least 20 bytes: their trimmed bytes as a signed pattern
        ("lengths", pa.list_(pa.int32())),  # code points of each after trimming
    ]
)

__doc__ = (__doc__ or "").format(table="\n".join(f"  {name:36} {MEANING[name]}" for name in SIGNALS.names))

/* model
description: >-
  NeMo Curator 1.4.0's heuristics for English, in the order of its heuristic_filter_english_pipeline and with the
  names of its filters. Words are those of str.split, but top n-grams are of the words of the other rule sets
  (words_mode). Lines are those that are not blank. A rule whose ratio has no denominator sees 0, or 1 where that
  keeps; NeMo Curator raises there
kind: view
grain: [doc_id]
owner: team:data-platform
rule_set: nemo
columns:
  doc_id: document
  rules: >-
    reason, value, threshold, failed. Variables and defaults: nemo_max_other_chars 0.25, nemo_max_symbols 0.1,
    nemo_max_digits 0.15, nemo_max_url_chars 0.2, nemo_max_spaces 0.25, nemo_max_brackets 0.1,
    nemo_max_boilerplate 0.4, nemo_min_unique_lines 0.7, nemo_min_unique_paragraphs 0.7,
    nemo_min_unique_line_chars 0.8, nemo_min_unique_paragraph_chars 0.8, nemo_min_words 50, nemo_max_words 100000,
    nemo_max_unended_lines 0.85, nemo_min_alpha_words 0.8, nemo_min_stop_words 2, nemo_min_mean_word 3,
    nemo_max_mean_word 10, nemo_max_long_word_lines 0, nemo_max_ellipsis_lines 0.3, nemo_max_top_2_gram 0.2,
    nemo_max_top_3_gram 0.18, nemo_max_top_4_gram 0.16, nemo_max_duplicate_5_grams 0.15,
    nemo_max_duplicate_6_grams 0.14, nemo_max_duplicate_7_grams 0.13, nemo_max_duplicate_8_grams 0.12,
    nemo_max_duplicate_9_grams 0.11, nemo_max_duplicate_10_grams 0.1, nemo_max_bullet_lines 0.9
*/
WITH thresholds AS (
    SELECT
        CAST(coalesce(getvariable('nemo_max_other_chars'), 0.25) AS DOUBLE) AS max_other_chars,
        CAST(coalesce(getvariable('nemo_max_symbols'), 0.1) AS DOUBLE) AS max_symbols,
        CAST(coalesce(getvariable('nemo_max_digits'), 0.15) AS DOUBLE) AS max_digits,
        CAST(coalesce(getvariable('nemo_max_url_chars'), 0.2) AS DOUBLE) AS max_url_chars,
        CAST(coalesce(getvariable('nemo_max_spaces'), 0.25) AS DOUBLE) AS max_spaces,
        CAST(coalesce(getvariable('nemo_max_brackets'), 0.1) AS DOUBLE) AS max_brackets,
        CAST(coalesce(getvariable('nemo_max_boilerplate'), 0.4) AS DOUBLE) AS max_boilerplate,
        CAST(coalesce(getvariable('nemo_min_unique_lines'), 0.7) AS DOUBLE) AS min_unique_lines,
        CAST(coalesce(getvariable('nemo_min_unique_paragraphs'), 0.7) AS DOUBLE) AS min_unique_paragraphs,
        CAST(coalesce(getvariable('nemo_min_unique_line_chars'), 0.8) AS DOUBLE) AS min_unique_line_chars,
        CAST(coalesce(getvariable('nemo_min_unique_paragraph_chars'), 0.8) AS DOUBLE) AS min_unique_paragraph_chars,
        CAST(coalesce(getvariable('nemo_min_words'), 50) AS DOUBLE) AS min_words,
        CAST(coalesce(getvariable('nemo_max_words'), 100000) AS DOUBLE) AS max_words,
        CAST(coalesce(getvariable('nemo_max_unended_lines'), 0.85) AS DOUBLE) AS max_unended_lines,
        CAST(coalesce(getvariable('nemo_min_alpha_words'), 0.8) AS DOUBLE) AS min_alpha_words,
        CAST(coalesce(getvariable('nemo_min_stop_words'), 2) AS DOUBLE) AS min_stop_words,
        CAST(coalesce(getvariable('nemo_min_mean_word'), 3) AS DOUBLE) AS min_mean_word,
        CAST(coalesce(getvariable('nemo_max_mean_word'), 10) AS DOUBLE) AS max_mean_word,
        CAST(coalesce(getvariable('nemo_max_long_word_lines'), 0) AS DOUBLE) AS max_long_word_lines,
        CAST(coalesce(getvariable('nemo_max_ellipsis_lines'), 0.3) AS DOUBLE) AS max_ellipsis_lines,
        CAST(coalesce(getvariable('nemo_max_top_2_gram'), 0.2) AS DOUBLE) AS max_top_2_gram,
        CAST(coalesce(getvariable('nemo_max_top_3_gram'), 0.18) AS DOUBLE) AS max_top_3_gram,
        CAST(coalesce(getvariable('nemo_max_top_4_gram'), 0.16) AS DOUBLE) AS max_top_4_gram,
        CAST(coalesce(getvariable('nemo_max_duplicate_5_grams'), 0.15) AS DOUBLE) AS max_duplicate_5_grams,
        CAST(coalesce(getvariable('nemo_max_duplicate_6_grams'), 0.14) AS DOUBLE) AS max_duplicate_6_grams,
        CAST(coalesce(getvariable('nemo_max_duplicate_7_grams'), 0.13) AS DOUBLE) AS max_duplicate_7_grams,
        CAST(coalesce(getvariable('nemo_max_duplicate_8_grams'), 0.12) AS DOUBLE) AS max_duplicate_8_grams,
        CAST(coalesce(getvariable('nemo_max_duplicate_9_grams'), 0.11) AS DOUBLE) AS max_duplicate_9_grams,
        CAST(coalesce(getvariable('nemo_max_duplicate_10_grams'), 0.1) AS DOUBLE) AS max_duplicate_10_grams,
        CAST(coalesce(getvariable('nemo_max_bullet_lines'), 0.9) AS DOUBLE) AS max_bullet_lines
),
measured AS (
    SELECT
        doc_id,
        coalesce((chars - nemo_plain_chars) / nullif(chars, 0), 1) AS other_chars,
        coalesce(nemo_symbol_words / nullif(split_words, 0), 0) AS symbols,
        coalesce(digit_chars / nullif(chars, 0), 1) AS digits,
        coalesce(url_chars / nullif(chars, 0), 1) AS url_chars,
        coalesce(space_chars / nullif(chars, 0), 1) AS spaces,
        coalesce(bracket_chars / nullif(chars, 0), 1) AS brackets,
        CASE WHEN lorem_ipsum_lines > 0 THEN 1 ELSE nemo_boilerplate_paragraphs / nemo_paragraphs END AS boilerplate,
        coalesce((filled_lines - nemo_duplicate_lines) / nullif(filled_lines, 0), 1) AS unique_lines,
        (nemo_paragraphs - nemo_duplicate_paragraphs) / nemo_paragraphs AS unique_paragraphs,
        coalesce((chars - newlines - duplicate_filled_chars) / nullif((chars - newlines), 0), 1) AS unique_line_chars,
        coalesce(
            (chars - 2 * (nemo_paragraphs - 1) - nemo_duplicate_paragraph_chars) / nullif(chars - 2 * (nemo_paragraphs - 1), 0), 1
        ) AS unique_paragraph_chars,
        CAST(split_words AS DOUBLE) AS words,
        coalesce(nemo_unended_lines / nullif(filled_lines, 0), 0) AS unended_lines,
        coalesce(alpha_split_words / nullif(split_words, 0), 0) AS alpha_words,
        CAST(stop_split_words AS DOUBLE) AS stop_words,
        coalesce((chars - space_chars) / nullif(split_words, 0), 0) AS mean_word,
        CAST(c4_long_word_lines AS DOUBLE) AS long_word_lines,
        coalesce(nemo_ellipsis_lines / nullif(filled_lines, 0), 0) AS ellipsis_lines,
        coalesce(top_2_gram_chars / nullif(chars, 0), 0) AS top_2_gram,
        coalesce(top_3_gram_chars / nullif(chars, 0), 0) AS top_3_gram,
        coalesce(top_4_gram_chars / nullif(chars, 0), 0) AS top_4_gram,
        coalesce(nemo_duplicate_5_gram_chars / nullif(chars, 0), 0) AS duplicate_5_grams,
        coalesce(nemo_duplicate_6_gram_chars / nullif(chars, 0), 0) AS duplicate_6_grams,
        coalesce(nemo_duplicate_7_gram_chars / nullif(chars, 0), 0) AS duplicate_7_grams,
        coalesce(nemo_duplicate_8_gram_chars / nullif(chars, 0), 0) AS duplicate_8_grams,
        coalesce(nemo_duplicate_9_gram_chars / nullif(chars, 0), 0) AS duplicate_9_grams,
        coalesce(nemo_duplicate_10_gram_chars / nullif(chars, 0), 0) AS duplicate_10_grams,
        coalesce(nemo_bullet_lines / nullif(filled_lines, 0), 0) AS bullet_lines
    FROM staging.current_signals
)
SELECT
    m.doc_id,
    [
        {'reason': 'alpha_numeric', 'value': m.other_chars, 'threshold': t.max_other_chars,
         'failed': m.other_chars > t.max_other_chars},
        {'reason': 'symbol_to_word', 'value': m.symbols, 'threshold': t.max_symbols,
         'failed': m.symbols > t.max_symbols},
        {'reason': 'numbers_ratio', 'value': m.digits, 'threshold': t.max_digits, 'failed': m.digits > t.max_digits},
        {'reason': 'urls_ratio', 'value': m.url_chars, 'threshold': t.max_url_chars,
         'failed': m.url_chars > t.max_url_chars},
        {'reason': 'white_space', 'value': m.spaces, 'threshold': t.max_spaces, 'failed': m.spaces > t.max_spaces},
        {'reason': 'parentheses_ratio', 'value': m.brackets, 'threshold': t.max_brackets,
         'failed': m.brackets > t.max_brackets},
        {'reason': 'boilerplate_string_ratio', 'value': m.boilerplate, 'threshold': t.max_boilerplate,
         'failed': m.boilerplate > t.max_boilerplate},
        {'reason': 'repeated_lines', 'value': m.unique_lines, 'threshold': t.min_unique_lines,
         'failed': m.unique_lines < t.min_unique_lines},
        {'reason': 'repeated_paragraphs', 'value': m.unique_paragraphs, 'threshold': t.min_unique_paragraphs,
         'failed': m.unique_paragraphs < t.min_unique_paragraphs},
        {'reason': 'repeated_lines_char', 'value': m.unique_line_chars, 'threshold': t.min_unique_line_chars,
         'failed': m.unique_line_chars < t.min_unique_line_chars},
        {'reason': 'repeated_paragraphs_char', 'value': m.unique_paragraph_chars, 'threshold': t.min_unique_paragraph_chars,
         'failed': m.unique_paragraph_chars < t.min_unique_paragraph_chars},
        {'reason': 'word_count_min', 'value': m.words, 'threshold': t.min_words, 'failed': m.words < t.min_words},
        {'reason': 'word_count_max', 'value': m.words, 'threshold': t.max_words, 'failed': m.words > t.max_words},
        {'reason': 'punctuation', 'value': m.unended_lines, 'threshold': t.max_unended_lines,
         'failed': m.unended_lines > t.max_unended_lines},
        {'reason': 'words_without_alphabets', 'value': m.alpha_words, 'threshold': t.min_alpha_words,
         'failed': m.alpha_words < t.min_alpha_words},
        {'reason': 'common_english_words', 'value': m.stop_words, 'threshold': t.min_stop_words,
         'failed': m.stop_words < t.min_stop_words},
        {'reason': 'mean_word_length_min', 'value': m.mean_word, 'threshold': t.min_mean_word,
         'failed': m.mean_word < t.min_mean_word},
        {'reason': 'mean_word_length_max', 'value': m.mean_word, 'threshold': t.max_mean_word,
         'failed': m.mean_word > t.max_mean_word},
        {'reason': 'max_word_length', 'value': m.long_word_lines, 'threshold': t.max_long_word_lines,
         'failed': m.long_word_lines > t.max_long_word_lines},
        {'reason': 'ellipsis', 'value': m.ellipsis_lines, 'threshold': t.max_ellipsis_lines,
         'failed': m.ellipsis_lines > t.max_ellipsis_lines},
        {'reason': 'repeating_top_2grams', 'value': m.top_2_gram, 'threshold': t.max_top_2_gram,
         'failed': m.top_2_gram > t.max_top_2_gram},
        {'reason': 'repeating_top_3grams', 'value': m.top_3_gram, 'threshold': t.max_top_3_gram,
         'failed': m.top_3_gram > t.max_top_3_gram},
        {'reason': 'repeating_top_4grams', 'value': m.top_4_gram, 'threshold': t.max_top_4_gram,
         'failed': m.top_4_gram > t.max_top_4_gram},
        {'reason': 'repeating_dup_5gram', 'value': m.duplicate_5_grams, 'threshold': t.max_duplicate_5_grams,
         'failed': m.duplicate_5_grams > t.max_duplicate_5_grams},
        {'reason': 'repeating_dup_6gram', 'value': m.duplicate_6_grams, 'threshold': t.max_duplicate_6_grams,
         'failed': m.duplicate_6_grams > t.max_duplicate_6_grams},
        {'reason': 'repeating_dup_7gram', 'value': m.duplicate_7_grams, 'threshold': t.max_duplicate_7_grams,
         'failed': m.duplicate_7_grams > t.max_duplicate_7_grams},
        {'reason': 'repeating_dup_8gram', 'value': m.duplicate_8_grams, 'threshold': t.max_duplicate_8_grams,
         'failed': m.duplicate_8_grams > t.max_duplicate_8_grams},
        {'reason': 'repeating_dup_9gram', 'value': m.duplicate_9_grams, 'threshold': t.max_duplicate_9_grams,
         'failed': m.duplicate_9_grams > t.max_duplicate_9_grams},
        {'reason': 'repeating_dup_10gram', 'value': m.duplicate_10_grams, 'threshold': t.max_duplicate_10_grams,
         'failed': m.duplicate_10_grams > t.max_duplicate_10_grams},
        {'reason': 'bullet_ratio', 'value': m.bullet_lines, 'threshold': t.max_bullet_lines,
         'failed': m.bullet_lines > t.max_bullet_lines}
    ] AS rules
FROM measured AS m
CROSS JOIN thresholds AS t

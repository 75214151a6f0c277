/* model
description: >-
  dolma's rules (Soldaini et al. 2024) as of dolma 1.2.1: its tagger gopher_v1 with the thresholds and in the order of
  its published configuration for Common Crawl (configs/dolma-v1_6/mixing), then what its tagger c4_v2 drops documents
  for in its replication of C4, bad words apart, for that list is the user's. That configuration names top n-grams as
  the tagger does not, so they drop nothing there and are no rules here. Words are those of str.split
kind: view
grain: [doc_id]
owner: team:data-platform
rule_set: dolma
columns:
  doc_id: document
  rules: >-
    reason, value, threshold, failed. Variables and defaults: dolma_min_words 50, dolma_max_words 100000,
    dolma_min_median_word 3, dolma_max_median_word 10, dolma_max_symbols 0.1, dolma_min_alpha_words 0.8,
    dolma_min_stop_words 2, dolma_max_bullet_lines 0.9, dolma_max_ellipsis_lines 0.3, dolma_max_repeated_lines
    0.3, dolma_max_repeated_line_chars 0.3, dolma_max_repeated_5_grams 0.15, dolma_max_repeated_6_grams 0.14,
    dolma_max_repeated_7_grams 0.13, dolma_max_repeated_8_grams 0.12, dolma_max_repeated_9_grams 0.11,
    dolma_max_repeated_10_grams 0.1, dolma_max_curly_brackets 0, dolma_max_lorem_ipsum_lines 0,
    dolma_max_javascript_lines 0
*/
WITH thresholds AS (
    SELECT
        CAST(coalesce(getvariable('dolma_min_words'), 50) AS DOUBLE) AS min_words,
        CAST(coalesce(getvariable('dolma_max_words'), 100000) AS DOUBLE) AS max_words,
        CAST(coalesce(getvariable('dolma_min_median_word'), 3) AS DOUBLE) AS min_median_word,
        CAST(coalesce(getvariable('dolma_max_median_word'), 10) AS DOUBLE) AS max_median_word,
        CAST(coalesce(getvariable('dolma_max_symbols'), 0.1) AS DOUBLE) AS max_symbols,
        CAST(coalesce(getvariable('dolma_min_alpha_words'), 0.8) AS DOUBLE) AS min_alpha_words,
        CAST(coalesce(getvariable('dolma_min_stop_words'), 2) AS DOUBLE) AS min_stop_words,
        CAST(coalesce(getvariable('dolma_max_bullet_lines'), 0.9) AS DOUBLE) AS max_bullet_lines,
        CAST(coalesce(getvariable('dolma_max_ellipsis_lines'), 0.3) AS DOUBLE) AS max_ellipsis_lines,
        CAST(coalesce(getvariable('dolma_max_repeated_lines'), 0.3) AS DOUBLE) AS max_repeated_lines,
        CAST(coalesce(getvariable('dolma_max_repeated_line_chars'), 0.3) AS DOUBLE) AS max_repeated_line_chars,
        CAST(coalesce(getvariable('dolma_max_repeated_5_grams'), 0.15) AS DOUBLE) AS max_repeated_5_grams,
        CAST(coalesce(getvariable('dolma_max_repeated_6_grams'), 0.14) AS DOUBLE) AS max_repeated_6_grams,
        CAST(coalesce(getvariable('dolma_max_repeated_7_grams'), 0.13) AS DOUBLE) AS max_repeated_7_grams,
        CAST(coalesce(getvariable('dolma_max_repeated_8_grams'), 0.12) AS DOUBLE) AS max_repeated_8_grams,
        CAST(coalesce(getvariable('dolma_max_repeated_9_grams'), 0.11) AS DOUBLE) AS max_repeated_9_grams,
        CAST(coalesce(getvariable('dolma_max_repeated_10_grams'), 0.1) AS DOUBLE) AS max_repeated_10_grams,
        CAST(coalesce(getvariable('dolma_max_curly_brackets'), 0) AS DOUBLE) AS max_curly_brackets,
        CAST(coalesce(getvariable('dolma_max_lorem_ipsum_lines'), 0) AS DOUBLE) AS max_lorem_ipsum_lines,
        CAST(coalesce(getvariable('dolma_max_javascript_lines'), 0) AS DOUBLE) AS max_javascript_lines
),
measured AS (
    SELECT
        doc_id,
        CAST(split_words AS DOUBLE) AS words,
        median_split_word AS median_word,
        coalesce(dolma_symbol_words / nullif(split_words, 0), 0) AS symbols,
        coalesce(alpha_split_words / nullif(split_words, 0), 0) AS alpha_words,
        CAST(stop_split_words AS DOUBLE) AS stop_words,
        dolma_bullet_lines / (newlines + 1) AS bullet_lines,
        dolma_ellipsis_lines / (newlines + 1) AS ellipsis_lines,
        dolma_repeated_lines / (newlines + 1) AS repeated_lines,
        coalesce(dolma_repeated_line_chars / nullif(chars - space_chars, 0), 0) AS repeated_line_chars,
        dolma_repeated_5_gram_share AS repeated_5_grams,
        dolma_repeated_6_gram_share AS repeated_6_grams,
        dolma_repeated_7_gram_share AS repeated_7_grams,
        dolma_repeated_8_gram_share AS repeated_8_grams,
        dolma_repeated_9_gram_share AS repeated_9_grams,
        dolma_repeated_10_gram_share AS repeated_10_grams,
        CAST(curly_brackets AS DOUBLE) AS curly_brackets,
        CAST(lorem_ipsum_lines AS DOUBLE) AS lorem_ipsum_lines,
        CAST(javascript_lines AS DOUBLE) AS javascript_lines
    FROM staging.current_signals
)
SELECT
    m.doc_id,
    [
        {'reason': 'word_count_min', 'value': m.words, 'threshold': t.min_words, 'failed': m.words < t.min_words},
        {'reason': 'word_count_max', 'value': m.words, 'threshold': t.max_words, 'failed': m.words > t.max_words},
        {'reason': 'median_word_length_min', 'value': m.median_word, 'threshold': t.min_median_word,
         'failed': m.median_word < t.min_median_word},
        {'reason': 'median_word_length_max', 'value': m.median_word, 'threshold': t.max_median_word,
         'failed': m.median_word > t.max_median_word},
        {'reason': 'symbol_to_word_ratio', 'value': m.symbols, 'threshold': t.max_symbols,
         'failed': m.symbols > t.max_symbols},
        {'reason': 'words_with_alpha_character', 'value': m.alpha_words, 'threshold': t.min_alpha_words,
         'failed': m.alpha_words < t.min_alpha_words},
        {'reason': 'required_word_count', 'value': m.stop_words, 'threshold': t.min_stop_words,
         'failed': m.stop_words < t.min_stop_words},
        {'reason': 'lines_starting_with_bullet_point', 'value': m.bullet_lines, 'threshold': t.max_bullet_lines,
         'failed': m.bullet_lines > t.max_bullet_lines},
        {'reason': 'lines_ending_with_ellipsis', 'value': m.ellipsis_lines, 'threshold': t.max_ellipsis_lines,
         'failed': m.ellipsis_lines > t.max_ellipsis_lines},
        {'reason': 'duplicate_lines', 'value': m.repeated_lines, 'threshold': t.max_repeated_lines,
         'failed': m.repeated_lines > t.max_repeated_lines},
        {'reason': 'characters_in_duplicate_lines', 'value': m.repeated_line_chars, 'threshold': t.max_repeated_line_chars,
         'failed': m.repeated_line_chars > t.max_repeated_line_chars},
        {'reason': 'duplicate_5grams', 'value': m.repeated_5_grams, 'threshold': t.max_repeated_5_grams,
         'failed': m.repeated_5_grams > t.max_repeated_5_grams},
        {'reason': 'duplicate_6grams', 'value': m.repeated_6_grams, 'threshold': t.max_repeated_6_grams,
         'failed': m.repeated_6_grams > t.max_repeated_6_grams},
        {'reason': 'duplicate_7grams', 'value': m.repeated_7_grams, 'threshold': t.max_repeated_7_grams,
         'failed': m.repeated_7_grams > t.max_repeated_7_grams},
        {'reason': 'duplicate_8grams', 'value': m.repeated_8_grams, 'threshold': t.max_repeated_8_grams,
         'failed': m.repeated_8_grams > t.max_repeated_8_grams},
        {'reason': 'duplicate_9grams', 'value': m.repeated_9_grams, 'threshold': t.max_repeated_9_grams,
         'failed': m.repeated_9_grams > t.max_repeated_9_grams},
        {'reason': 'duplicate_10grams', 'value': m.repeated_10_grams, 'threshold': t.max_repeated_10_grams,
         'failed': m.repeated_10_grams > t.max_repeated_10_grams},
        {'reason': 'has_curly_brace', 'value': m.curly_brackets, 'threshold': t.max_curly_brackets,
         'failed': m.curly_brackets > t.max_curly_brackets},
        {'reason': 'has_lorem_ipsum', 'value': m.lorem_ipsum_lines, 'threshold': t.max_lorem_ipsum_lines,
         'failed': m.lorem_ipsum_lines > t.max_lorem_ipsum_lines},
        {'reason': 'has_javascript', 'value': m.javascript_lines, 'threshold': t.max_javascript_lines,
         'failed': m.javascript_lines > t.max_javascript_lines}
    ] AS rules
FROM measured AS m
CROSS JOIN thresholds AS t

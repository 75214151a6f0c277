/* model
description: >-
  Gopher's rules of quality and of repetition (Rae et al. 2021, table A1) as in datatrove 0.10.1, each in its order and with
  its reason words; the rule set gopher tries quality first, FineWeb's chain repetition. A ratio without a denominator (no
  words, no lines, no characters) is 0; shares of characters are of the whole text
kind: view
grain: [doc_id]
owner: team:data-platform
columns:
  doc_id: document
  quality: >-
    reason, value, threshold, failed of each rule of quality. Variables and defaults: gopher_min_words 50,
    gopher_max_words 100000, gopher_min_mean_word 3, gopher_max_mean_word 10, gopher_max_hashes 0.1, gopher_max_ellipses 0.1,
    gopher_max_bullet_lines 0.9, gopher_max_ellipsis_lines 0.3, gopher_min_alpha_words 0.8, gopher_min_stop_words 2
  repetition: >-
    the same of repetition: gopher_max_duplicate_paragraphs 0.3, gopher_max_duplicate_paragraph_chars 0.2,
    gopher_max_duplicate_lines 0.3, gopher_max_duplicate_line_chars 0.2, gopher_max_top_2_gram 0.2,
    gopher_max_top_3_gram 0.18, gopher_max_top_4_gram 0.16, gopher_max_duplicate_5_grams 0.15,
    gopher_max_duplicate_6_grams 0.14, gopher_max_duplicate_7_grams 0.13, gopher_max_duplicate_8_grams 0.12,
    gopher_max_duplicate_9_grams 0.11, gopher_max_duplicate_10_grams 0.1
*/
WITH thresholds AS (
    SELECT
        CAST(coalesce(getvariable('gopher_min_words'), 50) AS DOUBLE) AS min_words,
        CAST(coalesce(getvariable('gopher_max_words'), 100000) AS DOUBLE) AS max_words,
        CAST(coalesce(getvariable('gopher_min_mean_word'), 3) AS DOUBLE) AS min_mean_word,
        CAST(coalesce(getvariable('gopher_max_mean_word'), 10) AS DOUBLE) AS max_mean_word,
        CAST(coalesce(getvariable('gopher_max_hashes'), 0.1) AS DOUBLE) AS max_hashes,
        CAST(coalesce(getvariable('gopher_max_ellipses'), 0.1) AS DOUBLE) AS max_ellipses,
        CAST(coalesce(getvariable('gopher_max_bullet_lines'), 0.9) AS DOUBLE) AS max_bullet_lines,
        CAST(coalesce(getvariable('gopher_max_ellipsis_lines'), 0.3) AS DOUBLE) AS max_ellipsis_lines,
        CAST(coalesce(getvariable('gopher_min_alpha_words'), 0.8) AS DOUBLE) AS min_alpha_words,
        CAST(coalesce(getvariable('gopher_min_stop_words'), 2) AS DOUBLE) AS min_stop_words,
        CAST(coalesce(getvariable('gopher_max_duplicate_paragraphs'), 0.3) AS DOUBLE) AS paragraphs,
        CAST(coalesce(getvariable('gopher_max_duplicate_paragraph_chars'), 0.2) AS DOUBLE) AS paragraph_chars,
        CAST(coalesce(getvariable('gopher_max_duplicate_lines'), 0.3) AS DOUBLE) AS lines,
        CAST(coalesce(getvariable('gopher_max_duplicate_line_chars'), 0.2) AS DOUBLE) AS line_chars,
        CAST(coalesce(getvariable('gopher_max_top_2_gram'), 0.2) AS DOUBLE) AS top_2,
        CAST(coalesce(getvariable('gopher_max_top_3_gram'), 0.18) AS DOUBLE) AS top_3,
        CAST(coalesce(getvariable('gopher_max_top_4_gram'), 0.16) AS DOUBLE) AS top_4,
        CAST(coalesce(getvariable('gopher_max_duplicate_5_grams'), 0.15) AS DOUBLE) AS duplicate_5,
        CAST(coalesce(getvariable('gopher_max_duplicate_6_grams'), 0.14) AS DOUBLE) AS duplicate_6,
        CAST(coalesce(getvariable('gopher_max_duplicate_7_grams'), 0.13) AS DOUBLE) AS duplicate_7,
        CAST(coalesce(getvariable('gopher_max_duplicate_8_grams'), 0.12) AS DOUBLE) AS duplicate_8,
        CAST(coalesce(getvariable('gopher_max_duplicate_9_grams'), 0.11) AS DOUBLE) AS duplicate_9,
        CAST(coalesce(getvariable('gopher_max_duplicate_10_grams'), 0.1) AS DOUBLE) AS duplicate_10
),
measured AS (
    SELECT
        doc_id,
        CAST(plain_words AS DOUBLE) AS plain_words,
        coalesce(plain_word_chars / nullif(plain_words, 0), 0) AS mean_word,
        coalesce(hashes / nullif(words, 0), 0) AS hashes,
        coalesce(ellipses / nullif(words, 0), 0) AS ellipses,
        coalesce(bullet_lines / nullif(lines, 0), 0) AS bullet_lines,
        coalesce(ellipsis_lines / nullif(lines, 0), 0) AS ellipsis_lines,
        coalesce(alpha_words / nullif(words, 0), 0) AS alpha_words,
        CAST(stop_words AS DOUBLE) AS stop_words,
        coalesce(duplicate_paragraphs / nullif(paragraphs, 0), 0) AS paragraphs,
        coalesce(duplicate_paragraph_chars / nullif(chars, 0), 0) AS paragraph_chars,
        coalesce(duplicate_lines / nullif(split_lines, 0), 0) AS lines,
        coalesce(duplicate_line_chars / nullif(chars, 0), 0) AS line_chars,
        coalesce(top_2_gram_chars / nullif(chars, 0), 0) AS top_2,
        coalesce(top_3_gram_chars / nullif(chars, 0), 0) AS top_3,
        coalesce(top_4_gram_chars / nullif(chars, 0), 0) AS top_4,
        coalesce(duplicate_5_gram_chars / nullif(chars, 0), 0) AS duplicate_5,
        coalesce(duplicate_6_gram_chars / nullif(chars, 0), 0) AS duplicate_6,
        coalesce(duplicate_7_gram_chars / nullif(chars, 0), 0) AS duplicate_7,
        coalesce(duplicate_8_gram_chars / nullif(chars, 0), 0) AS duplicate_8,
        coalesce(duplicate_9_gram_chars / nullif(chars, 0), 0) AS duplicate_9,
        coalesce(duplicate_10_gram_chars / nullif(chars, 0), 0) AS duplicate_10
    FROM staging.current_signals
)
SELECT
    m.doc_id,
    [
        {'reason': 'gopher_short_doc', 'value': m.plain_words, 'threshold': t.min_words,
         'failed': m.plain_words < t.min_words},
        {'reason': 'gopher_long_doc', 'value': m.plain_words, 'threshold': t.max_words,
         'failed': m.plain_words > t.max_words},
        {'reason': 'gopher_below_avg_threshold', 'value': m.mean_word, 'threshold': t.min_mean_word,
         'failed': m.mean_word < t.min_mean_word},
        {'reason': 'gopher_above_avg_threshold', 'value': m.mean_word, 'threshold': t.max_mean_word,
         'failed': m.mean_word > t.max_mean_word},
        {'reason': 'gopher_too_many_hashes', 'value': m.hashes, 'threshold': t.max_hashes,
         'failed': m.hashes > t.max_hashes},
        {'reason': 'gopher_too_many_ellipsis', 'value': m.ellipses, 'threshold': t.max_ellipses,
         'failed': m.ellipses > t.max_ellipses},
        {'reason': 'gopher_too_many_bullets', 'value': m.bullet_lines, 'threshold': t.max_bullet_lines,
         'failed': m.bullet_lines > t.max_bullet_lines},
        {'reason': 'gopher_too_many_end_ellipsis', 'value': m.ellipsis_lines, 'threshold': t.max_ellipsis_lines,
         'failed': m.ellipsis_lines > t.max_ellipsis_lines},
        {'reason': 'gopher_below_alpha_threshold', 'value': m.alpha_words, 'threshold': t.min_alpha_words,
         'failed': m.alpha_words < t.min_alpha_words},
        {'reason': 'gopher_enough_stop_words', 'value': m.stop_words, 'threshold': t.min_stop_words,
         'failed': m.stop_words < t.min_stop_words}
    ] AS quality,
    [
        {'reason': 'dup_para_frac', 'value': m.paragraphs, 'threshold': t.paragraphs,
         'failed': m.paragraphs > t.paragraphs},
        {'reason': 'dup_para_char_frac', 'value': m.paragraph_chars, 'threshold': t.paragraph_chars,
         'failed': m.paragraph_chars > t.paragraph_chars},
        {'reason': 'dup_line_frac', 'value': m.lines, 'threshold': t.lines, 'failed': m.lines > t.lines},
        {'reason': 'dup_line_char_frac', 'value': m.line_chars, 'threshold': t.line_chars,
         'failed': m.line_chars > t.line_chars},
        {'reason': 'top_2_gram', 'value': m.top_2, 'threshold': t.top_2, 'failed': m.top_2 > t.top_2},
        {'reason': 'top_3_gram', 'value': m.top_3, 'threshold': t.top_3, 'failed': m.top_3 > t.top_3},
        {'reason': 'top_4_gram', 'value': m.top_4, 'threshold': t.top_4, 'failed': m.top_4 > t.top_4},
        {'reason': 'duplicated_5_n_grams', 'value': m.duplicate_5, 'threshold': t.duplicate_5,
         'failed': m.duplicate_5 > t.duplicate_5},
        {'reason': 'duplicated_6_n_grams', 'value': m.duplicate_6, 'threshold': t.duplicate_6,
         'failed': m.duplicate_6 > t.duplicate_6},
        {'reason': 'duplicated_7_n_grams', 'value': m.duplicate_7, 'threshold': t.duplicate_7,
         'failed': m.duplicate_7 > t.duplicate_7},
        {'reason': 'duplicated_8_n_grams', 'value': m.duplicate_8, 'threshold': t.duplicate_8,
         'failed': m.duplicate_8 > t.duplicate_8},
        {'reason': 'duplicated_9_n_grams', 'value': m.duplicate_9, 'threshold': t.duplicate_9,
         'failed': m.duplicate_9 > t.duplicate_9},
        {'reason': 'duplicated_10_n_grams', 'value': m.duplicate_10, 'threshold': t.duplicate_10,
         'failed': m.duplicate_10 > t.duplicate_10}
    ] AS repetition
FROM measured AS m
CROSS JOIN thresholds AS t

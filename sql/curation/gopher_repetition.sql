/* model
description: >-
  Gopher's repetition rules (Rae et al. 2021, table A1) as in datatrove 0.10.1, in its order and with its reason words.
  Shares of characters are of the whole text; an empty text has none
kind: view
grain: [doc_id]
owner: team:data-platform
columns:
  doc_id: document
  rules: >-
    reason, value, threshold, failed. Variables and defaults: gopher_max_duplicate_paragraphs 0.3,
    gopher_max_duplicate_paragraph_chars 0.2, gopher_max_duplicate_lines 0.3, gopher_max_duplicate_line_chars 0.2,
    gopher_max_top_2_gram 0.2, gopher_max_top_3_gram 0.18, gopher_max_top_4_gram 0.16, gopher_max_duplicate_5_grams 0.15,
    gopher_max_duplicate_6_grams 0.14, gopher_max_duplicate_7_grams 0.13, gopher_max_duplicate_8_grams 0.12,
    gopher_max_duplicate_9_grams 0.11, gopher_max_duplicate_10_grams 0.1
*/
WITH thresholds AS (
    SELECT
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
    ] AS rules
FROM measured AS m
CROSS JOIN thresholds AS t

/* model
description: >-
  Gopher's quality rules (Rae et al. 2021, table A1) as in datatrove 0.10.1, in its order and with its reason words. A rule
  whose ratio has no denominator (no words, no lines) sees 0
kind: view
grain: [doc_id]
owner: team:data-platform
columns:
  doc_id: document
  rules: >-
    reason, value, threshold, failed. Variables and defaults: gopher_min_words 50, gopher_max_words 100000,
    gopher_min_mean_word 3, gopher_max_mean_word 10, gopher_max_hashes 0.1, gopher_max_ellipses 0.1,
    gopher_max_bullet_lines 0.9, gopher_max_ellipsis_lines 0.3, gopher_min_alpha_words 0.8, gopher_min_stop_words 2
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
        CAST(coalesce(getvariable('gopher_min_stop_words'), 2) AS DOUBLE) AS min_stop_words
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
        CAST(stop_words AS DOUBLE) AS stop_words
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
    ] AS rules
FROM measured AS m
CROSS JOIN thresholds AS t

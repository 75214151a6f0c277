/* model
description: >-
  FineWeb's own rules (Penedo et al. 2024, section 3.6) as in datatrove 0.10.1, in its order and with its reason words. They
  read what C4's filter leaves of a text without the rule of terminal marks, as they do in FineWeb's chain; the rule set
  fineweb of decisions puts Gopher's and C4's before them
kind: view
grain: [doc_id]
owner: team:data-platform
columns:
  doc_id: document
  rules: >-
    reason, value, threshold, failed. Variables and defaults: fineweb_min_filled_lines 1, fineweb_min_terminal_lines 0.12,
    fineweb_max_short_lines 0.67, fineweb_max_duplicate_line_chars 0.01, fineweb_max_newlines 0.3
*/
WITH thresholds AS (
    SELECT
        CAST(coalesce(getvariable('fineweb_min_filled_lines'), 1) AS DOUBLE) AS filled,
        CAST(coalesce(getvariable('fineweb_min_terminal_lines'), 0.12) AS DOUBLE) AS terminal,
        CAST(coalesce(getvariable('fineweb_max_short_lines'), 0.67) AS DOUBLE) AS short,
        CAST(coalesce(getvariable('fineweb_max_duplicate_line_chars'), 0.01) AS DOUBLE) AS duplicate_chars,
        CAST(coalesce(getvariable('fineweb_max_newlines'), 0.3) AS DOUBLE) AS newlines
),
measured AS (
    SELECT
        doc_id,
        CAST(c4_open_left_filled_lines AS DOUBLE) AS filled,
        coalesce(c4_open_left_terminal_lines / nullif(c4_open_left_filled_lines, 0), 0) AS terminal,
        coalesce(c4_open_left_short_lines / nullif(c4_open_left_filled_lines, 0), 0) AS short,
        coalesce(c4_open_left_duplicate_filled_chars / nullif(c4_open_left_chars - c4_open_left_newlines, 0), 0)
            AS duplicate_chars,
        coalesce(c4_open_left_newlines / nullif(c4_open_left_words, 0), 0) AS newlines
    FROM staging.current_signals
)
SELECT
    m.doc_id,
    [
        {'reason': 'empty', 'value': m.filled, 'threshold': t.filled, 'failed': m.filled < t.filled},
        {'reason': 'line_punct_ratio', 'value': m.terminal, 'threshold': t.terminal, 'failed': m.terminal < t.terminal},
        {'reason': 'short_line_ratio', 'value': m.short, 'threshold': t.short, 'failed': m.short > t.short},
        {'reason': 'char_dup_ratio', 'value': m.duplicate_chars, 'threshold': t.duplicate_chars,
         'failed': m.duplicate_chars > t.duplicate_chars},
        {'reason': 'list_ratio', 'value': m.newlines, 'threshold': t.newlines, 'failed': m.newlines > t.newlines}
    ] AS rules
FROM measured AS m
CROSS JOIN thresholds AS t

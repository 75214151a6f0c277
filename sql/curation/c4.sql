/* model
description: >-
  C4's document rules (Raffel et al. 2020, section 2.2) as in datatrove 0.10.1: lines fall first, and only lines that pass the
  rules before it can show 'lorem ipsum' or a curly bracket. Where a document has both, the first is named. Decides only:
  the text of a kept document stays as it is, and a data set with lines c4 leaves its lines out
kind: view
grain: [doc_id]
owner: team:data-platform
columns:
  doc_id: document
  rules: >-
    reason, value, threshold, failed. Variables and defaults: c4_max_lorem_ipsum_lines 0, c4_max_curly_bracket_lines 0,
    c4_min_sentences 5
  open_rules: the same without the rule that a line must end in a terminal mark; FineWeb's setting
*/
WITH thresholds AS (
    SELECT
        CAST(coalesce(getvariable('c4_max_lorem_ipsum_lines'), 0) AS DOUBLE) AS lorem,
        CAST(coalesce(getvariable('c4_max_curly_bracket_lines'), 0) AS DOUBLE) AS curly,
        CAST(coalesce(getvariable('c4_min_sentences'), 5) AS DOUBLE) AS sentences
)
SELECT
    s.doc_id,
    [
        {'reason': 'lorem_ipsum', 'value': CAST(s.c4_lorem_ipsum_lines AS DOUBLE), 'threshold': t.lorem,
         'failed': s.c4_lorem_ipsum_lines > t.lorem},
        {'reason': 'curly_bracket', 'value': CAST(s.c4_curly_bracket_lines AS DOUBLE), 'threshold': t.curly,
         'failed': s.c4_curly_bracket_lines > t.curly},
        {'reason': 'too_few_sentences', 'value': CAST(s.c4_sentences AS DOUBLE), 'threshold': t.sentences,
         'failed': s.c4_sentences < t.sentences}
    ] AS rules,
    [
        {'reason': 'lorem_ipsum', 'value': CAST(s.c4_open_lorem_ipsum_lines AS DOUBLE), 'threshold': t.lorem,
         'failed': s.c4_open_lorem_ipsum_lines > t.lorem},
        {'reason': 'curly_bracket', 'value': CAST(s.c4_open_curly_bracket_lines AS DOUBLE), 'threshold': t.curly,
         'failed': s.c4_open_curly_bracket_lines > t.curly},
        {'reason': 'too_few_sentences', 'value': CAST(s.c4_open_sentences AS DOUBLE), 'threshold': t.sentences,
         'failed': s.c4_open_sentences < t.sentences}
    ] AS open_rules
FROM staging.current_signals AS s
CROSS JOIN thresholds AS t

/* model
description: >-
  For every current document and rule set, all of the set's rules in the order in which decisions tries them; what
  'warehouse explain' shows. The first that failed is the reason that decisions gives. gopher is quality, then repetition;
  fineweb is repetition, quality, C4 without terminal marks, FineWeb's own; house see there
kind: view
grain: [doc_id, rule_set]
owner: team:data-platform
columns:
  doc_id: document
  source: where it came from
  keep_rank: see staging.current_documents
  rule_set: gopher | c4 | fineweb | house, or a model's whose header says rule_set
  rules: reason, value, threshold, failed; null for a document that is not measured yet
  failure: the first of them that failed, null where none did; its reason is unmeasured where there are none
*/
-- First failures are found below the joins: who reads only those carries no list through them, 3 times less work. Each
-- set is joined by itself, so that no join holds what an earlier one gave: a fifth less work.
WITH current AS MATERIALIZED (
    SELECT doc_id, source, keep_rank FROM staging.current_documents
),
gopher AS MATERIALIZED (
    SELECT
        doc_id,
        quality,
        repetition,
        list_filter(quality, lambda rule: rule.failed)[1] AS quality_failure,
        list_filter(repetition, lambda rule: rule.failed)[1] AS repetition_failure
    FROM curation.gopher
),
c4 AS MATERIALIZED (
    SELECT
        doc_id,
        rules,
        open_rules,
        list_filter(rules, lambda rule: rule.failed)[1] AS failure,
        list_filter(open_rules, lambda rule: rule.failed)[1] AS open_failure
    FROM curation.c4
),
fineweb AS NOT MATERIALIZED (
    SELECT doc_id, rules, list_filter(rules, lambda rule: rule.failed)[1] AS failure FROM curation.fineweb
),
house AS NOT MATERIALIZED (
    SELECT doc_id, rules, list_filter(rules, lambda rule: rule.failed)[1] AS failure FROM curation.house
),
whole_gopher AS NOT MATERIALIZED (
    SELECT doc_id, quality || repetition AS rules, coalesce(quality_failure, repetition_failure) AS failure FROM gopher
),
whole_fineweb AS NOT MATERIALIZED (
    SELECT
        fineweb.doc_id,
        gopher.repetition || gopher.quality || c4.open_rules || fineweb.rules AS rules,
        coalesce(gopher.repetition_failure, gopher.quality_failure, c4.open_failure, fineweb.failure) AS failure
    FROM fineweb
    JOIN gopher ON fineweb.doc_id = gopher.doc_id
    JOIN c4 ON fineweb.doc_id = c4.doc_id
),
tried AS NOT MATERIALIZED (
    SELECT current.*, 'gopher' AS rule_set, own.rules, own.failure, own.doc_id IS NULL AS unmeasured
    FROM current LEFT JOIN whole_gopher AS own ON current.doc_id = own.doc_id
    UNION ALL
    SELECT current.*, 'c4', own.rules, own.failure, own.doc_id IS NULL
    FROM current LEFT JOIN c4 AS own ON current.doc_id = own.doc_id
    UNION ALL
    SELECT current.*, 'fineweb', own.rules, own.failure, own.doc_id IS NULL
    FROM current LEFT JOIN whole_fineweb AS own ON current.doc_id = own.doc_id
    UNION ALL
    SELECT current.*, 'house', own.rules, own.failure, own.doc_id IS NULL
    FROM current LEFT JOIN house AS own ON current.doc_id = own.doc_id
)
SELECT
    doc_id,
    source,
    keep_rank,
    rule_set,
    rules,
    CASE
        WHEN unmeasured
            THEN {'reason': 'unmeasured', 'value': CAST(NULL AS DOUBLE), 'threshold': CAST(NULL AS DOUBLE), 'failed': true}
        ELSE failure
    END AS failure
FROM tried

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
-- First failures are found below the joins: who reads only those carries no list through them, 3 times less work.
WITH gopher AS NOT MATERIALIZED (
    SELECT
        doc_id,
        quality,
        repetition,
        list_filter(quality, lambda rule: rule.failed)[1] AS quality_failure,
        list_filter(repetition, lambda rule: rule.failed)[1] AS repetition_failure
    FROM curation.gopher
),
c4 AS NOT MATERIALIZED (
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
current AS MATERIALIZED (
    SELECT doc_id, source, keep_rank FROM staging.current_documents
),
tried AS MATERIALIZED (
    SELECT
        current.*,
        gopher.quality || gopher.repetition AS gopher,
        coalesce(gopher.quality_failure, gopher.repetition_failure) AS gopher_failure,
        c4.rules AS c4,
        c4.failure AS c4_failure,
        gopher.repetition || gopher.quality || c4.open_rules || fineweb.rules AS fineweb,
        coalesce(gopher.repetition_failure, gopher.quality_failure, c4.open_failure, fineweb.failure) AS fineweb_failure,
        house.rules AS house,
        house.failure AS house_failure,
        CASE WHEN gopher.doc_id IS NULL THEN
            {'reason': 'unmeasured', 'value': CAST(NULL AS DOUBLE), 'threshold': CAST(NULL AS DOUBLE), 'failed': true}
        END AS unmeasured
    FROM current
    LEFT JOIN gopher ON current.doc_id = gopher.doc_id
    LEFT JOIN c4 ON current.doc_id = c4.doc_id
    LEFT JOIN fineweb ON current.doc_id = fineweb.doc_id
    LEFT JOIN house ON current.doc_id = house.doc_id
)
SELECT doc_id, source, keep_rank, 'gopher' AS rule_set, gopher AS rules, coalesce(unmeasured, gopher_failure) AS failure
FROM tried
UNION ALL
SELECT doc_id, source, keep_rank, 'c4', c4, coalesce(unmeasured, c4_failure) FROM tried
UNION ALL
SELECT doc_id, source, keep_rank, 'fineweb', fineweb, coalesce(unmeasured, fineweb_failure) FROM tried
UNION ALL
SELECT doc_id, source, keep_rank, 'house', house, coalesce(unmeasured, house_failure) FROM tried

/* model
description: >-
  For every current document and rule set: kept or not, and the first rule that it fails with value and threshold. gopher is
  quality, then repetition; fineweb is repetition, quality, C4 without terminal marks, FineWeb's own; house see there. Copies
  come last: among documents that pass a set's other rules, all but the first of one normalised text fall
kind: table
grain: [doc_id, rule_set]
owner: team:data-platform
columns:
  doc_id: document
  source: where it came from
  rule_set: gopher | c4 | fineweb | house
  kept: whether it passed every rule of the set
  reason: first failing rule, null if kept; unmeasured where a document has no signals yet
  value: what was measured, null for unmeasured and duplicate_document
  threshold: what it was compared with
  twin: for duplicate_document the kept document with the same text
*/
WITH first_failures AS (
    SELECT
        current.doc_id,
        current.source,
        current.keep_rank,
        signals.text_hash,
        signals.doc_id IS NOT NULL AS measured,
        quality.first AS quality,
        repetition.first AS repetition,
        c4.first AS c4,
        c4.open_first AS c4_open,
        fineweb.first AS fineweb,
        house.first AS house
    FROM staging.current_documents AS current
    LEFT JOIN repository.signals AS signals ON current.doc_id = signals.doc_id
    LEFT JOIN (SELECT doc_id, list_filter(rules, lambda rule: rule.failed)[1] AS first FROM curation.gopher_quality) AS quality
        ON current.doc_id = quality.doc_id
    LEFT JOIN (SELECT doc_id, list_filter(rules, lambda rule: rule.failed)[1] AS first FROM curation.gopher_repetition) AS repetition
        ON current.doc_id = repetition.doc_id
    LEFT JOIN (
        SELECT
            doc_id,
            list_filter(rules, lambda rule: rule.failed)[1] AS first,
            list_filter(open_rules, lambda rule: rule.failed)[1] AS open_first
        FROM curation.c4
    ) AS c4 ON current.doc_id = c4.doc_id
    LEFT JOIN (SELECT doc_id, list_filter(rules, lambda rule: rule.failed)[1] AS first FROM curation.fineweb) AS fineweb
        ON current.doc_id = fineweb.doc_id
    LEFT JOIN (SELECT doc_id, list_filter(rules, lambda rule: rule.failed)[1] AS first FROM curation.house) AS house
        ON current.doc_id = house.doc_id
),
by_rule_set AS (
    SELECT doc_id, source, keep_rank, text_hash, measured, 'gopher' AS rule_set, coalesce(quality, repetition) AS failure
    FROM first_failures
    UNION ALL
    SELECT doc_id, source, keep_rank, text_hash, measured, 'c4', c4
    FROM first_failures
    UNION ALL
    SELECT doc_id, source, keep_rank, text_hash, measured, 'fineweb', coalesce(repetition, quality, c4_open, fineweb)
    FROM first_failures
    UNION ALL
    SELECT doc_id, source, keep_rank, text_hash, measured, 'house', house
    FROM first_failures
),
with_twins AS (
    SELECT
        *,
        measured AND failure IS NULL AS passed,
        first_value(doc_id) OVER (
            PARTITION BY rule_set, text_hash, measured AND failure IS NULL ORDER BY keep_rank, doc_id
        ) AS first_doc_id
    FROM by_rule_set
)
SELECT
    doc_id,
    source,
    rule_set,
    passed AND first_doc_id = doc_id AS kept,
    CASE
        WHEN NOT measured THEN 'unmeasured'
        WHEN NOT passed THEN failure.reason
        WHEN first_doc_id <> doc_id THEN 'duplicate_document'
    END AS reason,
    failure.value AS value,
    failure.threshold AS threshold,
    CASE WHEN passed AND first_doc_id <> doc_id THEN first_doc_id END AS twin
FROM with_twins

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
WITH quality AS (
    SELECT doc_id, list_filter(rules, lambda rule: rule.failed)[1] AS failure FROM curation.gopher_quality
),
repetition AS (
    SELECT doc_id, list_filter(rules, lambda rule: rule.failed)[1] AS failure FROM curation.gopher_repetition
),
c4 AS (
    SELECT
        doc_id,
        list_filter(rules, lambda rule: rule.failed)[1] AS failure,
        list_filter(open_rules, lambda rule: rule.failed)[1] AS open_failure
    FROM curation.c4
),
fineweb AS (
    SELECT doc_id, list_filter(rules, lambda rule: rule.failed)[1] AS failure FROM curation.fineweb
),
house AS (
    SELECT doc_id, list_filter(rules, lambda rule: rule.failed)[1] AS failure FROM curation.house
),
failures AS MATERIALIZED (
    SELECT
        current.doc_id,
        current.source,
        current.keep_rank,
        signals.text_hash,
        coalesce(quality.failure, repetition.failure) AS gopher,
        c4.failure AS c4,
        coalesce(repetition.failure, quality.failure, c4.open_failure, fineweb.failure) AS fineweb,
        house.failure AS house
    FROM staging.current_documents AS current
    LEFT JOIN staging.current_signals AS signals ON current.doc_id = signals.doc_id
    LEFT JOIN quality ON current.doc_id = quality.doc_id
    LEFT JOIN repetition ON current.doc_id = repetition.doc_id
    LEFT JOIN c4 ON current.doc_id = c4.doc_id
    LEFT JOIN fineweb ON current.doc_id = fineweb.doc_id
    LEFT JOIN house ON current.doc_id = house.doc_id
),
repeated_texts AS (
    SELECT text_hash
    FROM failures
    WHERE text_hash IS NOT NULL
    GROUP BY text_hash
    HAVING count(*) > 1
),
firsts AS (
    SELECT
        failures.text_hash,
        min({'keep_rank': keep_rank, 'doc_id': doc_id}) FILTER (WHERE gopher IS NULL).doc_id AS gopher,
        min({'keep_rank': keep_rank, 'doc_id': doc_id}) FILTER (WHERE c4 IS NULL).doc_id AS c4,
        min({'keep_rank': keep_rank, 'doc_id': doc_id}) FILTER (WHERE fineweb IS NULL).doc_id AS fineweb,
        min({'keep_rank': keep_rank, 'doc_id': doc_id}) FILTER (WHERE house IS NULL).doc_id AS house
    FROM failures
    JOIN repeated_texts ON failures.text_hash = repeated_texts.text_hash
    GROUP BY failures.text_hash
),
decided AS (
    SELECT
        failures.doc_id,
        failures.source,
        failures.text_hash IS NOT NULL AS measured,
        unnest([
            {'rule_set': 'gopher', 'failure': failures.gopher, 'first': firsts.gopher},
            {'rule_set': 'c4', 'failure': failures.c4, 'first': firsts.c4},
            {'rule_set': 'fineweb', 'failure': failures.fineweb, 'first': firsts.fineweb},
            {'rule_set': 'house', 'failure': failures.house, 'first': firsts.house}
        ]) AS outcome
    FROM failures
    LEFT JOIN firsts ON failures.text_hash = firsts.text_hash
)
SELECT
    doc_id,
    source,
    outcome.rule_set AS rule_set,
    measured AND outcome.failure IS NULL AND coalesce(outcome.first, doc_id) = doc_id AS kept,
    CASE
        WHEN NOT measured THEN 'unmeasured'
        WHEN outcome.failure IS NOT NULL THEN outcome.failure.reason
        WHEN outcome.first <> doc_id THEN 'duplicate_document'
    END AS reason,
    outcome.failure.value AS value,
    outcome.failure.threshold AS threshold,
    CASE WHEN measured AND outcome.failure IS NULL AND outcome.first <> doc_id THEN outcome.first END AS twin
FROM decided

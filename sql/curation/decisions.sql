/* model
description: >-
  For every current document and rule set of curation.rules: kept or not, and the first rule that it fails with value and
  threshold. Copies and near duplicates come last, among documents that pass a set's other rules, in the order (keep_rank,
  doc_id): a document stays unless one before it that stays has the same text, or one so near that their Jaccard similarity
  reaches the threshold
kind: table
grain: [doc_id, rule_set]
owner: team:data-platform
columns:
  doc_id: document
  source: where it came from
  rule_set: gopher | c4 | fineweb | house, or a model's whose header says rule_set
  kept: whether it passed every rule of the set
  reason: >-
    first failing rule, null if kept; unmeasured where a document has no signals yet, duplicate_document and near_duplicate
    where it passed all others
  value: what was measured, of near_duplicate the Jaccard similarity; null for unmeasured and duplicate_document
  threshold: >-
    what it was compared with. Variable and default: near_duplicate_jaccard 0.8
  twin: >-
    the kept document that it copies: of duplicate_document with the same text, of near_duplicate the nearest of those before
    the first of its text
ranges:
  near_duplicate_jaccard: 0.5 to 1, for pairs of texts are stored from a similarity of 0.5
*/
WITH RECURSIVE tried AS MATERIALIZED (
    SELECT doc_id, source, keep_rank, rule_set, failure FROM curation.rules
),
links AS MATERIALIZED (
    SELECT a, b, jaccard
    FROM curation.near_pairs
    WHERE jaccard >= CAST(coalesce(getvariable('near_duplicate_jaccard'), 0.8) AS DOUBLE)
),
-- The few documents whose text is another's too, or near another; all others are decided by their rules alone.
contested AS MATERIALIZED (
    SELECT
        tried.rule_set,
        tried.doc_id,
        signals.text_hash,
        {'keep_rank': tried.keep_rank, 'doc_id': tried.doc_id} AS turn
    FROM tried
    JOIN staging.current_signals AS signals ON tried.doc_id = signals.doc_id
    SEMI JOIN (
        SELECT text_hash FROM staging.current_signals GROUP BY text_hash HAVING count(*) > 1
        UNION
        SELECT a FROM links
        UNION
        SELECT b FROM links
    ) AS texts ON signals.text_hash = texts.text_hash
    WHERE tried.failure IS NULL
),
firsts AS MATERIALIZED (
    SELECT rule_set, text_hash, min(turn) AS turn FROM contested GROUP BY rule_set, text_hash
),
near AS MATERIALIZED (
    SELECT
        one.rule_set,
        least(one.turn, other.turn) AS earlier,
        greatest(one.turn, other.turn) AS later,
        links.jaccard
    FROM links
    JOIN firsts AS one ON links.a = one.text_hash
    JOIN firsts AS other ON links.b = other.text_hash AND other.rule_set = one.rule_set
),
-- The pairs still open, round by round: who comes later in none of them stays, and those after it in one fall.
rounds AS (
    SELECT rule_set, earlier, later, (rule_set, earlier) NOT IN (SELECT (rule_set, later) FROM near) AS falls
    FROM near
    UNION ALL
    (
        WITH fallen AS (
            SELECT DISTINCT rule_set, later AS turn FROM rounds WHERE falls
        ),
        open AS MATERIALIZED (
            SELECT rule_set, earlier, later
            FROM rounds
            ANTI JOIN fallen AS one ON rounds.rule_set = one.rule_set AND rounds.earlier = one.turn
            ANTI JOIN fallen AS other ON rounds.rule_set = other.rule_set AND rounds.later = other.turn
        )
        SELECT rule_set, earlier, later, (rule_set, earlier) NOT IN (SELECT (rule_set, later) FROM open) AS falls
        FROM open
    )
),
fallen AS MATERIALIZED (
    SELECT DISTINCT rule_set, later AS turn FROM rounds WHERE falls
),
twins AS (
    SELECT near.rule_set, near.later AS turn, max({'jaccard': near.jaccard, 'doc_id': near.earlier.doc_id}) AS twin
    FROM near
    JOIN fallen ON near.rule_set = fallen.rule_set AND near.later = fallen.turn
    ANTI JOIN fallen AS gone ON near.rule_set = gone.rule_set AND near.earlier = gone.turn
    GROUP BY near.rule_set, near.later
),
copies AS (
    SELECT
        contested.rule_set,
        contested.doc_id,
        CASE
            WHEN twins.twin IS NOT NULL THEN {
                'reason': 'near_duplicate', 'value': twins.twin.jaccard,
                'threshold': CAST(coalesce(getvariable('near_duplicate_jaccard'), 0.8) AS DOUBLE),
                'twin': twins.twin.doc_id}
            WHEN firsts.turn <> contested.turn THEN {
                'reason': 'duplicate_document', 'value': NULL, 'threshold': NULL, 'twin': firsts.turn.doc_id}
        END AS fall
    FROM contested
    JOIN firsts ON firsts.rule_set = contested.rule_set AND firsts.text_hash = contested.text_hash
    LEFT JOIN twins ON twins.rule_set = firsts.rule_set AND twins.turn = firsts.turn
)
SELECT
    doc_id,
    source,
    rule_set,
    false AS kept,
    failure.reason AS reason,
    failure.value AS value,
    failure.threshold AS threshold,
    CAST(NULL AS VARCHAR) AS twin
FROM tried
WHERE failure IS NOT NULL
UNION ALL
SELECT
    tried.doc_id,
    tried.source,
    tried.rule_set,
    copies.fall IS NULL,
    copies.fall.reason,
    copies.fall.value,
    copies.fall.threshold,
    copies.fall.twin
FROM tried
LEFT JOIN copies ON copies.rule_set = tried.rule_set AND copies.doc_id = tried.doc_id
WHERE tried.failure IS NULL

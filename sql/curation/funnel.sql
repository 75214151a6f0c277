/* model
description: Documents and bytes by rule set, source, language and reason; reason kept for those that stay
kind: table
grain: [rule_set, source, language, reason]
owner: team:data-platform
columns:
  language: likeliest language, und where there is no text or no measurement
  reason: first failing rule, or kept
  documents: current documents
  bytes: of their text in UTF-8, as measured
*/
SELECT
    decisions.rule_set,
    decisions.source,
    coalesce(signals.language, 'und') AS language,
    coalesce(decisions.reason, 'kept') AS reason,
    count(*) AS documents,
    CAST(coalesce(sum(signals.bytes), 0) AS BIGINT) AS bytes
FROM curation.decisions
LEFT JOIN staging.current_signals AS signals ON decisions.doc_id = signals.doc_id
GROUP BY ALL

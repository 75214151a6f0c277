/* model
description: Documents, bytes and words by rule set, source, language and reason; reason kept for those that stay
kind: table
grain: [rule_set, source, language, reason]
owner: team:data-platform
columns:
  language: likeliest language, und where there is no text or no measurement
  reason: first failing rule, or kept
  documents: current documents
  bytes: of their text in UTF-8, as measured
  words: of their text, as measured; a model makes about 4 tokens of 3 English words
*/
SELECT
    decisions.rule_set,
    decisions.source,
    coalesce(signals.language, 'und') AS language,
    coalesce(decisions.reason, 'kept') AS reason,
    count(*) AS documents,
    CAST(coalesce(sum(signals.bytes), 0) AS BIGINT) AS bytes,
    CAST(coalesce(sum(signals.words), 0) AS BIGINT) AS words
FROM curation.decisions
LEFT JOIN staging.current_signals AS signals ON decisions.doc_id = signals.doc_id
GROUP BY ALL

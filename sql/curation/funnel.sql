/* model
description: Documents, bytes, words and tokens by rule set, source, language and reason; reason kept for those that stay
kind: table
grain: [rule_set, source, language, reason]
owner: team:data-platform
columns:
  language: likeliest language, und where there is no text or no measurement
  reason: first failing rule, or kept
  documents: current documents
  bytes: of their text in UTF-8, as measured
  words: of their text, as measured
  tokens: >-
    an estimate, 4 bytes a token, as the runway of the corpus counts (bytes_per_token); a data set's manifest has those of
    its tokenizer
*/
SELECT
    decisions.rule_set,
    decisions.source,
    coalesce(signals.language, 'und') AS language,
    coalesce(decisions.reason, 'kept') AS reason,
    count(*) AS documents,
    CAST(coalesce(sum(signals.bytes), 0) AS BIGINT) AS bytes,
    CAST(coalesce(sum(signals.words), 0) AS BIGINT) AS words,
    CAST(coalesce(sum(signals.bytes), 0) // 4 AS BIGINT) AS tokens
FROM curation.decisions
LEFT JOIN staging.current_signals AS signals ON decisions.doc_id = signals.doc_id
GROUP BY ALL

/* model
description: Current documents by source and language, and what the house rules keep of them.
kind: table
grain: [source, language]
owner: team:data-platform
columns:
  source: where the documents come from
  language: likeliest language, und where there is no text or no measurement
  documents: current documents
  bytes: of their text in UTF-8
  words: in their text
  kept: documents that the house rules keep
  kept_bytes: of their text in UTF-8
  kept_share: kept over documents
  kept_bytes_share: kept_bytes over bytes
*/
SELECT
    documents.source,
    coalesce(signals.language, 'und') AS language,
    count(*) AS documents,
    coalesce(sum(documents.bytes), 0)::BIGINT AS bytes,
    coalesce(sum(signals.words), 0)::BIGINT AS words,
    count(*) FILTER (WHERE decisions.kept) AS kept,
    coalesce(sum(documents.bytes) FILTER (WHERE decisions.kept), 0)::BIGINT AS kept_bytes,
    count(*) FILTER (WHERE decisions.kept) / count(*) AS kept_share,
    kept_bytes / nullif(sum(documents.bytes), 0) AS kept_bytes_share
FROM staging.current_documents AS documents
LEFT JOIN staging.current_signals AS signals ON signals.doc_id = documents.doc_id
LEFT JOIN curation.decisions AS decisions ON decisions.doc_id = documents.doc_id AND decisions.rule_set = 'house'
GROUP BY documents.source, coalesce(signals.language, 'und')
ORDER BY bytes DESC, documents.source, language

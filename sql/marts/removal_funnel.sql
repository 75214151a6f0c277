/* model
description: Documents of each source by what became of them under each set of rules, the house's own first.
kind: table
grain: [rule_set, source, reason]
owner: team:data-platform
columns:
  rule_set: the rules that decided
  source: where the documents come from
  reason: the first rule that failed, or kept
  documents: documents with that reason
  bytes: of their text in UTF-8
  share_of_documents: of all documents of the source under that set of rules
  share_of_bytes: of all their bytes
*/
SELECT
    rule_set,
    source,
    reason,
    sum(documents)::BIGINT AS documents,
    sum(bytes)::BIGINT AS bytes,
    sum(documents) / sum(sum(documents)) OVER (PARTITION BY rule_set, source) AS share_of_documents,
    sum(bytes) / nullif(sum(sum(bytes)) OVER (PARTITION BY rule_set, source), 0) AS share_of_bytes
FROM curation.funnel
GROUP BY rule_set, source, reason
ORDER BY rule_set <> 'house', rule_set, source, reason <> 'kept', documents DESC, reason

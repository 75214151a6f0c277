/* model
description: >-
  For every measured document and rule set, all of the set's rules in the order in which decisions tries them; what
  'warehouse explain' shows. The first that failed is the reason that decisions gives
kind: view
grain: [doc_id, rule_set]
owner: team:data-platform
columns:
  doc_id: document
  rule_set: gopher | c4 | fineweb | house
  rules: reason, value, threshold, failed
*/
SELECT quality.doc_id, 'gopher' AS rule_set, quality.rules || repetition.rules AS rules
FROM curation.gopher_quality AS quality
JOIN curation.gopher_repetition AS repetition ON quality.doc_id = repetition.doc_id
UNION ALL
SELECT doc_id, 'c4', rules
FROM curation.c4
UNION ALL
SELECT quality.doc_id, 'fineweb', repetition.rules || quality.rules || c4.open_rules || fineweb.rules
FROM curation.gopher_quality AS quality
JOIN curation.gopher_repetition AS repetition ON quality.doc_id = repetition.doc_id
JOIN curation.c4 AS c4 ON quality.doc_id = c4.doc_id
JOIN curation.fineweb AS fineweb ON quality.doc_id = fineweb.doc_id
UNION ALL
SELECT doc_id, 'house', rules
FROM curation.house

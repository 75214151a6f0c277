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
  rule_set: gopher | c4 | fineweb | house
  rules: reason, value, threshold, failed; null for a document that is not measured yet
*/
WITH tried AS (
    SELECT
        current.doc_id,
        unnest([
            {'rule_set': 'gopher', 'rules': quality.rules || repetition.rules},
            {'rule_set': 'c4', 'rules': c4.rules},
            {'rule_set': 'fineweb', 'rules': repetition.rules || quality.rules || c4.open_rules || fineweb.rules},
            {'rule_set': 'house', 'rules': house.rules}
        ]) AS tried
    FROM staging.current_documents AS current
    LEFT JOIN curation.gopher_quality AS quality ON current.doc_id = quality.doc_id
    LEFT JOIN curation.gopher_repetition AS repetition ON current.doc_id = repetition.doc_id
    LEFT JOIN curation.c4 ON current.doc_id = c4.doc_id
    LEFT JOIN curation.fineweb ON current.doc_id = fineweb.doc_id
    LEFT JOIN curation.house ON current.doc_id = house.doc_id
)
SELECT doc_id, tried.rule_set AS rule_set, tried.rules AS rules
FROM tried

/* model
description: >-
  Every current document with the cluster of its text: texts that a chain of near pairs connects, whatever the rules say of
  them. Releases split by it, so that no near duplicate of a training text is in another split, and
  curation.paragraph_duplicates counts documents of one cluster once where it asks how many hold a line. No document is a
  near duplicate by its cluster: curation.decisions asks for a pair
kind: table
grain: [doc_id]
owner: team:data-platform
columns:
  doc_id: document
  cluster: >-
    the least text_hash that the chain reaches, among all texts ever met, so that taking a document out moves no other.
    Variable and default: cluster_jaccard 0.7
ranges:
  cluster_jaccard: 0.5 to 1, for pairs of texts are stored from a similarity of 0.5
*/
WITH RECURSIVE links AS MATERIALIZED (
    SELECT a, b
    FROM curation.near_pairs
    WHERE jaccard >= CAST(coalesce(getvariable('cluster_jaccard'), 0.7) AS DOUBLE)
),
neighbours AS MATERIALIZED (
    SELECT a, b FROM links
    UNION ALL
    SELECT b, a FROM links
),
reached(text_hash, cluster) USING KEY (text_hash) AS (
    SELECT a, least(a, min(b)) FROM neighbours GROUP BY a
    UNION
    SELECT neighbours.b, min(reached.cluster)
    FROM reached
    JOIN neighbours ON neighbours.a = reached.text_hash
    JOIN recurring.reached AS known ON known.text_hash = neighbours.b
    WHERE reached.cluster < known.cluster
    GROUP BY neighbours.b
)
SELECT current.doc_id, coalesce(reached.cluster, signals.text_hash) AS cluster
FROM staging.current_documents AS current
JOIN staging.current_signals AS signals ON current.doc_id = signals.doc_id
LEFT JOIN reached ON reached.text_hash = signals.text_hash

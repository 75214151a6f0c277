/* model
description: >-
  How much of each current document stands elsewhere too: paragraphs (lines of at least 20 bytes) that an earlier document,
  or an earlier place in the same one, also holds, and common ones, which many documents hold. Earlier means in the order
  (keep_rank, doc_id), which no batch changes. Of documents of one cluster, copies and near copies of one another, one counts
kind: table
grain: [doc_id]
owner: team:data-platform
columns:
  duplicate_paragraphs: copies among its paragraphs
  duplicate_chars: code points of those
  chars: code points of all its paragraphs
  common_paragraphs: >-
    those that more documents hold than may, itself included. Variable and default: common_paragraph_documents 6
  common_chars: code points of those
  most_documents: that hold one of its paragraphs, of the one that most do
*/
WITH documents AS MATERIALIZED (
    SELECT
        current.doc_id,
        row_number() OVER (ORDER BY current.keep_rank, current.doc_id) AS place,
        dense_rank() OVER (ORDER BY clusters.cluster) AS cluster
    FROM staging.current_documents AS current
    JOIN curation.clusters ON current.doc_id = clusters.doc_id
),
placed AS MATERIALIZED (
    SELECT
        documents.place,
        documents.cluster,
        unnest(paragraphs.hashes) AS hash,
        unnest(paragraphs.lengths) AS chars,
        documents.place * 4294967296 + generate_subscripts(paragraphs.hashes, 1) AS spot
    FROM repository.paragraphs
    JOIN documents ON paragraphs.doc_id = documents.doc_id
    WHERE paragraphs.version = (SELECT max(version) FROM repository.paragraphs)
),
copied AS (
    SELECT hash, min(spot) AS first_spot, min(cluster) < max(cluster) AS spread
    FROM placed
    GROUP BY hash
    HAVING count(*) > 1
),
held AS (
    SELECT hash, count(*) AS documents
    FROM (
        SELECT DISTINCT placed.hash, placed.cluster
        FROM placed
        SEMI JOIN (FROM copied WHERE spread) AS spread ON placed.hash = spread.hash
    )
    GROUP BY hash
),
counted AS (
    SELECT
        placed.place,
        placed.chars,
        coalesce(placed.spot > copied.first_spot, FALSE) AS duplicate,
        coalesce(held.documents, 1) AS documents,
        coalesce(held.documents, 1) > CAST(coalesce(getvariable('common_paragraph_documents'), 6) AS DOUBLE) AS common
    FROM placed
    LEFT JOIN copied ON placed.hash = copied.hash
    LEFT JOIN held ON placed.hash = held.hash
),
summed AS (
    SELECT
        place,
        count(*) FILTER (WHERE duplicate) AS duplicate_paragraphs,
        CAST(coalesce(sum(chars) FILTER (WHERE duplicate), 0) AS BIGINT) AS duplicate_chars,
        CAST(sum(chars) AS BIGINT) AS chars,
        count(*) FILTER (WHERE common) AS common_paragraphs,
        CAST(coalesce(sum(chars) FILTER (WHERE common), 0) AS BIGINT) AS common_chars,
        max(documents) AS most_documents
    FROM counted
    GROUP BY place
)
SELECT documents.doc_id, summed.* EXCLUDE (place)
FROM summed
JOIN documents ON summed.place = documents.place

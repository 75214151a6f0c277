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
WITH placed AS MATERIALIZED (
    SELECT
        paragraphs.doc_id,
        clusters.cluster,
        paragraphs.hash,
        paragraphs.chars,
        row_number() OVER (
            PARTITION BY paragraphs.hash ORDER BY current.keep_rank, paragraphs.doc_id, paragraphs.ordinal
        ) > 1 AS duplicate
    FROM repository.paragraphs
    JOIN staging.current_documents AS current ON paragraphs.doc_id = current.doc_id
    JOIN curation.clusters ON paragraphs.doc_id = clusters.doc_id
    WHERE paragraphs.ordinal >= 0
),
held AS (
    SELECT hash, count(*) AS documents FROM (SELECT DISTINCT hash, cluster FROM placed) GROUP BY hash
),
counted AS (
    SELECT
        placed.*,
        held.documents,
        held.documents > CAST(coalesce(getvariable('common_paragraph_documents'), 6) AS DOUBLE) AS common
    FROM placed
    JOIN held ON placed.hash = held.hash
)
SELECT
    doc_id,
    count(*) FILTER (WHERE duplicate) AS duplicate_paragraphs,
    CAST(coalesce(sum(chars) FILTER (WHERE duplicate), 0) AS BIGINT) AS duplicate_chars,
    CAST(sum(chars) AS BIGINT) AS chars,
    count(*) FILTER (WHERE common) AS common_paragraphs,
    CAST(coalesce(sum(chars) FILTER (WHERE common), 0) AS BIGINT) AS common_chars,
    max(documents) AS most_documents
FROM counted
GROUP BY doc_id

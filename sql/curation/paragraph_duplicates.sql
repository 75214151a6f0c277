/* model
description: >-
  How much of each current document stands elsewhere already: paragraphs (lines of at least 20 bytes) that an earlier document,
  or an earlier place in the same one, also holds. Earlier means in the order (keep_rank, doc_id), which no batch changes
kind: table
grain: [doc_id]
owner: team:data-platform
columns:
  duplicate_paragraphs: copies among its paragraphs
  duplicate_chars: code points of those
  chars: code points of all its paragraphs
*/
WITH placed AS (
    SELECT
        paragraphs.doc_id,
        paragraphs.chars,
        row_number() OVER (
            PARTITION BY paragraphs.hash ORDER BY current.keep_rank, paragraphs.doc_id, paragraphs.ordinal
        ) > 1 AS duplicate
    FROM repository.paragraphs
    JOIN staging.current_documents AS current ON paragraphs.doc_id = current.doc_id
    WHERE paragraphs.ordinal >= 0
)
SELECT
    doc_id,
    count(*) FILTER (WHERE duplicate) AS duplicate_paragraphs,
    CAST(coalesce(sum(chars) FILTER (WHERE duplicate), 0) AS BIGINT) AS duplicate_chars,
    CAST(sum(chars) AS BIGINT) AS chars
FROM placed
GROUP BY doc_id

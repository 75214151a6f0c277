/* model
description: The documents as they are now, without their text; of each source and uri those of the last known_at
kind: view
grain: [doc_id]
owner: team:data-platform
columns:
  doc_id: identity from source, uri, record and content
  bytes: of the text in UTF-8
  keep_rank: >-
    0 to 3, lower is kept first among copies: real before synthetic, then a stated licence before none. Never the time of
    arrival, so the order in which batches came cannot change a decision
*/
WITH latest AS (
    SELECT source, uri, max(known_at) AS known_at
    FROM repository.documents
    GROUP BY source, uri
)
SELECT
    documents.doc_id,
    documents.source,
    documents.uri,
    documents.record,
    documents.known_at,
    documents.published_at,
    documents.licence,
    documents.title,
    documents.content_hash,
    documents.synthetic,
    documents.object_sha256,
    strlen(documents.text) AS bytes,
    2 * CAST(coalesce(documents.synthetic, false) AS INTEGER) + CAST(documents.licence IS NULL AS INTEGER) AS keep_rank
FROM repository.documents
JOIN latest
    ON documents.source = latest.source AND documents.uri = latest.uri AND documents.known_at = latest.known_at

/* model
description: >-
  Buckets of more than 257 texts with one MinHash band in common. In these a text is compared with the 256 before and the 256
  after it in order of text_hash, not with all; what was left out is counted here
kind: table
grain: [bucket]
owner: team:data-platform
columns:
  bucket: hash of the band that the texts share
  texts: different texts with it
  left_out: pairs of them that this bucket does not bring together; another bucket may
  example: a document of it
*/
WITH members AS (
    SELECT doc_id, unnest(bands) AS bucket FROM staging.current_minhash
),
crowded AS (
    SELECT bucket FROM members GROUP BY bucket HAVING count(*) > 257
)
SELECT
    members.bucket,
    count(DISTINCT signals.text_hash) AS texts,
    CAST((texts - 257) * (texts - 256) / 2 AS BIGINT) AS left_out,
    min(members.doc_id) AS example
FROM members
JOIN crowded ON members.bucket = crowded.bucket
JOIN staging.current_signals AS signals ON members.doc_id = signals.doc_id
GROUP BY members.bucket
HAVING texts > 257

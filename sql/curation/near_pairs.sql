/* model
description: >-
  Pairs of different texts with the exact Jaccard similarity of their word 5-grams, 0.5 and above; whether two texts are
  compared follows from all documents and not from the order in which they came (of an oversized bucket the 256 neighbours)
kind: table
grain: [a, b]
owner: team:data-platform
columns:
  a: text_hash of one text, the lesser
  b: text_hash of the other
  jaccard: 5-grams in both over 5-grams in either
*/
WITH stored AS (
    SELECT
        least(one.text_hash, other.text_hash) AS a,
        greatest(one.text_hash, other.text_hash) AS b,
        max(pairs.jaccard) AS jaccard,
        min(pairs.a) AS one,
        arg_min(pairs.b, pairs.a) AS other
    FROM repository.pairs
    JOIN staging.current_signals AS one ON pairs.a = one.doc_id
    JOIN staging.current_signals AS other ON pairs.b = other.doc_id
    WHERE pairs.version = (SELECT max(version) FROM repository.minhash) AND one.text_hash <> other.text_hash
    GROUP BY ALL
),
placed AS (
    SELECT bucket, text_hash, row_number() OVER (PARTITION BY bucket ORDER BY text_hash) AS place
    FROM (
        SELECT DISTINCT members.bucket, signals.text_hash
        FROM (SELECT doc_id, unnest(bands) AS bucket FROM staging.current_minhash) AS members
        JOIN curation.oversized_buckets AS crowded ON members.bucket = crowded.bucket
        JOIN staging.current_signals AS signals ON members.doc_id = signals.doc_id
    )
),
apart AS (
    SELECT stored.a, stored.b, stored.one, stored.other, count(*) AS buckets
    FROM stored
    JOIN placed AS left_place ON left_place.text_hash = stored.a
    JOIN placed AS right_place ON right_place.text_hash = stored.b AND right_place.bucket = left_place.bucket
    WHERE right_place.place - left_place.place > 256
    GROUP BY ALL
),
left_out AS (
    SELECT apart.a, apart.b
    FROM apart
    JOIN staging.current_minhash AS one ON apart.one = one.doc_id
    JOIN staging.current_minhash AS other ON apart.other = other.doc_id
    WHERE apart.buckets = len(list_intersect(one.bands, other.bands))
)
SELECT stored.a, stored.b, stored.jaccard
FROM stored
ANTI JOIN left_out ON stored.a = left_out.a AND stored.b = left_out.b

/* model
description: >-
  What documents meet of each benchmark as it was registered last: spans whose word 13-grams it holds; one row of start -1 for
  a document that meets none of it. Empty where no benchmark is registered
kind: view
grain: [doc_id, benchmark, start]
owner: team:data-platform
columns:
  version: of the comparison
  passages: of the benchmark, as many as it had when it was compared
  text_words: of the whole document
  start: UTF-8 byte in the document's text
  stop: the byte after the span
  words: of the span
  ngrams: 13-grams of the span that are in the benchmark
  item: that most of them are of
*/
WITH newest AS (
    SELECT benchmark, version, max(passages) AS passages
    FROM repository.contamination
    WHERE version = (SELECT max(version) FROM repository.contamination)
    GROUP BY ALL
)
SELECT contamination.*
FROM repository.contamination
SEMI JOIN newest
    ON contamination.benchmark = newest.benchmark
    AND contamination.version = newest.version
    AND contamination.passages = newest.passages

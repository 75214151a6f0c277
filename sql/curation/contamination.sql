/* model
description: >-
  For every current document and registered benchmark that it was compared with: how much of the document the benchmark holds,
  by word 13-grams, and whether that is too much. The rule of the house reads it; no published rule set does
kind: table
grain: [doc_id, benchmark]
owner: team:data-platform
columns:
  doc_id: document
  benchmark: name of the source that registered it
  spans: runs of words that the benchmark holds
  ngrams: 13-grams of them, each place once
  words: in the spans
  share: of the document's words in the spans, to six digits
  item: of the benchmark, the one that the spans meet most; null where there are none
  threshold: >-
    most 13-grams that a document may hold. Variable and default: contamination_max_ngrams 0
  contaminated: ngrams above the threshold
*/
WITH met AS (
    SELECT doc_id, benchmark, item, count(*) AS spans, sum(ngrams) AS ngrams, sum(words) AS words
    FROM staging.current_contamination
    WHERE start >= 0
    GROUP BY ALL
),
summed AS (
    SELECT
        doc_id,
        benchmark,
        CAST(sum(spans) AS BIGINT) AS spans,
        CAST(sum(ngrams) AS BIGINT) AS ngrams,
        CAST(sum(words) AS BIGINT) AS words,
        arg_min(item, {'fewer': -ngrams, 'item': item}) AS item
    FROM met
    GROUP BY ALL
),
compared AS (
    SELECT DISTINCT contamination.doc_id, contamination.benchmark, contamination.text_words
    FROM staging.current_contamination AS contamination
    JOIN staging.current_documents AS documents ON contamination.doc_id = documents.doc_id
)
SELECT
    compared.doc_id,
    compared.benchmark,
    coalesce(summed.spans, 0) AS spans,
    coalesce(summed.ngrams, 0) AS ngrams,
    coalesce(summed.words, 0) AS words,
    round(coalesce(summed.words / nullif(compared.text_words, 0), 0), 6) AS share,
    summed.item,
    CAST(coalesce(getvariable('contamination_max_ngrams'), 0) AS DOUBLE) AS threshold,
    coalesce(summed.ngrams, 0) > threshold AS contaminated
FROM compared
LEFT JOIN summed ON compared.doc_id = summed.doc_id AND compared.benchmark = summed.benchmark

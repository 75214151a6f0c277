/* model
description: >-
  Documents in which a list of recipes/lists finds something, in text or URL; what rules read. Empty where the project has no
  list
kind: table
grain: [doc_id]
owner: team:data-platform
columns:
  doc_id: document
  url_matches: matches of lists of urls, all together; one blocks
  soft_url_words: different soft words of its URL, by the list that finds most
  word_matches: matches of lists of words in its text, all together
otherwise: >-
  SELECT NULL::VARCHAR AS doc_id, 0::BIGINT AS url_matches, 0::BIGINT AS soft_url_words, 0::BIGINT AS word_matches
  WHERE false
*/
SELECT
    doc_id,
    CAST(coalesce(sum(matches) FILTER (WHERE kind = 'urls'), 0) AS BIGINT) AS url_matches,
    coalesce(max(soft_words), 0) AS soft_url_words,
    CAST(coalesce(sum(matches) FILTER (WHERE kind = 'words'), 0) AS BIGINT) AS word_matches
FROM staging.current_lists
WHERE matches > 0 OR soft_words > 0
GROUP BY doc_id

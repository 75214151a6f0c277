/* model
description: >-
  What each list in recipes/lists, as it is now, has found in every document. Nothing of a list whose recipe was taken away
kind: view
grain: [doc_id, list]
owner: team:data-platform
columns:
  doc_id: document
  list: name of the recipe
  kind: words, looked for in the text, or urls, looked for in the uri
  language: whose entries were looked for, of kind words; null where the list has none of the document's language
  matches: how often entries were found; null where nothing was looked for
  entries: how many different ones
  soft_words: different soft words of the URL, of kind urls
  part: of kind urls, the first of domains, urls, words and subwords in which a match is
*/
SELECT * EXCLUDE (version, content)
FROM repository.lists
WHERE doc_id IS NOT NULL AND {'list': list, 'version': version} IN (
    SELECT {'list': list, 'version': max(version)} FROM repository.lists GROUP BY list
)

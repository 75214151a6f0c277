/* model
description: >-
  What the newest model of each recipe in recipes/scores says of every document. A model that was trained again takes the
  place of the one before it when all documents have its score, for nothing is published in between
kind: view
grain: [doc_id, name]
owner: team:data-platform
columns:
  doc_id: document
  name: of the recipe
  version: of its model, as in repository.score_models
  release: NAME@VERSION of the data set that the model was trained on; null where its recipe names none
  score: >-
    of a classifier the probability that the text is like the positive ones; of a perplexity 2 to the power of bits a word,
    lower is more like the texts it was trained on; null where the text has no word
*/
WITH models AS (
    SELECT name, version, list_filter(json_keys(inputs), lambda input: contains(input, '@'))[1] AS release
    FROM repository.score_models
)
SELECT scores.doc_id, scores.name, scores.version, models.release, scores.score
FROM repository.scores
LEFT JOIN models ON scores.name = models.name AND scores.version = models.version
WHERE {'name': scores.name, 'version': scores.version} IN (
    SELECT {'name': name, 'version': max(version)} FROM repository.scores GROUP BY name
)

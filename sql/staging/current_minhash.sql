/* model
description: >-
  The MinHash bands of every document as the newest version of the kernel made them: two texts of Jaccard similarity J share
  one with probability 1 - (1 - J^8)^14
kind: view
grain: [doc_id]
owner: team:data-platform
columns:
  doc_id: document
  version: of words, shingles and permutations
  bands: 14 hashes, none where the text has no word
*/
SELECT *
FROM repository.minhash
WHERE version = (SELECT max(version) FROM repository.minhash)

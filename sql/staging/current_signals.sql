/* model
description: >-
  The signals of every document as the newest version of the kernels measured them; a new version measures all documents
  again before anything is decided, and the old rows stay for whoever asks what was known then
kind: view
grain: [doc_id]
owner: team:data-platform
columns:
  doc_id: document
  version: of the meaning of the columns
*/
SELECT *
FROM repository.signals
WHERE version = (SELECT max(version) FROM repository.signals)

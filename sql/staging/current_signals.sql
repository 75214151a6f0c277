/* model
description: >-
  The signals of every document as the newest version of the kernels measured them in the project's mode of words; a new
  version or another mode measures all documents again before anything is decided, and the old rows stay for whoever asks
  what was known then
kind: view
grain: [doc_id]
owner: team:data-platform
columns:
  doc_id: document
  version: of the meaning of the columns
  words_mode: the one of staging.signals_mode
*/
SELECT *
FROM repository.signals
WHERE
    version = (SELECT max(version) FROM repository.signals)
    AND words_mode IS NOT DISTINCT FROM (SELECT words_mode FROM staging.signals_mode)

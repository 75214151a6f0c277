/* model
description: >-
  Spans of personal data as the newest version of the search found them; one row of start -1 for a document without any.
  Places and masks only: the text itself stays in repository.documents
kind: view
grain: [doc_id, start]
owner: team:data-platform
columns:
  version: of the search
  kind: email, phone, ip, card, iban, ssn or secret; null with start -1
  start: UTF-8 byte in the document's text
  stop: the byte after the span
  mask: what takes its place where a data set masks the kind
*/
SELECT *
FROM repository.pii
WHERE version = (SELECT max(version) FROM repository.pii)

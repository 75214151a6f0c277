/* model
description: Spans of personal data in current documents, and the documents that hold them, by source and kind
kind: table
grain: [source, kind]
owner: team:data-platform
columns:
  kind: email, phone, ip, card, iban, ssn or secret
  documents: current documents with at least one span of this kind
  spans: of this kind
  bytes: of those spans in UTF-8
*/
SELECT
    documents.source,
    pii.kind,
    count(DISTINCT pii.doc_id) AS documents,
    count(*) AS spans,
    CAST(sum(pii.stop - pii.start) AS BIGINT) AS bytes
FROM staging.current_pii AS pii
JOIN staging.current_documents AS documents ON pii.doc_id = documents.doc_id
WHERE pii.kind IS NOT NULL
GROUP BY ALL

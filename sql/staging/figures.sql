/* model
description: Observations of variables of entities in years, as last known, with who stated them.
kind: view
grain: [variable, entity, year]
owner: team:data-platform
columns:
  variable: what was observed
  entity: what it was observed of
  year: the year the value is for
  value: in unit
  projected: whether it was a forecast when it was stated
  statement: the figure in words
  publisher: who the figure is commonly attributed to
  publisher_confirmed: whether the publisher's own text was read
*/
SELECT
    variable,
    entity,
    TRY_CAST(left(date, 4) AS INTEGER) AS year,
    value,
    unit,
    projected,
    statement,
    publisher,
    coalesce(publisher_confirmed, false) AS publisher_confirmed
FROM repository.figures
QUALIFY row_number() OVER (PARTITION BY variable, entity, left(date, 4) ORDER BY _known_at DESC, _object_sha256, _record) = 1

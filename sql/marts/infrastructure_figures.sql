/* model
description: Figures of data centres, their energy and the public text that is left, each with who stated it.
kind: table
grain: [variable, entity, year]
owner: team:data-platform
columns:
  statement: the figure in words
  year: the year the value is for
  value: in unit
  unit: of value
  projected: whether it was a forecast when it was stated
  attribution: the publisher where its own text was read, else "as stated in the source document"
  publisher: who the figure is commonly attributed to
  publisher_confirmed: whether the publisher's own text was read
*/
SELECT
    variable,
    entity,
    year,
    statement,
    value,
    unit,
    projected,
    CASE WHEN publisher_confirmed THEN publisher ELSE 'as stated in the source document' END AS attribution,
    publisher,
    publisher_confirmed
FROM staging.figures
ORDER BY variable, entity, year

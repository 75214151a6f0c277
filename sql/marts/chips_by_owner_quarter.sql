/* model
description: AI chips acquired by owner, manufacturer and quarter, and all that the owner has acquired since 2022.
kind: table
grain: [owner, manufacturer, quarter_start]
owner: team:data-platform
columns:
  owner: who acquired the chips; owners add up without counting twice
  manufacturer: who designed the chips
  quarter_start: first day of the calendar quarter
  units: chips acquired in the quarter, median estimate
  h100e: the same in H100 equivalents
  h100e_p05: sum of the chips' 5th percentiles, lower than the 5th percentile of the sum (by 2 to 12 % on average)
  h100e_p95: sum of the chips' 95th percentiles, higher than the 95th percentile of the sum (by 1 to 6 % on average)
  tdp_mw: thermal design power of the chips acquired, in megawatts
  h100e_since_2022: H100 equivalents acquired up to the end of the quarter; nothing is taken to be retired
  complete: false where the publisher says that the quarter is not fully covered
*/
SELECT
    owner,
    manufacturer,
    quarter_start,
    sum(units)::BIGINT AS units,
    sum(h100e)::BIGINT AS h100e,
    sum(h100e_p05)::BIGINT AS h100e_p05,
    sum(h100e_p95)::BIGINT AS h100e_p95,
    sum(tdp_w) / 1e6 AS tdp_mw,
    sum(sum(h100e)) OVER (PARTITION BY owner, manufacturer ORDER BY quarter_start)::BIGINT AS h100e_since_2022,
    bool_and(complete) AS complete
FROM staging.chips
GROUP BY owner, manufacturer, quarter_start
ORDER BY owner, manufacturer, quarter_start

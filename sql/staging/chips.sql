/* model
description: AI chips acquired, one row for each manufacturer, owner, chip and quarter, from the newest vintage that states it.
kind: view
grain: [manufacturer, owner, chip, quarter_start]
owner: team:data-platform
columns:
  manufacturer: who designed the chip
  owner: who acquired it; Other is everyone not named, so owners add up without counting twice (xAI's Nvidia chips are in none)
  chip: type as the publisher names it
  quarter_start: first day of the calendar quarter
  units: chips acquired in the quarter, median estimate
  h100e: the same in H100 equivalents, median
  h100e_p05: 5th percentile
  h100e_p95: 95th percentile
  tdp_w: thermal design power of those chips in watts, median
  tdp_w_p05: 5th percentile
  tdp_w_p95: 95th percentile
  complete: false where the publisher says that the quarter is not fully covered
  known_at: when the publisher generated the estimate
*/
SELECT
    manufacturer,
    owner,
    chip,
    quarter_start,
    units_median AS units,
    h100e_median AS h100e,
    h100e_p05,
    h100e_p95,
    tdp_w_median AS tdp_w,
    tdp_w_p05,
    tdp_w_p95,
    incomplete IS NULL AND coalesce(notes, '') NOT ILIKE '%incomplete:%' AS complete,
    _known_at AS known_at
FROM repository.ai_chips
QUALIFY row_number() OVER (
    PARTITION BY manufacturer, owner, chip, quarter_start ORDER BY _known_at DESC, _object_sha256, _record
) = 1

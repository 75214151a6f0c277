/* model
description: What the electricity of all AI chips in power_and_carbon would emit in its last complete quarter on each country's grid.
kind: view
grain: [grid]
owner: team:data-platform
columns:
  grid: ISO country code, or world
  name: name of the country
  g_per_kwh: carbon intensity of the grid
  quarter_start: first day of the quarter
  energy_gwh: electricity of the quarter of all owners, under the assumptions of power_and_carbon
  tco2e: tonnes of CO2 equivalent if all of it came from this grid; never add the rows up
  share_of_production: that electricity as a share of a quarter of the country's production
*/
WITH energy AS (
    SELECT quarter_start, sum(energy_gwh) AS energy_gwh
    FROM marts.power_and_carbon
    WHERE complete
    GROUP BY quarter_start
    ORDER BY quarter_start DESC
    LIMIT 1
)
SELECT
    grid,
    name,
    g_per_kwh,
    quarter_start,
    energy_gwh,
    energy_gwh * g_per_kwh AS tco2e,
    energy_gwh / nullif(twh * 1e3 / 4, 0) AS share_of_production
FROM staging.grids
CROSS JOIN energy
ORDER BY tco2e

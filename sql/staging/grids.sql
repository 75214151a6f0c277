/* model
description: Carbon intensity of electricity grids, one row a country and one for the world (mean of the countries by production).
kind: view
grain: [grid]
owner: team:data-platform
columns:
  grid: ISO 3166 code of the country, or world
  name: name of the country
  year: the year the figure is for; for the world, that of the newest country
  g_per_kwh: grams of CO2 equivalent for each kilowatt-hour
  twh: electricity produced in that year, in terawatt-hours
*/
WITH countries AS (
    SELECT iso_code AS grid, country_name AS name, year, carbon_intensity_g_per_kwh AS g_per_kwh, total_twh AS twh
    FROM repository.grid_carbon
    WHERE carbon_intensity_g_per_kwh IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY iso_code ORDER BY year DESC, _known_at DESC, _object_sha256, _record) = 1
)
SELECT grid, name, year, g_per_kwh, twh FROM countries
UNION ALL
SELECT 'world', 'World', max(year), sum(g_per_kwh * twh) / sum(twh), sum(twh) FROM countries HAVING count(*) > 0

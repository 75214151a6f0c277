/* model
description: >
  Power, energy and carbon of the AI chips that each owner has acquired, by quarter, under assumptions that no source states
  and that are columns here: SET VARIABLE pue, load_factor or grid and select again to see others.
kind: view
grain: [owner, quarter_start]
owner: team:data-platform
columns:
  owner: who acquired the chips
  quarter_start: first day of the calendar quarter
  added_mw: thermal design power of the chips acquired in the quarter, megawatts
  installed_mw: the same for all chips acquired since 2022 up to the end of the quarter; nothing is taken to be retired
  pue: assumed power usage effectiveness, facility over chips (variable pue, default 1.2)
  load_factor: assumed mean draw as a share of thermal design power (variable load_factor, default 0.6)
  grid: assumed grid (variable grid, an ISO country code or world, default world)
  g_per_kwh: carbon intensity of that grid, null where there is none of that name
  energy_gwh: electricity of the quarter, gigawatt-hours; chips acquired in it run for half of it
  tco2e: tonnes of CO2 equivalent of that electricity; making the chips is not in it
  complete: false where the publisher says that the quarter, of any manufacturer, is not fully covered
*/
WITH quarters AS (
    SELECT quarter_start, bool_and(complete) AS complete FROM staging.chips GROUP BY quarter_start
),
added AS (
    SELECT owner, quarter_start, sum(tdp_w) / 1e6 AS mw FROM staging.chips GROUP BY owner, quarter_start
),
owners AS (
    SELECT owner, min(quarter_start) AS first_quarter FROM added GROUP BY owner
),
installed AS (
    SELECT
        owner,
        quarter_start,
        coalesce(mw, 0) AS added_mw,
        sum(coalesce(mw, 0)) OVER (PARTITION BY owner ORDER BY quarter_start) AS installed_mw,
        complete,
        date_diff('day', quarter_start, quarter_start + INTERVAL 3 MONTH) * 24 AS hours
    FROM owners
    JOIN quarters ON quarter_start >= first_quarter
    LEFT JOIN added USING (owner, quarter_start)
),
assumed AS (
    SELECT
        coalesce(getvariable('pue'), 1.2)::DOUBLE AS pue,
        coalesce(getvariable('load_factor'), 0.6)::DOUBLE AS load_factor,
        coalesce(getvariable('grid'), 'world')::VARCHAR AS grid
)
SELECT
    owner,
    quarter_start,
    added_mw,
    installed_mw,
    pue,
    load_factor,
    grid,
    g_per_kwh,
    (installed_mw - added_mw / 2) * load_factor * pue * hours / 1e3 AS energy_gwh,
    energy_gwh * g_per_kwh AS tco2e,
    complete
FROM installed
CROSS JOIN assumed
LEFT JOIN staging.grids USING (grid)
ORDER BY owner, quarter_start

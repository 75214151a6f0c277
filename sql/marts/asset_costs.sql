/* model
description: What each asset has cost, its last run and all of them; energy is modelled from CPU seconds, not measured.
kind: view
grain: [asset]
owner: team:data-platform
columns:
  asset: what was made
  runs: how often
  last_started_at: when its last run began
  last_cpu_s: CPU seconds of its last run, children included
  last_wall_s: seconds of its last run
  last_peak_rss_mb: peak memory of the process in its last run, megabytes
  last_rows: rows of its last run
  last_bytes_read: bytes read by its last run
  last_bytes_written: bytes written by its last run
  last_mb_per_cpu_s: megabytes read for each CPU second of its last run
  last_watt_hours: electricity of the processor for last_cpu_s, by last_power_model
  last_grams_co2e: grams of CO2 equivalent of it, on last_grid
  last_power_model: watts of a busy hardware thread, and where they come from
  last_grid: grams of CO2 equivalent for each kilowatt-hour, and where they come from
  cpu_s: CPU seconds of all runs
  wall_s: seconds of all runs
  peak_rss_mb: highest peak memory of all runs, megabytes
  rows: rows of all runs
  bytes_read: of all runs
  bytes_written: of all runs
  watt_hours: electricity of all runs for which it is known
  grams_co2e: grams of CO2 equivalent of it
  runs_without_energy: runs of before energy was counted
*/
SELECT
    asset,
    count(*) AS runs,
    max(started_at) AS last_started_at,
    arg_max(cpu_s, started_at) AS last_cpu_s,
    arg_max(wall_s, started_at) AS last_wall_s,
    arg_max(peak_rss, started_at) / 1e6 AS last_peak_rss_mb,
    arg_max(rows, started_at) AS last_rows,
    arg_max(bytes_read, started_at) AS last_bytes_read,
    arg_max(bytes_written, started_at) AS last_bytes_written,
    arg_max(watt_hours, started_at) AS last_watt_hours,
    arg_max(grams_co2e, started_at) AS last_grams_co2e,
    arg_max(power_model, started_at) AS last_power_model,
    arg_max(grid, started_at) AS last_grid,
    last_bytes_read / 1e6 / nullif(last_cpu_s, 0) AS last_mb_per_cpu_s,
    sum(cpu_s) AS cpu_s,
    sum(wall_s) AS wall_s,
    max(peak_rss) / 1e6 AS peak_rss_mb,
    sum(rows)::BIGINT AS rows,
    sum(bytes_read)::BIGINT AS bytes_read,
    sum(bytes_written)::BIGINT AS bytes_written,
    sum(watt_hours) AS watt_hours,
    sum(grams_co2e) AS grams_co2e,
    count(*) FILTER (watt_hours IS NULL) AS runs_without_energy
FROM (
    FROM repository.runs
    UNION ALL BY NAME  -- a table that no run has added to since then lacks these columns
    SELECT NULL::DOUBLE AS watt_hours, NULL::DOUBLE AS grams_co2e, NULL::VARCHAR AS power_model, NULL::VARCHAR AS grid
    WHERE false
)
GROUP BY asset
ORDER BY cpu_s DESC, asset

/* model
description: What each asset has cost, its last run and all of them.
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
  cpu_s: CPU seconds of all runs
  wall_s: seconds of all runs
  peak_rss_mb: highest peak memory of all runs, megabytes
  rows: rows of all runs
  bytes_read: of all runs
  bytes_written: of all runs
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
    last_bytes_read / 1e6 / nullif(last_cpu_s, 0) AS last_mb_per_cpu_s,
    sum(cpu_s) AS cpu_s,
    sum(wall_s) AS wall_s,
    max(peak_rss) / 1e6 AS peak_rss_mb,
    sum(rows)::BIGINT AS rows,
    sum(bytes_read)::BIGINT AS bytes_read,
    sum(bytes_written)::BIGINT AS bytes_written
FROM repository.runs
GROUP BY asset
ORDER BY cpu_s DESC, asset

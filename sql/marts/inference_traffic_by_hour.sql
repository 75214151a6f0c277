/* model
description: Traffic of a language model service by hour of a trace, with tokens read and written.
kind: table
grain: [trace, hour]
owner: team:data-platform
columns:
  trace: where the trace came from
  hour: start of the hour, UTC
  requests: requests that arrived in the hour
  observed_s: seconds of the hour that the trace covers
  requests_per_s: requests over observed_s
  context_tokens: tokens of all prompts
  generated_tokens: tokens of all answers
  context_tokens_p50: median prompt
  context_tokens_p95: 95th percentile of prompts
  generated_tokens_p50: median answer
  generated_tokens_p95: 95th percentile of answers
*/
WITH hours AS (
    SELECT
        trace,
        date_trunc('hour', arrived_at) AS hour,
        min(arrived_at) OVER (PARTITION BY trace) AS began,
        max(arrived_at) OVER (PARTITION BY trace) AS ended,
        context_tokens,
        generated_tokens
    FROM staging.requests
)
SELECT
    trace,
    hour,
    count(*) AS requests,
    date_diff('microsecond', greatest(hour, began), least(hour + INTERVAL 1 HOUR, ended)) / 1e6 AS observed_s,
    count(*) / nullif(observed_s, 0) AS requests_per_s,
    sum(context_tokens)::BIGINT AS context_tokens,
    sum(generated_tokens)::BIGINT AS generated_tokens,
    quantile_cont(context_tokens, 0.50) AS context_tokens_p50,
    quantile_cont(context_tokens, 0.95) AS context_tokens_p95,
    quantile_cont(generated_tokens, 0.50) AS generated_tokens_p50,
    quantile_cont(generated_tokens, 0.95) AS generated_tokens_p95
FROM hours
GROUP BY trace, hour, began, ended
ORDER BY trace, hour

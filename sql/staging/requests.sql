/* model
description: Requests to a language model service, one row a request, those of the newest version of each trace.
kind: view
grain: [trace, record]
owner: team:data-platform
columns:
  trace: where the trace came from
  record: number of the request in its trace
  arrived_at: when the request arrived
  context_tokens: tokens of the prompt
  generated_tokens: tokens of the answer
*/
SELECT _uri AS trace, _record AS record, arrived_at, context_tokens, generated_tokens
FROM repository.inference_trace
QUALIFY _known_at = max(_known_at) OVER (PARTITION BY _source, _uri)

/* model
description: >-
  How long the data lasts, by year: the newest forecast of the world's public text, and of this warehouse's own corpus as
  the snapshot before this one held it ('warehouse runway' has today's)
kind: table
grain: [scope, scenario, year]
owner: team:data-platform
columns:
  scope: world | own
  scenario: what is assumed, in one word; the same in words under assumes
  stock_p10: tokens there are, 10 % quantile; with epochs and synthetic text where the scenario has them
  demand_p10: tokens asked for, 10 % quantile
  run_out_probability: that demand has passed the stock by this year
  run_out_p10: decimal year of full use, 10 % quantile, the same in all rows of a scenario; null beyond the last year
  known_at: when this forecast was first made
*/
SELECT
    scope,
    scenario,
    year,
    stock_p10,
    stock_median,
    stock_p90,
    demand_p10,
    demand_median,
    demand_p90,
    run_out_probability,
    run_out_p10,
    run_out_median,
    run_out_p90,
    assumes,
    known_at
FROM repository.runway
QUALIFY dense_rank() OVER (PARTITION BY scope ORDER BY known_at DESC, forecast) = 1
ORDER BY scope DESC, scenario, year

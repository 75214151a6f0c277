-- $sales_from_us = 1
-- $sales_90s_us = 90000000
-- $sales_2h_us = 7200000000
-- $sales_ttl_us = 86400000000
WITH
_spine AS (
    SELECT "shop" AS _k0, CASE WHEN isfinite(CAST("moment" AS TIMESTAMP WITH TIME ZONE)) THEN epoch_us(CAST("moment" AS TIMESTAMP WITH TIME ZONE)) END AS _t, *
    FROM (
SELECT shop, moment FROM staging.moments
    )
),
"sales" AS (
    SELECT _k0, _event, _known, _v0, _v1, greatest(_event + $sales_from_us, _known) AS _from,
        coalesce(lead(_known) OVER (PARTITION BY _i0, _i1 ORDER BY _known, _event, _v0, _v1, _k0), 9223372036854775807) AS _until,
        coalesce(min(row(_k0, _event)) OVER (PARTITION BY _i0, _i1 ORDER BY _known, _event, _v0, _v1, _k0 ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), row(_k0, _event)) IS DISTINCT FROM row(_k0, _event) OR coalesce(max(row(_k0, _event)) OVER (PARTITION BY _i0, _i1 ORDER BY _known, _event, _v0, _v1, _k0 ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), row(_k0, _event)) IS DISTINCT FROM row(_k0, _event) AS _moved
    FROM (SELECT "shop_id" AS _k0, CASE WHEN isfinite(CAST("sold_at" AS TIMESTAMP WITH TIME ZONE)) THEN epoch_us(CAST("sold_at" AS TIMESTAMP WITH TIME ZONE)) END AS _event, CASE WHEN isfinite(CAST("booked_at" AS TIMESTAMP WITH TIME ZONE)) THEN epoch_us(CAST("booked_at" AS TIMESTAMP WITH TIME ZONE)) END AS _known, "pieces" AS _v0, "unit ""price""" AS _v1, "receipt" AS _i0, "shop_id" AS _i1 FROM "staging"."sales")
    WHERE _known IS NOT NULL
    QUALIFY _event IS NOT NULL
),
"sales 90s" AS (
    WITH _seen AS (SELECT *, least(_event + $sales_from_us + $sales_90s_us, _until) AS _end FROM "sales" WHERE _from < least(_event + $sales_from_us + $sales_90s_us, _until))
    SELECT _k0, _at, sum(_n) OVER (PARTITION BY _k0 ORDER BY _at) AS _n, sum(_n0) OVER (PARTITION BY _k0 ORDER BY _at) AS _n0, sum(_s0) OVER (PARTITION BY _k0 ORDER BY _at) AS _s0, sum(_n1) OVER (PARTITION BY _k0 ORDER BY _at) AS _n1
    FROM (
        SELECT _k0, _at, sum(_n) AS _n, sum(_n0) AS _n0, sum(_s0) AS _s0, sum(_n1) AS _n1
        FROM (SELECT _k0, _from AS _at, 1 AS _n, CAST(_v0 IS NOT NULL AS INTEGER) AS _n0, coalesce(CAST(_v0 AS HUGEINT), 0) AS _s0, CAST(_v1 IS NOT NULL AS INTEGER) AS _n1 FROM _seen UNION ALL SELECT _k0, _end, -(1), -(CAST(_v0 IS NOT NULL AS INTEGER)), -(coalesce(CAST(_v0 AS HUGEINT), 0)), -(CAST(_v1 IS NOT NULL AS INTEGER)) FROM _seen)
        GROUP BY _k0, _at
    )
),
"sales 90s extremes" AS (
    SELECT s._k0, s._t, max(_v1) AS "price_max"
    FROM (SELECT DISTINCT _k0, _t FROM _spine) AS s
    JOIN (SELECT *, least(_event + $sales_from_us + $sales_90s_us, _until) AS _end FROM "sales" WHERE _from < least(_event + $sales_from_us + $sales_90s_us, _until)) AS r ON s._k0 = r._k0 AND s._t >= r._from AND s._t < r._end
    GROUP BY s._k0, s._t
),
"sales 2h" AS (
    WITH _seen AS (SELECT *, least(_event + $sales_from_us + $sales_2h_us, _until) AS _end FROM "sales" WHERE _from < least(_event + $sales_from_us + $sales_2h_us, _until))
    SELECT _k0, _at, sum(_n) OVER (PARTITION BY _k0 ORDER BY _at) AS _n, sum(_n0) OVER (PARTITION BY _k0 ORDER BY _at) AS _n0, sum(_s0) OVER (PARTITION BY _k0 ORDER BY _at) AS _s0, sum(_n1) OVER (PARTITION BY _k0 ORDER BY _at) AS _n1
    FROM (
        SELECT _k0, _at, sum(_n) AS _n, sum(_n0) AS _n0, sum(_s0) AS _s0, sum(_n1) AS _n1
        FROM (SELECT _k0, _from AS _at, 1 AS _n, CAST(_v0 IS NOT NULL AS INTEGER) AS _n0, coalesce(CAST(_v0 AS HUGEINT), 0) AS _s0, CAST(_v1 IS NOT NULL AS INTEGER) AS _n1 FROM _seen UNION ALL SELECT _k0, _end, -(1), -(CAST(_v0 IS NOT NULL AS INTEGER)), -(coalesce(CAST(_v0 AS HUGEINT), 0)), -(CAST(_v1 IS NOT NULL AS INTEGER)) FROM _seen)
        GROUP BY _k0, _at
    )
),
"sales 2h extremes" AS (
    SELECT s._k0, s._t, max(_v1) AS "price_max"
    FROM (SELECT DISTINCT _k0, _t FROM _spine) AS s
    JOIN (SELECT *, least(_event + $sales_from_us + $sales_2h_us, _until) AS _end FROM "sales" WHERE _from < least(_event + $sales_from_us + $sales_2h_us, _until)) AS r ON s._k0 = r._k0 AND s._t >= r._from AND s._t < r._end
    GROUP BY s._k0, s._t
),
"sales latest" AS (
    SELECT _k0, _at, max(_best) OVER (PARTITION BY _k0 ORDER BY _at) AS _best
    FROM (
        SELECT _k0, _from AS _at, max(struct_pack(event := _event, known := _known, v0 := _v0, v1 := _v1)) AS _best
        FROM "sales" WHERE NOT _moved
        GROUP BY _k0, _at
    )
),
"sales moved" AS (
    SELECT s._k0, s._t, max(r._best) AS _best
    FROM (SELECT DISTINCT _k0, _t FROM _spine) AS s
    JOIN (SELECT *, struct_pack(event := _event, known := _known, v0 := _v0, v1 := _v1) AS _best FROM "sales" WHERE _moved) AS r ON s._k0 = r._k0 AND s._t >= r._from AND s._t < r._until
    GROUP BY s._k0, s._t
)
SELECT
    s."shop",
    CAST(s."moment" AS TIMESTAMP WITH TIME ZONE) AS "moment",
    s."label",
    CAST(coalesce("sales 90s"._n, 0) AS BIGINT) AS "sold_90s",
    CAST(coalesce("sales 90s"._s0, 0) AS BIGINT) AS "pieces_90s",
    "sales 90s extremes"."price_max" AS "price_max_90s",
    CAST(coalesce("sales 2h"._n, 0) AS BIGINT) AS "sold_2h",
    CAST(coalesce("sales 2h"._s0, 0) AS BIGINT) AS "pieces_2h",
    "sales 2h extremes"."price_max" AS "price_max_2h",
    CASE WHEN s._t - struct_extract(greatest("sales latest"._best, "sales moved"._best), 'event') <= $sales_ttl_us THEN struct_extract(greatest("sales latest"._best, "sales moved"._best), 'v1') END AS "last_price",
    CAST($feature_set AS VARCHAR) AS _feature_set
FROM _spine AS s
ASOF LEFT JOIN "sales 90s" ON s._k0 = "sales 90s"._k0 AND s._t >= "sales 90s"._at
LEFT JOIN "sales 90s extremes" ON s._k0 = "sales 90s extremes"._k0 AND s._t = "sales 90s extremes"._t
ASOF LEFT JOIN "sales 2h" ON s._k0 = "sales 2h"._k0 AND s._t >= "sales 2h"._at
LEFT JOIN "sales 2h extremes" ON s._k0 = "sales 2h extremes"._k0 AND s._t = "sales 2h extremes"._t
ASOF LEFT JOIN "sales latest" ON s._k0 = "sales latest"._k0 AND s._t >= "sales latest"._at
LEFT JOIN "sales moved" ON s._k0 = "sales moved"._k0 AND s._t = "sales moved"._t

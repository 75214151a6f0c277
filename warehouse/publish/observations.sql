/* observations(): series of the table of observations, as Data Commons' analysts ask for them.

of_variable, of_entity: dcids, every one where left out. from_date, to_date: in ISO 8601 of any precision, both ends
included; to_date '2020' takes all of 2020. as_of: only what was known by then; of facts of one date the one known
last counts. by_provenance: of this provenance, or of the source of this name where it states none.

Of the series that tell of one variable and entity (they differ in provenance, method, period, unit or scaling factor)
the best is given, whole: the one with the latest date, of these the one with most dates, of these the first by name.
every_series := true gives all, and every fact of the last moment, also where two of one date differ. */
CREATE OR REPLACE MACRO observations(
    of_variable := NULL,
    of_entity := NULL,
    from_date := NULL,
    to_date := NULL,
    as_of := NULL,
    by_provenance := NULL,
    every_series := false
) AS TABLE
WITH facts AS (
    SELECT * FROM repository.observations
    UNION ALL BY NAME
    SELECT
        NULL::VARCHAR AS unit,
        NULL::VARCHAR AS measurement_method,
        NULL::VARCHAR AS observation_period,
        NULL::VARCHAR AS scaling_factor,
        NULL::VARCHAR AS provenance,
        NULL::VARCHAR AS value_text,
        NULL::VARCHAR AS properties
    WHERE false
),

known AS (
    SELECT
        facts.* REPLACE (CAST(facts.date AS VARCHAR) AS date),
        [
            coalesce(facts.provenance, facts._source),
            coalesce(facts.measurement_method, ''),
            coalesce(facts.observation_period, ''),
            coalesce(facts.unit, ''),
            coalesce(facts.scaling_factor, '')
        ] AS series
    FROM facts
    WHERE
        (of_variable IS NULL OR facts.variable = of_variable)
        AND (of_entity IS NULL OR facts.entity = of_entity)
        AND (by_provenance IS NULL OR coalesce(facts.provenance, facts._source) = by_provenance)
        AND (as_of IS NULL OR facts._known_at <= CAST(as_of AS TIMESTAMPTZ))
    QUALIFY CASE
        WHEN every_series
            THEN rank() OVER (PARTITION BY facts.variable, facts.entity, facts.date, series ORDER BY facts._known_at DESC)
        ELSE row_number() OVER (
            PARTITION BY facts.variable, facts.entity, facts.date, series
            ORDER BY facts._known_at DESC, facts._object_sha256, facts._record
        )
    END = 1
),

measured AS (
    SELECT
        *,
        max(date) OVER one_series AS last_date,
        count(*) OVER one_series AS dates
    FROM known
    WINDOW one_series AS (PARTITION BY variable, entity, series)
),

ranked AS (
    SELECT
        *,
        dense_rank() OVER (PARTITION BY variable, entity ORDER BY last_date DESC, dates DESC, series) AS place
    FROM measured
)

SELECT
    variable,
    entity,
    date,
    value,
    unit,
    measurement_method,
    observation_period,
    scaling_factor,
    provenance,
    _source AS source,
    _known_at AS known_at,
    value_text,
    properties
FROM ranked
WHERE
    (every_series OR place = 1)
    AND (from_date IS NULL OR date >= from_date)
    AND (to_date IS NULL OR left(date, length(to_date)) <= to_date)
ORDER BY variable, entity, date, series, value, value_text, known_at;

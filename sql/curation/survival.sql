/* model
description: >-
  What survives of each source by rule set, and whether its newest documents fall more or less often than those it brought
  before: two proportions compared by z, with the bound p <= exp(-z^2 / 2) on both tails. New is what became known within a
  day of the source's newest document. Drifted where p times the number of comparisons made is below a level and the share
  moved by more than a step, so that resampled batches of one source do not alarm. Of the tables alone, no stored state
kind: table
grain: [rule_set, source]
owner: team:data-platform
columns:
  documents: current documents
  kept: of them
  share: kept of all
  new_documents: of them, those that became known within a day of the newest
  new_share: kept of those
  earlier_documents: all others
  earlier_share: kept of those
  p: >-
    at most the chance of a difference as large if nothing changed; null where either part has too few documents. Variable
    and default: survival_min_documents 30
  drifted: >-
    whether the share of kept moved. Variables and defaults: survival_max_p 0.01, survival_min_move 0.05
*/
WITH counted AS (
    SELECT
        decisions.rule_set,
        decisions.source,
        count(*) AS documents,
        count(*) FILTER (WHERE decisions.kept) AS kept,
        count(*) FILTER (WHERE current.known_at > newest.known_at - INTERVAL 1 DAY) AS new_documents,
        count(*) FILTER (WHERE decisions.kept AND current.known_at > newest.known_at - INTERVAL 1 DAY) AS new_kept
    FROM curation.decisions
    JOIN staging.current_documents AS current ON decisions.doc_id = current.doc_id
    JOIN (SELECT source, max(known_at) AS known_at FROM staging.current_documents GROUP BY source) AS newest
        ON decisions.source = newest.source
    GROUP BY decisions.rule_set, decisions.source
),
shares AS (
    SELECT
        *,
        documents - new_documents AS earlier_documents,
        kept / documents AS share,
        new_kept / nullif(new_documents, 0) AS new_share,
        (kept - new_kept) / nullif(documents - new_documents, 0) AS earlier_share
    FROM counted
),
compared AS (
    SELECT
        *,
        CASE
            WHEN least(new_documents, earlier_documents)
                >= CAST(coalesce(getvariable('survival_min_documents'), 30) AS DOUBLE)
            THEN exp(-power(new_share - earlier_share, 2)
                / nullif(2 * share * (1 - share) * (1 / new_documents + 1 / earlier_documents), 0))
        END AS p
    FROM shares
)
SELECT
    rule_set,
    source,
    documents,
    kept,
    share,
    new_documents,
    new_share,
    earlier_documents,
    earlier_share,
    p,
    coalesce(
        p * count(p) OVER () < CAST(coalesce(getvariable('survival_max_p'), 0.01) AS DOUBLE)
        AND abs(new_share - earlier_share) > CAST(coalesce(getvariable('survival_min_move'), 0.05) AS DOUBLE),
        false) AS drifted
FROM compared

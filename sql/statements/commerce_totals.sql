-- What the orders of a shop come to in both systems: one row for each currency, with the orders that do not agree. One
-- that only one system has does not agree, unless it was cancelled there; a reference that is twice in a system counts
-- twice.
--   :left_scope, :right_scope  scopes of the shop's orders in which either system is the target
--   :cent                      what the sums of one line may differ by
--   :most                      orders that are named in a row
-- Reads the right side of both scopes once, along the primary key of sync.record.
WITH shop AS (
    SELECT natural_key, sum(CAST(content->'total'->>'amount' AS numeric)) AS amount,
           max(CAST(content->'total'->>'lines' AS integer)) AS lines, min(content->>'currency') AS currency,
           bool_and(content->>'status' = 'cancelled') AS cancelled, min(coalesce(invalid, withheld)) AS reason
      FROM sync.record WHERE scope_id = :left_scope AND side = 'right' AND content ? 'total' GROUP BY natural_key
), erp AS (
    SELECT natural_key, sum(CAST(content->'total'->>'amount' AS numeric)) AS amount, count(*) AS times,
           min(content->>'currency') AS currency, bool_and(content->>'status' = 'cancelled') AS cancelled
      FROM sync.record WHERE scope_id = :right_scope AND side = 'right' AND content ? 'total' GROUP BY natural_key
), both_sides AS (
    SELECT natural_key, coalesce(s.currency, e.currency, '') AS currency, s.amount AS shop, e.amount AS erp, e.times,
           s.reason, s.amount IS NULL OR e.amount IS NULL
           OR abs(s.amount - e.amount) > CAST(:cent AS numeric) * greatest(s.lines, 1) AS off
      FROM shop s FULL JOIN erp e USING (natural_key)
     WHERE NOT (s.natural_key IS NULL AND e.cancelled) AND NOT (e.natural_key IS NULL AND s.cancelled)
)
SELECT currency, count(*) AS orders, coalesce(sum(shop), 0) AS shop, coalesce(sum(erp), 0) AS erp,
       count(*) FILTER (WHERE off) AS off,
       (array_agg(jsonb_build_array(natural_key, CAST(shop AS text), CAST(erp AS text), times, reason)
                  ORDER BY natural_key) FILTER (WHERE off))[1 : CAST(:most AS integer)] AS shown
  FROM both_sides GROUP BY currency ORDER BY currency

-- The stock of a shop that both systems tell of: one row with how many SKUs that is, and those that do not agree. A SKU
-- that a system has twice is not compared: it is a conflict of the products.
--   :left_scope, :right_scope  scopes of the shop's inventory in which either system is the target
--   :most                      SKUs that are named
-- Reads the right side of both scopes once, along the primary key of sync.record.
WITH shop AS (
    SELECT natural_key, min(CAST(content->>'quantity' AS numeric)) AS quantity FROM sync.record
     WHERE scope_id = :left_scope AND side = 'right' AND content ? 'quantity' AND invalid IS NULL
     GROUP BY natural_key HAVING count(*) = 1
), erp AS (
    SELECT natural_key, min(CAST(content->>'quantity' AS numeric)) AS quantity FROM sync.record
     WHERE scope_id = :right_scope AND side = 'right' AND content ? 'quantity' AND invalid IS NULL
     GROUP BY natural_key HAVING count(*) = 1
)
SELECT count(*) AS compared, count(*) FILTER (WHERE s.quantity <> e.quantity) AS off,
       (array_agg(jsonb_build_array(natural_key, CAST(s.quantity AS text), CAST(e.quantity AS text))
                  ORDER BY natural_key) FILTER (WHERE s.quantity <> e.quantity))[1 : CAST(:most AS integer)] AS shown
  FROM shop s JOIN erp e USING (natural_key)

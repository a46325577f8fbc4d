-- The three trees of one scope, joined; returns only the records about which something has to be decided, in the
-- order of their key. A record whose two fingerprints both equal the base never leaves PostgreSQL.
--   :scope_id   the scope
--   :keys       natural keys to look at, NULL = all
--   :force      also return linked records whose two sides differ although neither moved
-- Indexes: primary keys of sync.record and sync.base (both carry the fingerprints), record_natural_key.
WITH l AS MATERIALIZED (
    SELECT key, natural_key, fingerprint FROM sync.record
     WHERE scope_id = :scope_id AND side = 'left'
       AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[])))
), r AS MATERIALIZED (
    SELECT key, natural_key, fingerprint FROM sync.record
     WHERE scope_id = :scope_id AND side = 'right'
       AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[]))
            -- A linked target record whose own natural key was edited is still the linked one.
            OR key IN (SELECT right_key FROM sync.base
                        WHERE scope_id = :scope_id AND natural_key = ANY (CAST(:keys AS text[]))))
), b AS MATERIALIZED (
    SELECT left_key, right_key, natural_key, left_fingerprint, right_fingerprint, retired_at FROM sync.base
     WHERE scope_id = :scope_id
       AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[])))
), linked AS (
    SELECT b.left_key AS key, b.natural_key, l.key AS left_key, r.key AS right_key, b.right_key AS linked_key,
           true AS has_base, 1::bigint AS lefts, 1::bigint AS rights
      FROM b
      LEFT JOIN l ON l.key = b.left_key
      LEFT JOIN r ON r.key = b.right_key
     WHERE CASE
             WHEN l.key IS NULL AND r.key IS NULL THEN true
             WHEN l.key IS NULL THEN b.retired_at IS NULL
             WHEN r.key IS NULL THEN true
             ELSE l.fingerprint <> b.left_fingerprint OR r.fingerprint <> b.right_fingerprint
                  OR (:force AND l.fingerprint <> r.fingerprint)
           END
), loose_left AS (
    -- An empty natural key claims nothing: such records stand for themselves, and match nobody (NULL).
    SELECT nullif(natural_key, '') AS natural_key, min(key) AS key, count(*) AS n FROM l
     WHERE NOT EXISTS (SELECT FROM b WHERE b.left_key = l.key)
     GROUP BY natural_key, CASE natural_key WHEN '' THEN key END
), loose_right AS (
    SELECT nullif(natural_key, '') AS natural_key, min(key) AS key, count(*) AS n FROM r
     WHERE NOT EXISTS (SELECT FROM b WHERE b.right_key = r.key)
     GROUP BY natural_key, CASE natural_key WHEN '' THEN key END
), taken AS (
    SELECT natural_key, count(*) AS n FROM b GROUP BY natural_key
), loose AS (
    -- A loose record beside a linked one of the same natural key is a duplicate, on whichever side it is.
    SELECT coalesce(ll.key, lr.key) AS key, coalesce(natural_key, '') AS natural_key,
           ll.key AS left_key, lr.key AS right_key, NULL AS linked_key, false AS has_base,
           CASE WHEN ll.key IS NULL THEN 0 ELSE ll.n + coalesce(taken.n, 0) END AS lefts,
           CASE WHEN lr.key IS NULL THEN 0 ELSE lr.n + coalesce(taken.n, 0) END AS rights
      FROM loose_left ll
      FULL JOIN loose_right lr USING (natural_key)
      LEFT JOIN taken USING (natural_key)
), candidate AS (
    SELECT * FROM linked UNION ALL SELECT * FROM loose
)
SELECT c.key, c.natural_key, c.left_key, c.right_key, c.linked_key, c.has_base, c.lefts, c.rights,
       lf.content AS left_content, lf.withheld AS left_withheld, lf.invalid AS left_invalid,
       rf.content AS right_content, rf.withheld AS right_withheld, rf.invalid AS right_invalid,
       bf.left_content AS base_left, bf.right_content AS base_right,
       s.state, s.next_retry_at, s.failures,
       (SELECT max(e.quiet_until) FROM sync.effect e
         WHERE e.scope_id = :scope_id AND e.key = c.key AND e.state = 'in_doubt') AS quiet_until
  FROM candidate c
  LEFT JOIN sync.record lf ON lf.scope_id = :scope_id AND lf.side = 'left' AND lf.key = c.left_key
  LEFT JOIN sync.record rf ON rf.scope_id = :scope_id AND rf.side = 'right' AND rf.key = c.right_key
  LEFT JOIN sync.base bf ON c.has_base AND bf.scope_id = :scope_id AND bf.left_key = c.key
  LEFT JOIN sync.record_state s ON s.scope_id = :scope_id AND s.key = c.key
 ORDER BY c.key COLLATE "C", c.has_base DESC

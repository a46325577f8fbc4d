-- The three trees of one scope, joined; returns only the records about which something has to be decided, in the
-- order of their key. A record whose two fingerprints both equal the base never leaves PostgreSQL.
--   :scope_id   the scope
--   :everything compare every record; otherwise only those that sync.unequal names
--   :keys       natural keys to look at, NULL = all
--   :force      also return linked records whose two sides differ although neither moved
--   :untracked  also return retired records whose source is still gone, and give what is on the right only the key by
--               which it is known when it is retired: its natural key
--   :renames    also say of linked records that are gone on the left whether their natural key is claimed there
-- Each side is merged with the base along an index that carries the fingerprints: primary keys of sync.record and
-- sync.base, base_right_key (ORDER BY ... OFFSET 0: for a full join the planner would sort them again). What then
-- stands out is looked up one by one (LATERAL ... OFFSET 0 keeps it so): the planner cannot know that it is little, and
-- would read every content.
WITH on_left AS MATERIALIZED (
    SELECT l.key, b.left_key AS linked
      FROM (SELECT key, fingerprint FROM sync.record
             WHERE :everything AND scope_id = :scope_id AND side = 'left'
               AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[])))
             ORDER BY key OFFSET 0) l
      FULL JOIN (SELECT left_key, left_fingerprint FROM sync.base
                  WHERE :everything AND scope_id = :scope_id
                    AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[])))
                  ORDER BY left_key OFFSET 0) b
        ON b.left_key = l.key
     WHERE l.key IS NULL OR b.left_key IS NULL OR l.fingerprint <> b.left_fingerprint
     UNION ALL
    SELECT u.key, b.left_key
      FROM sync.unequal u
      LEFT JOIN LATERAL (
           SELECT left_key FROM sync.base WHERE scope_id = :scope_id AND left_key = u.key OFFSET 0) b ON true
     WHERE NOT :everything AND u.scope_id = :scope_id AND u.side = 'left'
), on_right AS MATERIALIZED (
    SELECT r.key, b.left_key AS linked
      FROM (SELECT key, fingerprint FROM sync.record
             WHERE :everything AND scope_id = :scope_id AND side = 'right'
               AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[]))
                    -- A linked target record whose own natural key was edited is still the linked one.
                    OR key IN (SELECT right_key FROM sync.base
                                WHERE scope_id = :scope_id AND natural_key = ANY (CAST(:keys AS text[]))))
             ORDER BY key OFFSET 0) r
      FULL JOIN (SELECT right_key, left_key, right_fingerprint FROM sync.base
                  WHERE :everything AND scope_id = :scope_id
                    AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[])))
                  ORDER BY right_key OFFSET 0) b
        ON b.right_key = r.key
     WHERE r.key IS NULL OR b.right_key IS NULL OR r.fingerprint <> b.right_fingerprint
     UNION ALL
    SELECT u.key, b.left_key
      FROM sync.unequal u
      LEFT JOIN LATERAL (
           SELECT left_key FROM sync.base WHERE scope_id = :scope_id AND right_key = u.key OFFSET 0) b ON true
     WHERE NOT :everything AND u.scope_id = :scope_id AND u.side = 'right'
), suspect AS (
    SELECT linked FROM on_left WHERE linked IS NOT NULL
    UNION
    SELECT linked FROM on_right WHERE linked IS NOT NULL
    UNION
    SELECT left_key FROM sync.base
     WHERE :force AND scope_id = :scope_id
       AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[])))
), linked AS (
    SELECT b.left_key AS key, b.natural_key, l.key AS left_key, r.key AS right_key, b.right_key AS linked_key,
           true AS has_base, b.retired_at IS NOT NULL AS retired, 1::bigint AS lefts, 1::bigint AS rights
      FROM suspect
     CROSS JOIN LATERAL (
           SELECT left_key, right_key, natural_key, left_fingerprint, right_fingerprint, retired_at FROM sync.base
            WHERE scope_id = :scope_id AND left_key = suspect.linked
              AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[]))) OFFSET 0) b
      LEFT JOIN LATERAL (
           SELECT key, fingerprint FROM sync.record
            WHERE scope_id = :scope_id AND side = 'left' AND key = b.left_key
              AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[]))) OFFSET 0) l ON true
      LEFT JOIN LATERAL (
           SELECT key, fingerprint FROM sync.record
            WHERE scope_id = :scope_id AND side = 'right' AND key = b.right_key OFFSET 0) r ON true
     WHERE CASE
             WHEN l.key IS NULL AND r.key IS NULL THEN true
             WHEN l.key IS NULL THEN :untracked OR b.retired_at IS NULL
             WHEN r.key IS NULL THEN true
             ELSE l.fingerprint <> b.left_fingerprint OR r.fingerprint <> b.right_fingerprint
                  OR (:force AND l.fingerprint <> r.fingerprint)
           END
), loose_left AS (
    -- An empty natural key claims nothing: such records stand for themselves, and match nobody (NULL). Among chosen keys,
    -- one that is linked under another natural key is not loose: the next comparison of everything decides about it.
    SELECT nullif(l.natural_key, '') AS natural_key, min(l.key) AS key, count(*) AS n
      FROM on_left
     CROSS JOIN LATERAL (SELECT key, natural_key FROM sync.record
                          WHERE scope_id = :scope_id AND side = 'left' AND key = on_left.key
                            AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[])) AND NOT EXISTS (
                                SELECT FROM sync.base WHERE scope_id = :scope_id AND left_key = on_left.key))
                         OFFSET 0) l
     WHERE on_left.linked IS NULL
     GROUP BY l.natural_key, CASE l.natural_key WHEN '' THEN l.key END
), loose_right AS (
    SELECT nullif(r.natural_key, '') AS natural_key, min(r.key) AS key, count(*) AS n
      FROM on_right
     CROSS JOIN LATERAL (SELECT key, natural_key FROM sync.record
                          WHERE scope_id = :scope_id AND side = 'right' AND key = on_right.key
                            AND (CAST(:keys AS text[]) IS NULL OR natural_key = ANY (CAST(:keys AS text[])) AND NOT EXISTS (
                                SELECT FROM sync.base WHERE scope_id = :scope_id AND right_key = on_right.key))
                         OFFSET 0) r
     WHERE on_right.linked IS NULL
     GROUP BY r.natural_key, CASE r.natural_key WHEN '' THEN r.key END
), loose AS (
    -- A loose record beside a linked one of the same natural key is a duplicate, on whichever side it is.
    SELECT coalesce(ll.key, CASE WHEN :untracked THEN natural_key END, lr.key) AS key,
           coalesce(natural_key, '') AS natural_key,
           ll.key AS left_key, lr.key AS right_key, NULL AS linked_key, false AS has_base, false AS retired,
           CASE WHEN ll.key IS NULL THEN 0 ELSE ll.n + taken.n END AS lefts,
           CASE WHEN lr.key IS NULL THEN 0 ELSE lr.n + taken.n END AS rights
      FROM loose_left ll
      FULL JOIN loose_right lr USING (natural_key)
     CROSS JOIN LATERAL (SELECT count(*) AS n FROM sync.base b
                          WHERE b.scope_id = :scope_id AND b.natural_key = coalesce(ll.natural_key, lr.natural_key)
                         ) taken
), candidate AS (
    SELECT * FROM linked UNION ALL SELECT * FROM loose
)
SELECT c.key, c.natural_key, c.left_key, c.right_key, c.linked_key, c.has_base, c.retired, c.lefts, c.rights,
       lf.content AS left_content, lf.withheld AS left_withheld, lf.invalid AS left_invalid,
       rf.content AS right_content, rf.withheld AS right_withheld, rf.invalid AS right_invalid,
       bf.left_content AS base_left, bf.right_content AS base_right,
       s.state, s.next_retry_at, s.failures,
       (SELECT max(e.quiet_until) FROM sync.effect e
         WHERE e.scope_id = :scope_id AND e.key = c.key AND e.state = 'in_doubt'
           AND e.action = 'create' AND e.right_key IS NULL) AS quiet_until,
       -- A record that is linked with another one but claims this natural key stands in the way of a create.
       CASE WHEN c.left_key IS NOT NULL AND c.right_key IS NULL AND c.natural_key <> '' THEN (
           SELECT min(r.key) FROM sync.record r JOIN sync.base b ON b.scope_id = r.scope_id AND b.right_key = r.key
            WHERE r.scope_id = :scope_id AND r.side = 'right' AND r.natural_key = c.natural_key AND b.left_key <> c.key
       ) END AS claimed_by,
       -- A natural key that is another record's key on the left cannot stand for what is on the right only.
       CASE WHEN :untracked AND c.left_key IS NULL AND NOT c.has_base THEN
           EXISTS (SELECT FROM sync.record l WHERE l.scope_id = :scope_id AND l.side = 'left' AND l.key = c.natural_key)
           OR EXISTS (SELECT FROM sync.base b WHERE b.scope_id = :scope_id AND b.left_key = c.natural_key)
           ELSE false
       END AS key_taken,
       CASE WHEN :renames AND c.left_key IS NULL AND c.has_base AND c.natural_key <> '' THEN
           EXISTS (SELECT FROM sync.record l
                    WHERE l.scope_id = :scope_id AND l.side = 'left' AND l.natural_key = c.natural_key)
           ELSE false
       END AS renamed
  FROM (SELECT * FROM candidate ORDER BY key, has_base DESC OFFSET 0) c
  LEFT JOIN LATERAL (SELECT content, withheld, invalid FROM sync.record
                      WHERE scope_id = :scope_id AND side = 'left' AND key = c.left_key OFFSET 0) lf ON true
  LEFT JOIN LATERAL (SELECT content, withheld, invalid FROM sync.record
                      WHERE scope_id = :scope_id AND side = 'right' AND key = c.right_key OFFSET 0) rf ON true
  LEFT JOIN LATERAL (SELECT left_content, right_content FROM sync.base
                      WHERE c.has_base AND scope_id = :scope_id AND left_key = c.key OFFSET 0) bf ON true
  LEFT JOIN LATERAL (SELECT state, next_retry_at, failures FROM sync.record_state
                      WHERE scope_id = :scope_id AND key = c.key OFFSET 0) s ON true
 ORDER BY c.key, c.has_base DESC

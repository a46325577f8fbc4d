-- Takes out what was written to and equals the base again, or is gone on both sides.
--   :scope_id   the scope
DELETE FROM sync.unequal u
 WHERE u.scope_id = :scope_id
   AND CASE u.side
         WHEN 'left' THEN
              (SELECT fingerprint FROM sync.record
                WHERE scope_id = :scope_id AND side = 'left' AND key = u.key)
              IS NOT DISTINCT FROM
              (SELECT left_fingerprint FROM sync.base WHERE scope_id = :scope_id AND left_key = u.key)
         ELSE (SELECT fingerprint FROM sync.record
                WHERE scope_id = :scope_id AND side = 'right' AND key = u.key)
              IS NOT DISTINCT FROM
              (SELECT right_fingerprint FROM sync.base WHERE scope_id = :scope_id AND right_key = u.key)
       END

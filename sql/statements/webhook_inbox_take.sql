-- Takes the oldest unhandled deliveries of a shop for a run. Returns them with what they name, by id.
--   :connection  name of the shop
--   :run         id of the run
--   :most        deliveries that are taken
-- Index: sync_webhook_inbox_unhandled.
WITH oldest AS (
    SELECT id FROM sync.sync_webhook_inbox WHERE handled_at IS NULL AND connection = :connection
     ORDER BY id LIMIT :most FOR UPDATE
), taken AS (
    UPDATE sync.sync_webhook_inbox i SET attempts = attempts + 1, taken_at = clock_timestamp(), taken_by = :run
      FROM oldest WHERE i.id = oldest.id RETURNING i.id, i.names
)
SELECT id, names FROM taken ORDER BY id

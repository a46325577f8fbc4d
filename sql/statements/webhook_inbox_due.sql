-- The shops with deliveries that a run should take now, with their number: those never taken, and those whose last run
-- did not get to the end, after a pause that doubles with every attempt.
--   :connections  names of the shops
--   :pause        seconds of the first pause
--   :longest      seconds of the longest pause
-- Index: sync_webhook_inbox_unhandled.
SELECT connection, count(*) AS deliveries FROM sync.sync_webhook_inbox
 WHERE handled_at IS NULL AND connection = ANY (CAST(:connections AS text[]))
   AND (taken_at IS NULL
        OR taken_at + make_interval(secs => least(CAST(:pause AS float8) * 2 ^ least(attempts - 1, 20), :longest))
           <= clock_timestamp())
 GROUP BY connection ORDER BY connection

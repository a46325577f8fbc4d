-- Takes one token of a peer's bucket, in one round trip. Returns one row: seconds to wait before the request may be
-- sent, seconds for which the breaker stays open (then no token is taken), and failures in a row; no row when the peer
-- is not known yet. The bucket may go below zero: a negative level is a queue, and its length is the wait; so the rate
-- is kept exactly, whatever number of runs share it. While the peer asked for a pause nothing flows in, so that the
-- queue leaves at the rate afterwards and not all at once.
WITH level AS (
    SELECT p.name, greatest(clock_timestamp(), p.blocked_until) AS at, p.failures,
           CASE WHEN p.failures >= :threshold AND p.opened_at IS NOT NULL
                THEN greatest(0, extract(epoch FROM greatest(
                         p.opened_at + make_interval(secs => :open_seconds), p.probing_until) - clock_timestamp()))
                ELSE 0 END AS closed_for,
           p.failures >= :threshold AS probing,
           least(CAST(:burst AS double precision),
                 p.tokens + greatest(0, extract(epoch FROM greatest(clock_timestamp(), p.blocked_until) - p.refilled_at))
                            * CAST(:rate AS double precision)) AS tokens
      FROM sync.peer p WHERE p.name = :peer FOR UPDATE
), taken AS (
    -- Without a rate "tokens" is the burst: least() passes NULL over. Then nothing is taken.
    UPDATE sync.peer p
       SET tokens = l.tokens - CASE WHEN CAST(:rate AS double precision) IS NULL THEN 0 ELSE 1 END, refilled_at = l.at,
           probing_until = CASE WHEN l.probing THEN l.at + make_interval(secs => :open_seconds) ELSE p.probing_until END
      FROM level l
     WHERE p.name = l.name AND l.closed_for <= 0
    RETURNING p.name, p.tokens AS left_over
)
SELECT greatest(0, extract(epoch FROM level.at - clock_timestamp()))
       + coalesce(greatest(0, -taken.left_over) / CAST(:rate AS double precision), 0) AS wait,
       level.closed_for, level.failures
  FROM level LEFT JOIN taken ON taken.name = level.name

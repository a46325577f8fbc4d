-- Takes one token of a peer's bucket, in one round trip. Returns one row: seconds to wait before the request may be
-- sent, seconds for which the breaker stays open, failures in a row, and whether a token was taken; no row when the
-- peer is not known yet. None is taken while the breaker is open, nor when the wait would be longer than :longest_wait:
-- the request is given up then, and a token that nobody uses would only keep the others waiting.
-- The bucket may go below zero: a negative level is a queue, and its length is the wait; so the rate is kept exactly,
-- whatever number of runs share it. While the peer asked for a pause nothing flows in, so that the queue leaves at the
-- rate afterwards and not all at once.
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
), turn AS (
    -- Reckoned once: the clock goes on, and who is told a wait must be the one who took a token.
    SELECT level.*, greatest(0, extract(epoch FROM level.at - clock_timestamp()))
                    + coalesce(greatest(0, 1 - level.tokens) / CAST(:rate AS double precision), 0) AS wait
      FROM level
), taken AS (
    -- Without a rate "tokens" is the burst: least() passes NULL over. Then nothing is taken.
    UPDATE sync.peer p
       SET tokens = t.tokens - CASE WHEN CAST(:rate AS double precision) IS NULL THEN 0 ELSE 1 END, refilled_at = t.at,
           probing_until = CASE WHEN t.probing THEN t.at + make_interval(secs => :open_seconds) ELSE p.probing_until END
      FROM turn t
     WHERE p.name = t.name AND t.closed_for <= 0 AND t.wait <= CAST(:longest_wait AS double precision)
    RETURNING p.name
)
SELECT turn.wait, turn.closed_for, turn.failures, taken.name IS NOT NULL AS admitted
  FROM turn LEFT JOIN taken ON taken.name = turn.name

-- Cycles: pulls of all marketplaces, or of some connections, whoever asked for them. A request leaves a row here and is
-- answered; the run is started in Dagster afterwards, and followed to its end.

CREATE TABLE sync.sync_cycle (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cycle_id      text NOT NULL UNIQUE DEFAULT 'cycle-' || gen_random_uuid(),
    source        text NOT NULL CHECK (source IN ('scheduler', 'interval', 'request', 'dagster')),
    job_name      text NOT NULL DEFAULT '',
    schedule_time timestamptz,
    connections   text[] NOT NULL DEFAULT '{}',
    requested_by  text NOT NULL,
    status        text NOT NULL CHECK (status IN
                      ('accepted', 'launched', 'succeeded', 'failed', 'canceled', 'refused')),
    run_id        text UNIQUE,
    reason        text,
    attempts      integer NOT NULL DEFAULT 0,
    next_attempt  timestamptz,
    requested_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at    timestamptz,
    ended_at      timestamptz,
    CHECK ((status IN ('launched', 'succeeded', 'canceled')) <= (run_id IS NOT NULL))
);
-- One cycle for each time of a schedule, for ever. Calls without a time are never repetitions.
CREATE UNIQUE INDEX sync_cycle_once ON sync.sync_cycle (source, job_name, schedule_time);
-- The lock against overlap.
CREATE UNIQUE INDEX sync_cycle_one_at_a_time ON sync.sync_cycle ((true))
    WHERE status IN ('accepted', 'launched') AND source <> 'dagster';
CREATE INDEX sync_cycle_active ON sync.sync_cycle (id) WHERE status IN ('accepted', 'launched');
CREATE INDEX sync_cycle_ended ON sync.sync_cycle (ended_at) WHERE status = 'succeeded';
COMMENT ON COLUMN sync.sync_cycle.source IS 'scheduler: Cloud Scheduler. interval: the service''s own. request: a person or program. dagster: started there.';
COMMENT ON COLUMN sync.sync_cycle.job_name IS 'The scheduler''s job; with schedule_time what tells a repeated call.';
COMMENT ON COLUMN sync.sync_cycle.connections IS 'The only ones to be pulled; empty: all.';
COMMENT ON COLUMN sync.sync_cycle.status IS 'accepted: its run is not started yet. launched: it has a run that is not over. refused: another cycle was under way.';
COMMENT ON COLUMN sync.sync_cycle.run_id IS 'Of the Dagster run.';

CREATE TABLE sync.sync_interval (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    is_on      boolean NOT NULL,
    minutes    integer NOT NULL CHECK (minutes BETWEEN 1 AND 1440),
    on_since   timestamptz NOT NULL,
    changed_by text NOT NULL
);
COMMENT ON TABLE sync.sync_interval IS 'Whether and how often the service starts cycles by itself, where neither Cloud Scheduler nor Dagster''s schedule does.';
INSERT INTO sync.sync_interval (is_on, minutes, on_since, changed_by) VALUES (false, 15, now(), 'installation');

CREATE INDEX marketplace_cycle_of_run ON sync.marketplace_cycle (run_id);

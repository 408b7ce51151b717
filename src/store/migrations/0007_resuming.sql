-- What a run needs for going on where it was let go or broke off, and what it waits for.

-- `within`: what whoever started it may do at most, a JSON list of manifests. `mode`: how it is done, where that is not the usual way.
-- `parent`: the run that started it. `loose`: it had an effect outside steps. `crashes`: how often in a row its runner died.
ALTER TABLE runs ADD COLUMN within TEXT;
ALTER TABLE runs ADD COLUMN mode TEXT;
ALTER TABLE runs ADD COLUMN parent TEXT;
ALTER TABLE runs ADD COLUMN retry_of TEXT;
ALTER TABLE runs ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN loose INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_by_parent ON runs (parent, key) WHERE parent IS NOT NULL;

-- `again`: it may run again where it broke off. `note`: what it needs for going on. `would`: what it would have done.
ALTER TABLE steps ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
ALTER TABLE steps ADD COLUMN note TEXT;
ALTER TABLE steps ADD COLUMN would TEXT;

-- `loose`: written outside steps.
ALTER TABLE logs ADD COLUMN loose INTEGER NOT NULL DEFAULT 0;

-- `place` names the wait within its run. `hold`: the run could not be let go. `due`: when it is over by itself. `until`: when the
-- step in which it stands is out of time. The events are the numbers of
-- those that say it began and ended.
CREATE TABLE waits (
    id           TEXT PRIMARY KEY,
    run          INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    place        TEXT NOT NULL,
    step_id      TEXT,
    kind         TEXT NOT NULL,
    request      TEXT NOT NULL,
    hold         INTEGER NOT NULL,
    due          INTEGER,
    until        INTEGER,
    created_at   INTEGER NOT NULL,
    start_event  INTEGER NOT NULL,
    answer       TEXT,
    failure      TEXT,
    answered_at  INTEGER,
    finish_event INTEGER,
    UNIQUE (run, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX waits_open ON waits (kind, created_at) WHERE answered_at IS NULL;

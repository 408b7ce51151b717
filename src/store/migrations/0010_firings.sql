-- Triggers: which are switched off, when each last started a run, and how far a schedule has come. Those with nothing to say have no
-- row. Times are microseconds since 1970, UTC.

CREATE TABLE triggers (
    id         TEXT PRIMARY KEY,
    enabled    INTEGER NOT NULL DEFAULT 1,
    last_fired INTEGER,
    -- The schedule that the next two are about.
    spec       TEXT,
    -- From when intervals are counted.
    anchor     INTEGER,
    -- What was due up to then is settled, whether it started a run or not.
    through    INTEGER
) STRICT, WITHOUT ROWID;

INSERT INTO triggers (id, last_fired)
SELECT workflow_id || ':' || start_node, max(created_at) FROM runs
WHERE workflow_id IS NOT NULL AND start_node IS NOT NULL AND trigger LIKE 'webhook:%' GROUP BY workflow_id, start_node;
INSERT INTO triggers (id, enabled) SELECT workflow_id || ':' || node_id, 0 FROM disabled_triggers WHERE true
ON CONFLICT (id) DO UPDATE SET enabled = 0;
DROP TABLE disabled_triggers;

-- Triggers that are neither drawn nor declared, but made over the API.
CREATE TABLE made_triggers (
    id         TEXT PRIMARY KEY,
    body       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What fired a trigger. A row is written along with its run, or neither is: what is here does not fire again.
CREATE TABLE firings (
    id         INTEGER PRIMARY KEY,
    trigger_id TEXT NOT NULL,
    -- What happened: a file and its content, an instant, a request's own key.
    key        TEXT NOT NULL,
    kind       TEXT NOT NULL,
    run_id     TEXT NOT NULL,
    fired_at   INTEGER NOT NULL,
    -- For a file: where it lies, how its content was told last (which file, size, times of change), and in which folder that was.
    path       TEXT,
    stamp      TEXT,
    folder     TEXT,
    -- What is still to be done with it once the run is over.
    after      TEXT,
    UNIQUE (trigger_id, key)
) STRICT;

CREATE INDEX firings_by_age ON firings (kind, fired_at);
CREATE INDEX firings_to_follow_up ON firings (id) WHERE after IS NOT NULL;

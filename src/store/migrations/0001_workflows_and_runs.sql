-- Workflows as drawn, and the journal of runs. Times are microseconds since 1970, UTC. JSON is kept as text, as it came.

CREATE TABLE workflows (
    key         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    body        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

-- What runs were started with: a run keeps the code it began with, whatever is saved later.
CREATE TABLE programs (
    hash   TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    nodes  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- `key` grows with time, so that newest first is the order of the table itself.
CREATE TABLE runs (
    key          INTEGER PRIMARY KEY,
    run_id       TEXT NOT NULL UNIQUE,
    kind         TEXT NOT NULL,
    workflow_id  TEXT,
    script       TEXT,
    trigger      TEXT NOT NULL,
    status       TEXT NOT NULL,
    parameters   TEXT NOT NULL,
    input        TEXT NOT NULL,
    start_node   TEXT,
    program      TEXT NOT NULL,
    owner        TEXT NOT NULL,
    result       TEXT,
    error        TEXT,
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    finish_event INTEGER
) STRICT;

-- With the status at the end, a list of one workflow's failed runs is counted without reading the runs themselves.
CREATE INDEX runs_by_workflow ON runs (workflow_id, key, status) WHERE workflow_id IS NOT NULL;
CREATE INDEX runs_by_script ON runs (script, key, status) WHERE script IS NOT NULL;
CREATE INDEX runs_by_status ON runs (status, key);

-- One row for each attempt at a step. `input_of` names the step whose output it works on; `input` is the value itself.
CREATE TABLE steps (
    run          INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    seq          INTEGER NOT NULL,
    step_id      TEXT NOT NULL,
    node_id      TEXT,
    node_type    TEXT,
    attempt      INTEGER NOT NULL,
    status       TEXT NOT NULL,
    input_of     TEXT,
    input        TEXT,
    output       TEXT,
    handle       TEXT,
    error        TEXT,
    started_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    start_event  INTEGER,
    finish_event INTEGER,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE logs (
    run      INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    event_id INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    level    TEXT NOT NULL,
    message  TEXT NOT NULL,
    PRIMARY KEY (run, event_id)
) STRICT, WITHOUT ROWID;

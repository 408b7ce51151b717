-- What was recorded of a desktop: its picture as a film (`video`), which lies as a file beside the database, or what somebody did with
-- mouse and keyboard (`input`), step by step.

CREATE TABLE recordings (
    key         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,
    status      TEXT NOT NULL,
    -- Why it ended, where nobody ended it.
    reason      TEXT,
    -- The run that a film is of.
    run_id      TEXT,
    -- What only one of the kinds has, as JSON.
    body        TEXT NOT NULL,
    size_bytes  INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX recordings_by_run ON recordings (run_id) WHERE run_id IS NOT NULL;

-- What was done, in order; `hash` is that of the picture around its target.
CREATE TABLE recording_steps (
    recording INTEGER NOT NULL REFERENCES recordings (key) ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    body      TEXT NOT NULL,
    hash      TEXT,
    PRIMARY KEY (recording, number)
) STRICT, WITHOUT ROWID;

-- The pictures of each recording, among the files of the runs.
CREATE TABLE recording_files (
    recording INTEGER NOT NULL REFERENCES recordings (key) ON DELETE CASCADE,
    hash      TEXT NOT NULL,
    bytes     INTEGER NOT NULL,
    PRIMARY KEY (recording, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX recording_files_by_hash ON recording_files (hash);

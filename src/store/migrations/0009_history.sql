-- What makes a long history quick to search, and what of it lies as files beside the database.

-- Every filter of the list at once, in the list's own order: whatever is asked for, it is counted without reading the runs themselves.
CREATE INDEX runs_listed ON runs (key, status, kind, trigger, workflow_id, script);

-- The words of finished runs. They are put in afterwards, by and by: `runs_unread` holds the runs whose words are still to come.
CREATE VIRTUAL TABLE runs_text USING fts5 (
    text, content = '', contentless_delete = 1, detail = none, tokenize = 'unicode61 remove_diacritics 2 categories ''L* N* M* So Co'''
);
CREATE TABLE runs_unread (
    run INTEGER PRIMARY KEY
) STRICT;
INSERT INTO runs_unread SELECT key FROM runs WHERE finished_at IS NOT NULL;

-- The files of each run, by the SHA-256 of what is in them: values too large for a row (`value`) and pictures (`image`).
CREATE TABLE run_files (
    run   INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    hash  TEXT NOT NULL,
    kind  TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (run, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_files_by_hash ON run_files (hash);

-- The screen before (`before`) a step's first use of mouse or keyboard and after (`after`) its last. Without a hash there was no time
-- to keep the picture.
CREATE TABLE step_images (
    run     INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    step_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    moment  TEXT NOT NULL,
    hash    TEXT,
    PRIMARY KEY (run, step_id, attempt, moment)
) STRICT, WITHOUT ROWID;

-- Runs of a higher priority go first.
ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;

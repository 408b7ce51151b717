-- What holds a workflow or a script back that somebody else made. No row: nothing does.
--   imported  it came from elsewhere, and runs only as it was approved
--   ceiling   whoever drew it last may do no more than this (JSON text), so that it may not either; null: nothing holds it to anything
--   hash      the content that was approved, and permissions what it asked for (JSON text)

CREATE TABLE trust (
    kind TEXT NOT NULL CHECK (kind IN ('workflow', 'script')),
    thing TEXT NOT NULL,
    imported INTEGER NOT NULL DEFAULT 0,
    ceiling TEXT,
    hash TEXT,
    permissions TEXT,
    approved_by TEXT,
    approved_at INTEGER,
    PRIMARY KEY (kind, thing)
) STRICT, WITHOUT ROWID;

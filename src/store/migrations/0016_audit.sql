-- Who did what. Rows are added and never changed: each holds the hash of the one before it.

CREATE TABLE audit (
    -- Without gaps.
    seq INTEGER PRIMARY KEY,
    -- What was begun and what came of it have the same.
    id INTEGER NOT NULL,
    -- 1: what came of something that was begun.
    is_end INTEGER NOT NULL,
    -- Microseconds since 1970.
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT,
    -- JSON.
    details TEXT,
    result TEXT NOT NULL,
    -- SHA-256 of the row before, and of this one.
    previous BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;

CREATE INDEX audit_by_id ON audit (id);

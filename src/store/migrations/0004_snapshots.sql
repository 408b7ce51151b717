-- Pictures of the screen that were kept; the images lie as files beside the database. And named sets of zones and clicks for them.

CREATE TABLE snapshots (
    key        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    monitor    INTEGER NOT NULL,
    region     TEXT,
    width      INTEGER NOT NULL,
    height     INTEGER NOT NULL,
    quality    INTEGER NOT NULL,
    format     TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE snapshot_templates (
    key        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    body       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

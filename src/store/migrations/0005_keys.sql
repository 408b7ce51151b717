-- API keys: who may use the server from outside. The key itself is nowhere, only its SHA-256.
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    -- Separated by blanks.
    scopes TEXT NOT NULL,
    -- Microseconds since 1970.
    created_at INTEGER NOT NULL,
    last_used INTEGER
) STRICT;

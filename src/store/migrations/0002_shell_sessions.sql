-- Shell sessions and what ran in them. Times are texts as the room that ran it wrote them.

CREATE TABLE shell_sessions (
    key        INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    shell_type TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE shell_commands (
    id             INTEGER PRIMARY KEY,
    session        INTEGER NOT NULL REFERENCES shell_sessions (key) ON DELETE CASCADE,
    command        TEXT NOT NULL,
    timestamp      TEXT NOT NULL,
    exit_code      INTEGER NOT NULL,
    output         TEXT NOT NULL,
    truncated      INTEGER NOT NULL,
    execution_time REAL NOT NULL
) STRICT;

CREATE INDEX shell_commands_by_session ON shell_commands (session, id);

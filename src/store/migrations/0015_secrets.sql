-- Secrets, encrypted: whoever reads this file reads their names.

CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    -- age, binary.
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- Desktops beside the default one, as they were asked for (JSON text); and which desktop a snapshot shows: none is the default one.

CREATE TABLE targets (
    name TEXT PRIMARY KEY,
    spec TEXT NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE snapshots ADD COLUMN target TEXT;

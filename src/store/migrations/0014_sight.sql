-- Parts of the screen with names, as they were written down (JSON text); and whether what was expected of a step came (JSON text).

CREATE TABLE zones (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE steps ADD COLUMN expectation TEXT;

-- What workflows and scripts were, change by change: `thing` is a workflow's id or a script's path. They outlive what they are versions of.

CREATE TABLE versions (
    key           INTEGER PRIMARY KEY,
    kind          TEXT NOT NULL,
    thing         TEXT NOT NULL,
    number        INTEGER NOT NULL,
    hash          TEXT NOT NULL,
    content       TEXT NOT NULL,
    size          INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    made_by       TEXT NOT NULL,
    api_key       TEXT,
    restored_from INTEGER
) STRICT;

CREATE UNIQUE INDEX versions_by_thing ON versions (kind, thing, number);

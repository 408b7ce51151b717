-- Triggers drawn in a workflow that somebody switched off. Those that are on have no row.

CREATE TABLE disabled_triggers (
    workflow_id TEXT NOT NULL,
    node_id     TEXT NOT NULL,
    PRIMARY KEY (workflow_id, node_id)
) STRICT, WITHOUT ROWID;

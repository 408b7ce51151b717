-- Node configs that are stored by themselves; which workflow names which; and what workflows are found by.

CREATE TABLE node_configs (
    key        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    node_type  TEXT NOT NULL,
    config     TEXT NOT NULL,
    metadata   TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX node_configs_by_type ON node_configs (node_type, key);

-- A draft may name a config that is not there (any more), so `config_id` refers to nothing.
CREATE TABLE workflow_configs (
    workflow  INTEGER NOT NULL REFERENCES workflows (key) ON DELETE CASCADE,
    config_id TEXT NOT NULL,
    PRIMARY KEY (workflow, config_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX workflow_configs_by_config ON workflow_configs (config_id);

INSERT OR IGNORE INTO workflow_configs (workflow, config_id)
SELECT workflows.key, json_extract(node.value, '$.data.config_id')
FROM workflows, json_each(workflows.body, '$.nodes') AS node
WHERE json_type(node.value, '$.data.config_id') = 'text';

-- Name, description and id in lower case, of every alphabet: SQLite's own lower() knows only ASCII.
ALTER TABLE workflows ADD COLUMN search TEXT NOT NULL DEFAULT '';
UPDATE workflows SET search = lower(name || char(10) || description || char(10) || id);

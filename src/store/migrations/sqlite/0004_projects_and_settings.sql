-- Projects as their own resource, and what workspaces are set up with.

ALTER TABLE projects ADD COLUMN visibility INTEGER NOT NULL DEFAULT 1;
-- When it was deleted; its name is free from then on, and `name_folded` something that no name is.
ALTER TABLE projects ADD COLUMN deleted_at INTEGER;

-- Deleted projects whose contents are still to be removed. Of a project that is empty, the bare row stays.
CREATE TABLE project_purges (
    project INTEGER PRIMARY KEY REFERENCES projects
) STRICT;

CREATE TABLE environments (
    key             INTEGER PRIMARY KEY,
    workspace       INTEGER NOT NULL REFERENCES workspaces,
    id              BLOB    NOT NULL CHECK (length(id) = 16),
    name            TEXT    NOT NULL,
    description     TEXT,
    color           TEXT    NOT NULL,
    position        INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    created_by      TEXT    NOT NULL,
    last_updated_at INTEGER NOT NULL,
    last_updated_by TEXT    NOT NULL,
    UNIQUE (workspace, name),
    UNIQUE (workspace, id)
) STRICT;

CREATE TABLE feedback_definitions (
    key             INTEGER PRIMARY KEY,
    workspace       INTEGER NOT NULL REFERENCES workspaces,
    id              BLOB    NOT NULL CHECK (length(id) = 16),
    name            TEXT    NOT NULL,
    name_folded     TEXT    NOT NULL, -- as of projects
    description     TEXT,
    type            INTEGER NOT NULL,
    details         TEXT    NOT NULL, -- JSON object
    created_at      INTEGER NOT NULL,
    created_by      TEXT    NOT NULL,
    last_updated_at INTEGER NOT NULL,
    last_updated_by TEXT    NOT NULL,
    UNIQUE (workspace, name_folded),
    UNIQUE (workspace, id)
) STRICT;

CREATE TABLE workspace_configurations (
    workspace     INTEGER PRIMARY KEY REFERENCES workspaces,
    configuration TEXT    NOT NULL -- JSON object
) STRICT;

-- What clients expect in every installation.
INSERT INTO environments
    (workspace, id, name, color, position, created_at, created_by, last_updated_at, last_updated_by)
VALUES
    (1, x'0190babc62a071d2832a0feffa4676eb', 'development', '#945FCF', 0, 0, 'admin', 0, 'admin'),
    (1, x'0190babc62a071d2832a0feffa4676ec', 'staging', '#12A4B4', 1, 0, 'admin', 0, 'admin'),
    (1, x'0190babc62a071d2832a0feffa4676ed', 'production', '#19A979', 2, 0, 'admin', 0, 'admin');
INSERT INTO feedback_definitions
    (workspace, id, name, name_folded, type, details, created_at, created_by, last_updated_at, last_updated_by)
VALUES
    (1, x'0190babc62a071d2832a0feffa4676eb', 'User feedback', 'user feedback', 2,
     '{"categories":{"👍":1.0,"👎":0.0}}', 0, 'admin', 0, 'admin');

-- Before the first table, the file gets what cannot be changed later: 8 KiB pages and incremental auto-vacuum
-- (see sqlite.rs; SQLite sets both outside of transactions only).
--
-- Ids are 16 bytes, times are nanoseconds since 1970, vocabularies are small integers (0: not set). Workspaces and
-- projects are integers in keys and indexes.

CREATE TABLE workspaces (
    key  INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE projects (
    key             INTEGER PRIMARY KEY,
    workspace       INTEGER NOT NULL REFERENCES workspaces,
    id              BLOB    NOT NULL CHECK (length(id) = 16),
    name            TEXT    NOT NULL,
    name_folded     TEXT    NOT NULL, -- without regard to letter case: what makes a name unique
    description     TEXT,
    created_at      INTEGER NOT NULL,
    created_by      TEXT    NOT NULL,
    last_updated_at INTEGER NOT NULL,
    last_updated_by TEXT    NOT NULL,
    UNIQUE (workspace, name_folded),
    UNIQUE (workspace, id)
) STRICT;

-- What lists, filters and sorts need. The identity of a span is (workspace, id); its short key leads to its payloads.
CREATE TABLE spans (
    key             INTEGER PRIMARY KEY,
    workspace       INTEGER NOT NULL REFERENCES workspaces,
    id              BLOB    NOT NULL CHECK (length(id) = 16),
    project         INTEGER NOT NULL REFERENCES projects,
    trace_id        BLOB    NOT NULL CHECK (length(trace_id) = 16),
    parent_span_id  BLOB    CHECK (length(parent_span_id) = 16),
    name            TEXT,
    type            INTEGER NOT NULL DEFAULT 0,
    start_time      INTEGER NOT NULL, -- 0: updated, but not created yet
    end_time        INTEGER,
    model           TEXT,
    provider        TEXT,
    tags            TEXT, -- JSON array
    usage           TEXT, -- JSON object
    error_info      TEXT, -- JSON object
    cost            TEXT, -- exact decimal, as stated or estimated
    cost_value      REAL, -- the same, to filter, sort and sum by
    cost_version    TEXT, -- version of the estimate; null where a client stated the cost
    ttft            REAL, -- milliseconds
    source          INTEGER NOT NULL DEFAULT 0,
    environment     TEXT,
    payloads        INTEGER NOT NULL DEFAULT 0, -- which there are: 1 input, 2 output, 4 metadata
    created_at      INTEGER NOT NULL,
    created_by      TEXT    NOT NULL,
    last_updated_at INTEGER NOT NULL,
    last_updated_by TEXT    NOT NULL,
    -- How later writes are merged: stamp of the newest create (null: none came yet) and whether it had an end, a bit
    -- for each field that updates own, and for the rare row the fields that other creates own and pending tag edits.
    newest_stamp    INTEGER,
    newest_ended    INTEGER NOT NULL DEFAULT 0,
    updated         INTEGER NOT NULL DEFAULT 0,
    others          TEXT,
    tag_edits       TEXT,
    UNIQUE (workspace, id)
) STRICT;

-- The default order of a list (root spans, without parent, come last within a trace) and the spans of one trace.
CREATE INDEX spans_by_trace ON spans (project, trace_id, parent_span_id, id);

-- The order of a stream.
CREATE INDEX spans_by_id ON spans (project, id);

-- What an application traced, as it was sent; apart, so that a list without payloads never reads it.
CREATE TABLE span_payloads (
    span                  INTEGER PRIMARY KEY REFERENCES spans ON DELETE CASCADE,
    input                 TEXT,
    output                TEXT,
    metadata              TEXT,
    metadata_model        TEXT,   -- what the server noted of the metadata
    metadata_has_provider INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Counts that change in the transaction that changes the spans: a total costs nothing to read.
CREATE TABLE project_span_counts (
    project INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE,
    type    INTEGER NOT NULL,
    spans   INTEGER NOT NULL,
    PRIMARY KEY (project, type)
) STRICT, WITHOUT ROWID;

CREATE TABLE trace_span_counts (
    project  INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE,
    trace_id BLOB    NOT NULL,
    spans    INTEGER NOT NULL,
    PRIMARY KEY (project, trace_id)
) STRICT, WITHOUT ROWID;

-- Written to see whether writing works.
CREATE TABLE writable (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    checked_at INTEGER NOT NULL,
    room       BLOB -- takes space for a moment, to see whether there is any
) STRICT;

-- Every installation begins with the workspace and the project that clients take for granted.
INSERT INTO workspaces (key, name) VALUES (1, 'default');
INSERT INTO projects
    (key, workspace, id, name, name_folded, description, created_at, created_by, last_updated_at, last_updated_by)
VALUES
    (1, 1, x'0190babc62a071d2832a0feffa4676eb', 'Default Project', 'default project',
     'Where spans and traces go that name no project.', 0, 'admin', 0, 'admin');

-- Scores and comments belong to a span by its id: they may come before the span does.

CREATE TABLE span_scores (
    workspace       INTEGER NOT NULL REFERENCES workspaces,
    span_id         BLOB    NOT NULL CHECK (length(span_id) = 16),
    name            TEXT    NOT NULL,
    author          TEXT    NOT NULL,
    queue_id        BLOB    NOT NULL DEFAULT x'', -- empty: given outside of any annotation queue
    value           TEXT    NOT NULL, -- exact decimal
    category_name   TEXT,
    reason          TEXT,
    source          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    created_by      TEXT    NOT NULL,
    last_updated_at INTEGER NOT NULL,
    last_updated_by TEXT    NOT NULL,
    PRIMARY KEY (workspace, span_id, name, author, queue_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE comments (
    key             INTEGER PRIMARY KEY,
    workspace       INTEGER NOT NULL REFERENCES workspaces,
    id              BLOB    NOT NULL CHECK (length(id) = 16),
    span_id         BLOB    NOT NULL CHECK (length(span_id) = 16),
    text            TEXT    NOT NULL,
    queue_id        BLOB    CHECK (length(queue_id) = 16),
    created_at      INTEGER NOT NULL,
    created_by      TEXT    NOT NULL,
    last_updated_at INTEGER NOT NULL,
    last_updated_by TEXT    NOT NULL,
    UNIQUE (workspace, id)
) STRICT;

CREATE INDEX comments_by_span ON comments (workspace, span_id, id);

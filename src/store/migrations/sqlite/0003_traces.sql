-- What an application traced from end to end. As with spans, what lists, filters and sorts need is apart from payloads.
CREATE TABLE traces (
    key             INTEGER PRIMARY KEY,
    workspace       INTEGER NOT NULL REFERENCES workspaces,
    id              BLOB    NOT NULL CHECK (length(id) = 16),
    project         INTEGER NOT NULL REFERENCES projects,
    name            TEXT,
    start_time      INTEGER NOT NULL, -- 0: updated, but not created yet
    end_time        INTEGER,
    tags            TEXT, -- JSON array
    error_info      TEXT, -- JSON object
    ttft            REAL, -- milliseconds
    thread_id       TEXT,
    source          INTEGER NOT NULL DEFAULT 0,
    environment     TEXT,
    payloads        INTEGER NOT NULL DEFAULT 0, -- which there are: 1 input, 2 output, 4 metadata
    created_at      INTEGER NOT NULL,
    created_by      TEXT    NOT NULL,
    last_updated_at INTEGER NOT NULL,
    last_updated_by TEXT    NOT NULL,
    -- How later writes are merged, as for spans.
    newest_stamp    INTEGER,
    newest_ended    INTEGER NOT NULL DEFAULT 0,
    updated         INTEGER NOT NULL DEFAULT 0,
    others          TEXT,
    tag_edits       TEXT,
    UNIQUE (workspace, id)
) STRICT;

CREATE INDEX traces_by_id ON traces (project, id);
CREATE INDEX traces_by_thread ON traces (project, thread_id, start_time) WHERE thread_id IS NOT NULL;

CREATE TABLE trace_payloads (
    trace    INTEGER PRIMARY KEY REFERENCES traces ON DELETE CASCADE,
    input    TEXT,
    output   TEXT,
    metadata TEXT
) STRICT;

-- What the spans of a trace amount to, changed in the transaction that changes them. A trace's spans may come before it,
-- and in another project.
CREATE TABLE trace_sums (
    workspace       INTEGER NOT NULL REFERENCES workspaces,
    trace_id        BLOB    NOT NULL CHECK (length(trace_id) = 16),
    project         INTEGER NOT NULL REFERENCES projects ON DELETE CASCADE,
    spans           INTEGER NOT NULL, -- of any type, or of none
    general_spans   INTEGER NOT NULL,
    tool_spans      INTEGER NOT NULL,
    llm_spans       INTEGER NOT NULL,
    guardrail_spans INTEGER NOT NULL,
    usage           TEXT, -- JSON object: token counts
    usage_spans     TEXT, -- JSON object: how many spans state each of them
    providers       TEXT, -- JSON object: how many spans name each of them
    cost            TEXT, -- exact decimal
    cost_value      REAL, -- the same, to filter, sort and sum by
    PRIMARY KEY (workspace, trace_id, project)
) STRICT, WITHOUT ROWID;

INSERT INTO trace_sums
SELECT s.workspace, s.trace_id, s.project, count(*), sum(s.type = 1), sum(s.type = 2), sum(s.type = 3), sum(s.type = 4),
    (SELECT json_group_object(c.name, c.total) FROM
        (SELECT u.key AS name, sum(u.value) AS total FROM spans x, json_each(x.usage) u
         WHERE x.project = s.project AND x.trace_id = s.trace_id GROUP BY u.key) c),
    (SELECT json_group_object(c.name, c.spans) FROM
        (SELECT u.key AS name, count(*) AS spans FROM spans x, json_each(x.usage) u
         WHERE x.project = s.project AND x.trace_id = s.trace_id GROUP BY u.key) c),
    (SELECT json_group_object(c.name, c.spans) FROM
        (SELECT x.provider AS name, count(*) AS spans FROM spans x
         WHERE x.project = s.project AND x.trace_id = s.trace_id AND x.provider IS NOT NULL GROUP BY x.provider) c),
    -- Exact, unless costs are very large or have very many digits.
    CASE
        WHEN sum(s.cost_value) = 0 THEN NULL
        WHEN max(s.cost_value) < 1e9 AND max(length(s.cost) - instr(s.cost || '.', '.')) <= 12 THEN
            rtrim(rtrim(printf('%d.%012d', sum(s.whole) + sum(s.trillionths) / 1000000000000,
                sum(s.trillionths) % 1000000000000), '0'), '.')
        ELSE CAST(sum(s.cost_value) AS TEXT)
    END,
    nullif(sum(s.cost_value), 0)
FROM (SELECT *,
    CASE WHEN cost_value < 1e9 THEN CAST(cost AS INTEGER) END AS whole,
    CAST(substr(substr(cost, instr(cost || '.', '.') + 1) || '000000000000', 1, 12) AS INTEGER) AS trillionths
    FROM spans) s
GROUP BY s.workspace, s.trace_id, s.project;

DROP TABLE trace_span_counts;

-- Counts that change in the transaction that changes the traces.
CREATE TABLE project_trace_counts (
    project         INTEGER PRIMARY KEY REFERENCES projects ON DELETE CASCADE,
    traces          INTEGER NOT NULL,
    last_updated_at INTEGER NOT NULL -- when a trace was last written
) STRICT;

-- The conversations that traces belong to: what is not told by the traces themselves.
CREATE TABLE threads (
    key             INTEGER PRIMARY KEY,
    project         INTEGER NOT NULL REFERENCES projects,
    thread_id       TEXT    NOT NULL,
    id              BLOB    NOT NULL CHECK (length(id) = 16), -- the model id
    closed          INTEGER NOT NULL DEFAULT 0,
    tags            TEXT, -- JSON array
    source          INTEGER NOT NULL DEFAULT 0,
    environment     TEXT,
    created_at      INTEGER NOT NULL,
    created_by      TEXT    NOT NULL,
    last_updated_at INTEGER NOT NULL,
    last_updated_by TEXT    NOT NULL,
    UNIQUE (project, thread_id),
    UNIQUE (id)
) STRICT;

-- Scores and comments are about spans (1), traces (2) and threads (3), and may come before them.
CREATE TABLE scores (
    workspace       INTEGER NOT NULL REFERENCES workspaces,
    entity          INTEGER NOT NULL,
    entity_id       BLOB    NOT NULL CHECK (length(entity_id) = 16),
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
    PRIMARY KEY (workspace, entity, entity_id, name, author, queue_id)
) STRICT, WITHOUT ROWID;

INSERT INTO scores
SELECT workspace, 1, span_id, name, author, queue_id, value, category_name, reason, source, created_at, created_by,
    last_updated_at, last_updated_by
FROM span_scores;

DROP TABLE span_scores;

ALTER TABLE comments RENAME COLUMN span_id TO entity_id;
ALTER TABLE comments ADD COLUMN entity INTEGER NOT NULL DEFAULT 1;
DROP INDEX comments_by_span;
CREATE INDEX comments_by_entity ON comments (workspace, entity, entity_id, id);

-- Spans of deleted traces that are still to be removed: those with keys up to the one named. They are gone for every
-- reader at once; many are removed a few at a time, so that nobody waits for it.
CREATE TABLE purges (
    key       INTEGER PRIMARY KEY,
    project   INTEGER NOT NULL REFERENCES projects,
    trace_id  BLOB    NOT NULL CHECK (length(trace_id) = 16),
    last_span INTEGER NOT NULL
) STRICT;

CREATE INDEX purges_by_trace ON purges (project, trace_id, last_span);

-- Names may be longer than an entry of an index, contents are written before anything refers to them, and servers know
-- which schemas they can go on with.

-- What an index has of a text, of whatever length that is.
CREATE FUNCTION entry(whole text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE WHEN octet_length(whole) <= 500 THEN whole ELSE md5(whole) END $$;

ALTER TABLE projects DROP CONSTRAINT projects_workspace_name_folded_key;
CREATE UNIQUE INDEX projects_once ON projects (workspace, entry(name_folded));
-- By hash, as it takes texts of any length.
CREATE INDEX projects_by_name ON projects USING hash (name_folded);

ALTER TABLE feedback_definitions DROP CONSTRAINT feedback_definitions_workspace_name_folded_key;
CREATE UNIQUE INDEX feedback_definitions_once ON feedback_definitions (workspace, entry(name_folded));

ALTER TABLE scores DROP CONSTRAINT scores_pkey;
CREATE UNIQUE INDEX scores_once ON scores (workspace, entity, entity_id, entry(name), entry(author), queue_id);

ALTER TABLE attachments DROP CONSTRAINT attachments_workspace_entity_entity_id_project_name_key;
CREATE UNIQUE INDEX attachments_once ON attachments (workspace, entity, entity_id, project, entry(name));

DROP INDEX threads_once;
CREATE UNIQUE INDEX threads_once ON threads (project, entry(thread_id));

-- What was looked for by key is looked for by project and id.
DROP INDEX traces_by_key;
DROP VIEW trace_payloads;

-- Contents that were written for an attachment that is still to come. Those of which none comes are removed.
CREATE TABLE arriving_contents (
    sha256 bytea       PRIMARY KEY CHECK (length(sha256) = 32),
    since  timestamptz NOT NULL DEFAULT now()
);

-- The oldest schema whose servers can go on while the database has this one. A migration that takes away what they
-- need raises it.
CREATE TABLE compatible (
    one    bigint PRIMARY KEY CHECK (one = 1),
    oldest bigint NOT NULL
);
-- Servers of the first schema know no other uniqueness than that of whole names.
INSERT INTO compatible (one, oldest) VALUES (1, 2);

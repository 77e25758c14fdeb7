-- Files that belong to spans (1) and traces (2), and may come before them. Their content is in a folder beside the
-- database, each content once, under its SHA-256.
CREATE TABLE attachments (
    key       INTEGER PRIMARY KEY,
    workspace INTEGER NOT NULL REFERENCES workspaces,
    entity    INTEGER NOT NULL,
    entity_id BLOB    NOT NULL CHECK (length(entity_id) = 16),
    project   INTEGER NOT NULL REFERENCES projects,
    name      TEXT    NOT NULL,
    mime_type TEXT    NOT NULL,
    bytes     INTEGER NOT NULL,
    sha256    BLOB    NOT NULL CHECK (length(sha256) = 32),
    UNIQUE (workspace, entity, entity_id, project, name)
) STRICT;

CREATE INDEX attachments_by_project ON attachments (project);
CREATE INDEX attachments_by_content ON attachments (sha256);

-- Contents that an attachment let go of. Those that no other has are removed after the transaction.
CREATE TABLE loose_contents (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER attachment_deleted AFTER DELETE ON attachments BEGIN
    INSERT INTO loose_contents (sha256) VALUES (old.sha256) ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER attachment_replaced AFTER UPDATE OF sha256 ON attachments WHEN old.sha256 <> new.sha256 BEGIN
    INSERT INTO loose_contents (sha256) VALUES (old.sha256) ON CONFLICT DO NOTHING;
END;

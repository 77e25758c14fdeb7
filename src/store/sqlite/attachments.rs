//! Attachments: rows that refer to the content in [`Files`].

use std::fs::{File, ReadDir};
use std::io;
use std::sync::LazyLock;

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use regex::Regex;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde_json::value::RawValue;

use super::errors::from_rusqlite;
use super::files::{Files, hash_of};
use super::purge::{self, PIECE_ROWS};
use super::read::{first, rows};
use super::workspaces::Workspaces;
use crate::model::{Id, Payload};
use crate::record::{Entity, Target};
use crate::store::apply::{Attached, Key};
use crate::store::condition::NOT_PURGED;
use crate::store::upload::{ContentHash, from_io};
use crate::store::{AttachmentQuery, StoreError, StoredAttachment};

fn hash(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<ContentHash> {
    row.get(at).map(ContentHash)
}

/// Puts an attachment, over the one of the same name.
pub(super) fn put(
    transaction: &Transaction<'_>,
    workspaces: &mut Workspaces,
    project: i64,
    Attached { owner: (workspace, id), entity, name, mime_type, hash, bytes }: Attached,
) -> rusqlite::Result<()> {
    let key = workspaces.make(transaction, &workspace)?;
    if entity == Entity::Span {
        // What is removed of a deleted span later is not what comes for a new one now.
        let span: Key = (workspace, id);
        purge::make_way(transaction, workspaces, &[span])?;
    }
    let sql = "INSERT INTO attachments (workspace, entity, entity_id, project, name, mime_type, bytes, sha256) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (workspace, entity, entity_id, project, name) \
               DO UPDATE SET mime_type = excluded.mime_type, bytes = excluded.bytes, sha256 = excluded.sha256";
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let params = params![key, entity.code(), id.0.as_bytes(), project, name, mime_type, bytes, hash.0];
    transaction.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

/// Attachments of one thing go, those of these names.
pub(super) fn delete(
    transaction: &Transaction<'_>,
    workspace: i64,
    project: i64,
    target: Target,
    names: &[String],
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM attachments \
               WHERE workspace = ?1 AND entity = ?2 AND entity_id = ?3 AND project = ?4 AND name = ?5";
    let mut delete = transaction.prepare_cached(sql)?;
    for name in names {
        delete.execute(params![workspace, target.entity.code(), target.id.0.as_bytes(), project, name])?;
    }
    Ok(())
}

/// All attachments of one thing go.
pub(super) fn delete_of(transaction: &Transaction<'_>, workspace: i64, entity: Entity, id: Id) -> rusqlite::Result<()> {
    let sql = "DELETE FROM attachments WHERE workspace = ?1 AND entity = ?2 AND entity_id = ?3";
    transaction.prepare_cached(sql)?.execute(params![workspace, entity.code(), id.0.as_bytes()])?;
    Ok(())
}

/// Some attachments of a project go; says how many.
pub(super) fn delete_some_of_project(transaction: &Transaction<'_>, project: i64) -> rusqlite::Result<usize> {
    let sql = format!(
        "DELETE FROM attachments WHERE key IN (SELECT key FROM attachments WHERE project = ?1 LIMIT {PIECE_ROWS})"
    );
    transaction.prepare_cached(&sql)?.execute([project])
}

/// The attachments `a` of a thing (`?1` to `?4`), if it and its project are not deleted.
fn of_target() -> String {
    format!(
        "FROM attachments a JOIN projects j ON j.key = a.project \
         WHERE a.workspace = (SELECT key FROM workspaces WHERE name = ?1) AND a.entity = ?2 AND a.entity_id = ?3 \
         AND j.id = ?4 AND j.deleted_at IS NULL \
         AND (a.entity <> {} OR NOT EXISTS (SELECT 1 FROM spans s \
         WHERE s.workspace = a.workspace AND s.id = a.entity_id AND NOT (1{NOT_PURGED})))",
        Entity::Span.code()
    )
}

/// Those that are meant, by name downwards, and how many there are on all pages.
pub(super) fn list(
    connection: &Connection,
    query: &AttachmentQuery,
) -> Result<(Vec<StoredAttachment>, u64), StoreError> {
    let AttachmentQuery { workspace, project, target, limit, offset } = query;
    let (entity, id, project) = (target.entity.code(), target.id.0.as_bytes(), project.0.as_bytes());
    let of_target = of_target();
    let sql = format!("SELECT count(*) {of_target}");
    let total: Option<i64> = first(connection, &sql, params![workspace, entity, id, project], |row| row.get(0))?;
    let sql = format!("SELECT a.name, a.mime_type, a.bytes {of_target} ORDER BY a.name DESC LIMIT ?5 OFFSET ?6");
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let params = params![workspace, entity, id, project, whole(*limit), whole(*offset)];
    let read = |row: &rusqlite::Row<'_>| {
        Ok(StoredAttachment { name: row.get(0)?, mime_type: row.get(1)?, bytes: row.get(2)? })
    };
    let found = rows(connection, &sql, params, |row| read(row).map_err(from_rusqlite))?;
    Ok((found, total.and_then(|total| u64::try_from(total).ok()).unwrap_or_default()))
}

/// The content of one.
pub(super) fn content(
    connection: &Connection,
    workspace: &str,
    project: Id,
    target: Target,
    name: &str,
) -> Result<Option<ContentHash>, StoreError> {
    let sql = format!("SELECT a.sha256 {} AND a.name = ?5", of_target());
    let (entity, id) = (target.entity.code(), target.id.0.as_bytes());
    first(connection, &sql, params![workspace, entity, id, project.0.as_bytes(), name], |row| hash(row, 0))
}

/// What stands in a payload in the place of a content that was uploaded apart.
static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\[((?:input|output|metadata)-attachment-[0-9]+-[0-9]+(?:-sdk)?\.[0-9A-Za-z_]+)\]").ok()
});

/// Puts contents where the payloads of one thing refer to them, in base64, as long as they have no more than `bytes_max`
/// together. A reference to what is not there stays.
pub(super) fn put_in<'a>(
    connection: &Connection,
    files: &Files,
    (workspace, project): (i64, Option<i64>),
    target: Target,
    payloads: impl Iterator<Item = &'a mut Payload>,
    bytes_max: u64,
) -> Result<(), StoreError> {
    let sql = "SELECT sha256, bytes FROM attachments \
               WHERE workspace = ?1 AND entity = ?2 AND entity_id = ?3 AND project = ?4 AND name = ?5";
    let mut left = bytes_max;
    for payload in payloads {
        let text = payload.get();
        // Nearly no payload has one.
        if memchr::memmem::find(text.as_bytes(), b"-attachment-").is_none() {
            continue;
        }
        let Some(reference) = REFERENCE.as_ref() else { continue };
        let (mut filled, mut from) = (Vec::new(), 0);
        for found in reference.captures_iter(text) {
            let (Some(whole), Some(name)) = (found.get(0), found.get(1)) else { continue };
            let params = params![workspace, target.entity.code(), target.id.0.as_bytes(), project, name.as_str()];
            let content = first(connection, sql, params, |row| Ok((hash(row, 0)?, row.get::<_, i64>(1)?)))?;
            let Some((content, bytes)) = content else { continue };
            let Some(after) = u64::try_from(bytes).ok().and_then(|bytes| left.checked_sub(bytes)) else { continue };
            let before = filled.len();
            filled.extend_from_slice(&text.as_bytes()[from..whole.start()]);
            if let Err(error) = encode(files, &content, &mut filled) {
                tracing::warn!(%error, "the content of an attachment cannot be read");
                filled.truncate(before);
                continue;
            }
            (left, from) = (after, whole.end());
        }
        if from > 0 {
            filled.extend_from_slice(&text.as_bytes()[from..]);
            let filled = String::from_utf8(filled).ok().and_then(|text| RawValue::from_string(text).ok());
            *payload = filled.ok_or(StoreError::Corrupt { table: "attachments", column: "name" })?.into();
        }
    }
    Ok(())
}

fn encode(files: &Files, content: &ContentHash, into: &mut Vec<u8>) -> io::Result<()> {
    let mut encoder = EncoderWriter::new(into, &STANDARD);
    io::copy(&mut File::open(files.path(content))?, &mut encoder)?;
    encoder.finish().map(drop)
}

/// Removes contents that nothing has any more, some of them.
pub(super) fn remove_loose(transaction: &Transaction<'_>, files: &Files) -> Result<(), StoreError> {
    let loose = rows(transaction, &format!("SELECT sha256 FROM loose_contents LIMIT {PIECE_ROWS}"), [], |row| {
        hash(row, 0).map_err(from_rusqlite)
    })?;
    for content in loose {
        remove_unless_used(transaction, files, &content)?;
        let sql = "DELETE FROM loose_contents WHERE sha256 = ?1";
        transaction.prepare_cached(sql).and_then(|mut delete| delete.execute([content.0])).map_err(from_rusqlite)?;
    }
    Ok(())
}

fn remove_unless_used(connection: &Connection, files: &Files, content: &ContentHash) -> Result<(), StoreError> {
    let mut find =
        connection.prepare_cached("SELECT 1 FROM attachments WHERE sha256 = ?1 LIMIT 1").map_err(from_rusqlite)?;
    match find.query_row([content.0], |_| Ok(())).optional().map_err(from_rusqlite)? {
        Some(()) => Ok(()),
        None => files.remove(content).map_err(|error| from_io(&error)),
    }
}

/// A walk through the folder, for what a killed server put there and did not come to refer to.
pub(super) struct Sweep(Option<ReadDir>);

impl Sweep {
    pub(super) fn begin(files: &Files) -> Self {
        Self(files.list().unwrap_or_else(|error| {
            tracing::warn!(%error, "the folder of attachments cannot be read");
            None
        }))
    }

    pub(super) fn is_done(&self) -> bool {
        self.0.is_none()
    }

    /// Looks at some files.
    pub(super) fn piece(&mut self, connection: &Connection, files: &Files) {
        let Some(entries) = &mut self.0 else { return };
        let mut seen = 0;
        for entry in entries.by_ref().take(PIECE_ROWS) {
            seen += 1;
            let name = entry.map(|entry| entry.file_name()).unwrap_or_default();
            let Some(content) = name.to_str().and_then(hash_of) else { continue };
            if let Err(error) = remove_unless_used(connection, files, &content) {
                tracing::warn!(%error, "a file that nothing refers to cannot be removed");
            }
        }
        if seen < PIECE_ROWS {
            self.0 = None;
        }
    }
}

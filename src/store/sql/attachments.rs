//! Attachments: rows that refer to the content in [`Files`].

use std::sync::LazyLock;

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use regex::Regex;
use serde_json::value::RawValue;

use super::purge::{self, PIECE_ROWS};
use super::table::{DELETE_LOOSE_CONTENTS, DELETE_NAMED_ATTACHMENTS};
use super::workspaces::Workspaces;
use super::{Connection, any, first, integer, params, rows, text};
use crate::model::{Id, Payload};
use crate::record::{Entity, Target};
use crate::store::apply::Attached;
use crate::store::cells::Cells;
use crate::store::condition::NOT_PURGED;
use crate::store::upload::ContentHash;
use crate::store::{AttachmentQuery, StoreError, StoredAttachment};

/// Where the contents of attachments are.
pub(in crate::store) trait Contents<C> {
    /// Writes a content piece by piece.
    fn read(&self, connection: &C, content: &ContentHash, into: &mut dyn std::io::Write) -> Result<(), StoreError>;

    /// Keeps contents from being referred to until the transaction is over.
    fn hold(&self, connection: &C, contents: &[ContentHash]) -> Result<(), StoreError>;

    /// Removes contents that nothing refers to.
    fn remove(&self, connection: &C, contents: &[ContentHash]) -> Result<(), StoreError>;
}

fn hash(row: &impl Cells, at: usize) -> Result<ContentHash, StoreError> {
    let wrong = StoreError::Corrupt { table: "attachments", column: "sha256" };
    row.bytes(at)?.and_then(|bytes| bytes.try_into().ok()).map(ContentHash).ok_or(wrong)
}

/// Puts an attachment, over the one of the same name.
pub(super) fn put<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    project: i64,
    Attached { owner: (workspace, id), entity, name, mime_type, hash, bytes }: Attached,
) -> Result<(), StoreError> {
    let key = workspaces.make(connection, &workspace)?;
    if entity == Entity::Span {
        // What is removed of a deleted span later is not what comes for a new one now.
        purge::make_way(connection, key, id)?;
    }
    let sql = format!(
        "INSERT INTO attachments (workspace, entity, entity_id, project, name, mime_type, bytes, sha256) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (workspace, entity, entity_id, project, {}) \
         DO UPDATE SET mime_type = excluded.mime_type, bytes = excluded.bytes, sha256 = excluded.sha256",
        C::DIALECT.entry("name")
    );
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let params = params![key, entity.code(), &id, project, name, mime_type, bytes, &hash.0];
    connection.execute(&sql, params).map(drop)
}

/// Attachments of one thing go, those of these names.
pub(super) fn delete<C: Connection>(
    connection: &C,
    workspace: i64,
    project: i64,
    target: Target,
    names: &[String],
) -> Result<(), StoreError> {
    let rows = names.iter().map(|name| {
        vec![workspace.into(), target.entity.code().into(), (&target.id).into(), project.into(), name.into()]
    });
    connection.many(&DELETE_NAMED_ATTACHMENTS, rows)
}

/// Some attachments of a project go; says how many.
pub(super) fn delete_some_of_project<C: Connection>(connection: &C, project: i64) -> Result<u64, StoreError> {
    let sql = format!(
        "DELETE FROM attachments WHERE key IN (SELECT key FROM attachments WHERE project = ?1 LIMIT {PIECE_ROWS})"
    );
    connection.execute(&sql, params![project])
}

/// The attachments `a` of a thing (`?1` to `?4`), if it and its project are not deleted.
fn of_target() -> String {
    format!(
        "FROM attachments a JOIN projects j ON j.key = a.project \
         WHERE a.workspace = (SELECT key FROM workspaces WHERE name = ?1) AND a.entity = ?2 AND a.entity_id = ?3 \
         AND j.id = ?4 AND j.deleted_at IS NULL \
         AND (a.entity <> {} OR NOT EXISTS (SELECT 1 FROM spans s \
         WHERE s.workspace = a.workspace AND s.id = a.entity_id AND NOT (1 = 1{NOT_PURGED})))",
        Entity::Span.code()
    )
}

/// Those that are meant, by name downwards, and how many there are on all pages.
pub(super) fn list<C: Connection>(
    connection: &C,
    query: &AttachmentQuery,
) -> Result<(Vec<StoredAttachment>, u64), StoreError> {
    let AttachmentQuery { workspace, project, target, limit, offset } = query;
    let of_target = of_target();
    let sql = format!("SELECT count(*) {of_target}");
    let meant = params![workspace, target.entity.code(), &target.id, project];
    let total = first(connection, &sql, meant, |row| integer(row, 0))?;
    let sql = format!("SELECT a.name, a.mime_type, a.bytes {of_target} ORDER BY a.name DESC LIMIT ?5 OFFSET ?6");
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let page = params![workspace, target.entity.code(), &target.id, project, whole(*limit), whole(*offset)];
    let found = rows(connection, &sql, page, |row| {
        Ok(StoredAttachment { name: text(row, 0)?, mime_type: text(row, 1)?, bytes: integer(row, 2)? })
    })?;
    Ok((found, total.and_then(|total| u64::try_from(total).ok()).unwrap_or_default()))
}

/// The content of one.
pub(super) fn content<C: Connection>(
    connection: &C,
    workspace: &str,
    project: Id,
    target: Target,
    name: &str,
) -> Result<Option<ContentHash>, StoreError> {
    let sql = format!("SELECT a.sha256 {} AND a.name = ?5", of_target());
    let params = params![workspace, target.entity.code(), &target.id, &project, name];
    first(connection, &sql, params, |row| hash(row, 0))
}

/// What stands in a payload in the place of a content that was uploaded apart.
static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\[((?:input|output|metadata)-attachment-[0-9]+-[0-9]+(?:-sdk)?\.[0-9A-Za-z_]+)\]").ok()
});

/// Puts contents where the payloads of one thing refer to them, in base64, as long as they have no more than `bytes_max`
/// together. A reference to what is not there stays.
pub(super) fn put_in<'a, C: Connection>(
    connection: &C,
    contents: &impl Contents<C>,
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
            let params = params![workspace, target.entity.code(), &target.id, project, name.as_str()];
            let content = first(connection, sql, params, |row| Ok((hash(row, 0)?, integer(row, 1)?)))?;
            let Some((content, bytes)) = content else { continue };
            let Some(after) = u64::try_from(bytes).ok().and_then(|bytes| left.checked_sub(bytes)) else { continue };
            let before = filled.len();
            filled.extend_from_slice(&text.as_bytes()[from..whole.start()]);
            if let Err(error) = encode(connection, contents, &content, &mut filled) {
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

fn encode<C>(
    connection: &C,
    contents: &impl Contents<C>,
    content: &ContentHash,
    into: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let mut encoder = EncoderWriter::new(into, &STANDARD);
    contents.read(connection, content, &mut encoder)?;
    encoder.finish().map(drop).map_err(|error| StoreError::Other(error.into()))
}

/// Removes contents that nothing has any more, some of them.
pub(super) fn remove_loose<C: Connection>(connection: &C, contents: &impl Contents<C>) -> Result<(), StoreError> {
    let some = format!("FROM loose_contents l ORDER BY l.sha256 LIMIT {PIECE_ROWS}");
    let loose = rows(connection, &format!("SELECT l.sha256 {some}"), &[], |row| hash(row, 0))?;
    if loose.is_empty() {
        return Ok(());
    }
    contents.hold(connection, &loose)?;
    // Asked once they are held: an attachment may have got one of them before.
    let sql = format!("SELECT l.sha256, EXISTS (SELECT 1 FROM attachments a WHERE a.sha256 = l.sha256) {some}");
    let mut unused = Vec::new();
    connection.each(&sql, &[], |row| {
        let content = hash(row, 0)?;
        if integer(row, 1)? == 0 && loose.contains(&content) {
            unused.push(content);
        }
        Ok(true)
    })?;
    contents.remove(connection, &unused)?;
    connection.many(&DELETE_LOOSE_CONTENTS, loose.iter().map(|content| vec![(&content.0).into()]))
}

/// Removes a content that no attachment has.
pub(in crate::store) fn remove_unless_used<C: Connection>(
    connection: &C,
    contents: &impl Contents<C>,
    content: &ContentHash,
) -> Result<(), StoreError> {
    if any(connection, "SELECT 1 FROM attachments WHERE sha256 = ?1 LIMIT 1", params![&content.0])? {
        return Ok(());
    }
    contents.remove(connection, std::slice::from_ref(content))
}

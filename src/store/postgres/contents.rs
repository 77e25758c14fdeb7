//! Contents of attachments, in pieces in a table.

use std::fs::File;
use std::io::{Read as _, Write};
use std::sync::OnceLock;

use super::link::Link;
use crate::store::sql::{Column, Connection as _, Contents, Holds, Param, Statement, Verb, any, params, rows};
use crate::store::upload::{ContentHash, ReceivedFile, from_io};
use crate::store::{AttachmentFile, StoreError, cells::Cells as _};

/// Bytes of a piece: what is in memory of a content at once.
pub(super) const PIECE_BYTES: u64 = 1 << 20;

static DELETE_CONTENTS: Statement = Statement {
    verb: Verb::Delete,
    table: "contents",
    columns: &[Column { name: "sha256", holds: Holds::Bytes }],
    spelled: OnceLock::new(),
};

/// The table.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Rows;

impl Contents<Link> for Rows {
    fn read(&self, link: &Link, content: &ContentHash, into: &mut dyn Write) -> Result<(), StoreError> {
        let mut found = false;
        let sql = "SELECT bytes FROM contents WHERE sha256 = ?1 ORDER BY piece";
        link.each(sql, params![&content.0], |row| {
            found = true;
            into.write_all(row.raw(0)?.unwrap_or_default()).map_err(|error| from_io(&error))?;
            Ok(true)
        })?;
        if found { Ok(()) } else { Err(StoreError::Other("the content is missing".into())) }
    }

    /// Who refers to one waits.
    fn hold(&self, link: &Link, contents: &[ContentHash]) -> Result<(), StoreError> {
        let places: Vec<String> = (1..=contents.len()).map(|at| format!("?{at}")).collect();
        let sql = format!(
            "SELECT piece FROM contents WHERE sha256 IN ({}) AND piece = 0 ORDER BY sha256 FOR UPDATE",
            places.join(", ")
        );
        let contents: Vec<Param<'_>> = contents.iter().map(|content| Param::from(&content.0)).collect();
        rows(link, &sql, &contents, |_| Ok(())).map(drop)
    }

    fn remove(&self, link: &Link, contents: &[ContentHash]) -> Result<(), StoreError> {
        link.many(&DELETE_CONTENTS, contents.iter().map(|content| vec![(&content.0).into()]))
    }
}

/// Puts a content that was received where it is looked for, unless it is there. `next` is told before each piece.
pub(super) fn put(link: &Link, received: &ReceivedFile, next: impl Fn()) -> Result<(), StoreError> {
    let ReceivedFile { path, hash, .. } = received;
    if any(link, "SELECT 1 FROM contents WHERE sha256 = ?1 AND piece = 0 FOR SHARE", params![&hash.0])? {
        return Ok(());
    }
    let mut file = File::open(path).map_err(|error| from_io(&error))?;
    let mut piece = Vec::new();
    for number in 0_i64.. {
        piece.clear();
        let read = (&mut file).take(PIECE_BYTES).read_to_end(&mut piece).map_err(|error| from_io(&error))?;
        // An empty file has one piece, which is empty.
        if read == 0 && number > 0 {
            break;
        }
        next();
        // Others may bring the same: who is first, does.
        let sql = "INSERT INTO contents (sha256, piece, bytes) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        link.execute(sql, params![&hash.0, number, &piece[..]])?;
    }
    Ok(())
}

/// A file with a content, if it is there, for as long as it is read.
pub(super) fn file(link: &Link, content: &ContentHash) -> Result<Option<AttachmentFile>, StoreError> {
    if !any(link, "SELECT 1 FROM contents WHERE sha256 = ?1 AND piece = 0", params![&content.0])? {
        return Ok(None);
    }
    let mut file = tempfile::NamedTempFile::new().map_err(|error| from_io(&error))?;
    Rows.read(link, content, &mut file)?;
    Ok(Some(AttachmentFile::temporary(file.into_temp_path())))
}

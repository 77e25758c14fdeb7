//! Contents of attachments, in pieces in a table.

use std::fs::File;
use std::io::{Read as _, Write};

use super::link::Link;
use crate::store::sql::{Connection as _, Contents, Param, any, params, rows};
use crate::store::upload::{ContentHash, ReceivedFile, from_io};
use crate::store::{AttachmentFile, StoreError, cells::Cells as _};

/// Bytes of a piece: what is in memory of a content at once.
const PIECE_BYTES: usize = 1 << 20;

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

    fn remove(&self, link: &Link, content: &ContentHash) -> Result<(), StoreError> {
        link.execute("DELETE FROM contents WHERE sha256 = ?1", params![&content.0]).map(drop)
    }
}

/// Keeps a content until the transaction is over: who removes contents waits.
pub(super) fn lock(link: &Link, content: &ContentHash) -> Result<(), StoreError> {
    let sql = "SELECT piece FROM contents WHERE sha256 = ?1 AND piece = 0 FOR UPDATE";
    any(link, sql, params![&content.0]).map(drop)
}

/// Puts a content that was received where it is looked for, unless it is there.
pub(super) fn put(link: &Link, received: &ReceivedFile) -> Result<(), StoreError> {
    let ReceivedFile { path, hash, .. } = received;
    if any(link, "SELECT 1 FROM contents WHERE sha256 = ?1 AND piece = 0 FOR SHARE", params![&hash.0])? {
        return Ok(());
    }
    let mut file = File::open(path).map_err(|error| from_io(&error))?;
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    for number in 0_i64.. {
        piece.clear();
        let limit = u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX);
        let read = (&mut file).take(limit).read_to_end(&mut piece).map_err(|error| from_io(&error))?;
        // An empty file has one piece, which is empty.
        if read == 0 && number > 0 {
            break;
        }
        let sql = "INSERT INTO contents (sha256, piece, bytes) VALUES (?1, ?2, ?3)";
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

/// The contents that may be removed now are kept from being referred to meanwhile.
pub(super) fn lock_loose(link: &Link, limit: usize) -> Result<(), StoreError> {
    let sql = "SELECT sha256 FROM loose_contents LIMIT ?1";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let loose = rows(link, sql, &[Param::from(limit)], |row| row.bytes(0))?;
    for content in loose.into_iter().flatten() {
        if let Ok(content) = content.try_into() {
            lock(link, &ContentHash(content))?;
        }
    }
    Ok(())
}

//! A copy of all that there is, made beside a server that may be running.
//!
//! The database is copied as of one moment. A content may come before that moment and go after it, so most contents are
//! copied first, then the database, then what that refers to and is not there yet. If some of it went meanwhile, the
//! database is copied again: it no longer refers to that.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};
use tempfile::{TempDir, TempPath};

use super::backup::copy;
use super::beside;
use super::files::hash_of;
use super::migrate::address;
use crate::store::upload::ContentHash;
use crate::store::{Copied, StoreError};

type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// How often the database is copied while attachments go. Chosen: what is to be copied after the first is little.
const ROUNDS_MAX: usize = 5;

/// Chosen.
const PIECE_BYTES: usize = 1 << 20;

/// Copies the database, and the content of its attachments, to a name that is not taken.
pub(super) fn back_up(database: &Path, name: &Path) -> Result<Copied, StoreError> {
    back_up_to(database, name).map_err(|error| {
        let (database, name) = (database.display(), name.display());
        StoreError::Other(format!("cannot copy the database {database} to {name}: {error}").into())
    })
}

fn back_up_to(database: &Path, name: &Path) -> Result<Copied, Trouble> {
    let contents = beside(name, "-files");
    for taken in [name.to_owned(), beside(name, "-wal"), beside(name, "-shm"), contents.clone()] {
        if std::fs::symlink_metadata(&taken).is_ok() {
            return Err(format!("{} exists, and is not overwritten", taken.display()).into());
        }
    }
    if !database.is_file() {
        return Err("there is no such database".into());
    }
    let mut files = Files::new(&beside(database, "-files"), &contents)?;
    for content in files.list()? {
        files.copy(content)?;
    }
    let (partial, wanted) = copy_whole(database, name, &mut files)?;
    files.keep_only(&wanted)?;
    let bytes = std::fs::metadata(&partial)?.len();
    files.keep(&contents)?;
    // Whoever sees this name sees a whole copy.
    if let Err(error) = partial.persist_noclobber(name) {
        let _ = std::fs::remove_dir_all(&contents);
        return Err(error.error.into());
    }
    File::open(folder_of(name))?.sync_all()?;
    Ok(Copied { bytes, attachments: wanted.len() as u64 })
}

/// Copies the database until every content that the copy refers to is there.
fn copy_whole(database: &Path, name: &Path, files: &mut Files) -> Result<(TempPath, HashSet<ContentHash>), Trouble> {
    for _ in 0..ROUNDS_MAX {
        let partial = copy(database, &beside(name, ".partial")).map_err(|error| error.to_string())?;
        let wanted = check(&partial)?;
        let mut missing = None;
        for content in &wanted {
            if !files.copy(*content)? {
                missing = Some(content);
            }
        }
        match missing {
            None => return Ok((partial, wanted)),
            Some(content) => tracing::info!("the content {content} went while the database was copied: once more"),
        }
    }
    Err("contents of attachments are missing, or go all the time".into())
}

/// Fails unless the copy is sound; returns the contents that it refers to.
fn check(partial: &Path) -> Result<HashSet<ContentHash>, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(address(partial)?, flags)?;
    let sound: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(format!("the copy is damaged, and probably the database: {sound}").into());
    }
    if !connection.table_exists(None, "attachments")? {
        return Ok(HashSet::new());
    }
    let mut contents = connection.prepare("SELECT DISTINCT sha256 FROM attachments")?;
    let contents = contents.query_map([], |row| row.get(0).map(ContentHash))?.collect::<Result<_, _>>()?;
    Ok(contents)
}

/// Contents, and where they are copied to.
struct Files {
    from: PathBuf,
    to: TempDir,
    copied: HashSet<ContentHash>,
}

impl Files {
    fn new(from: &Path, kept: &Path) -> Result<Self, Trouble> {
        let partial = beside(kept, ".partial");
        match std::fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let last = partial.file_name().ok_or("the copy has no name")?;
        let to = tempfile::Builder::new().prefix(last).rand_bytes(0).tempdir_in(folder_of(&partial))?;
        if let Ok(metadata) = std::fs::metadata(from) {
            std::fs::set_permissions(to.path(), metadata.permissions())?;
        }
        Ok(Self { from: from.to_owned(), to, copied: HashSet::new() })
    }

    /// All contents that are there now.
    fn list(&self) -> io::Result<Vec<ContentHash>> {
        match std::fs::read_dir(&self.from) {
            Ok(entries) => {
                let names = entries.map(|entry| Ok(entry?.file_name()));
                let names = names.collect::<io::Result<Vec<_>>>()?;
                Ok(names.iter().filter_map(|name| hash_of(&name.to_string_lossy())).collect())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Copies a content, unless it was copied before. Whether it is there.
    fn copy(&mut self, content: ContentHash) -> Result<bool, Trouble> {
        if self.copied.contains(&content) {
            return Ok(true);
        }
        let name = content.to_string();
        let (hash, permissions, to) = match File::open(self.from.join(&name)) {
            Ok(from) => {
                let to = File::create(self.to.path().join(&name))?;
                (transfer(&from, &to)?, from.metadata()?.permissions(), to)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if hash != content.0 {
            return Err(format!("the content {name} of an attachment is damaged: it is not what its name says").into());
        }
        to.set_permissions(permissions)?;
        to.sync_all()?;
        self.copied.insert(content);
        Ok(true)
    }

    /// Removes what the copied database does not refer to.
    fn keep_only(&mut self, wanted: &HashSet<ContentHash>) -> io::Result<()> {
        for content in self.copied.difference(wanted) {
            std::fs::remove_file(self.to.path().join(content.to_string()))?;
        }
        self.copied.retain(|content| wanted.contains(content));
        Ok(())
    }

    /// Gives them their name, if there are any.
    fn keep(self, name: &Path) -> io::Result<()> {
        if self.copied.is_empty() {
            return self.to.close();
        }
        File::open(self.to.path())?.sync_all()?;
        std::fs::rename(self.to.path(), name)?;
        let _ = self.to.keep();
        Ok(())
    }
}

/// Copies the bytes; returns what they are known by.
fn transfer(mut from: &File, mut to: &File) -> io::Result<[u8; 32]> {
    let (mut digest, mut piece) = (Sha256::new(), vec![0; PIECE_BYTES]);
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(digest.finalize().into()),
            length => {
                digest.update(&piece[..length]);
                to.write_all(&piece[..length])?;
            }
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

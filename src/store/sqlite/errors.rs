//! What SQLite's result codes mean to the server.

use crate::store::StoreError;

/// SQLite's primary result codes.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READ_ONLY: i32 = 8;
    pub(super) const INTERRUPTED: i32 = 9;
    pub(super) const IO: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANNOT_OPEN: i32 = 14;
    pub(super) const NOT_A_DATABASE: i32 = 26;
}

/// Whether the file is not as it was written: its pages make no sense, or a value is not what its column takes.
fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => true,
        other => other
            .sqlite_error()
            .is_some_and(|inner| matches!(inner.extended_code & 0xff, code::CORRUPT | code::NOT_A_DATABASE)),
    }
}

fn unavailable(result_code: i32) -> Option<StoreError> {
    let (reason, full) = match result_code & 0xff {
        code::BUSY | code::LOCKED => ("another program holds the database", false),
        code::READ_ONLY => ("the database is read-only", false),
        code::IO => ("the disk does not read or write", false),
        code::FULL => ("the disk is full, or the database has reached its size limit", true),
        code::CANNOT_OPEN => ("the database file cannot be opened", false),
        _ => return None,
    };
    Some(StoreError::Unavailable { reason, full })
}

pub(super) fn from_rusqlite(error: rusqlite::Error) -> StoreError {
    let code = error.sqlite_error().map(|inner| inner.extended_code);
    if code == Some(code::INTERRUPTED) {
        return StoreError::TooLong;
    }
    if is_damage(&error) {
        return StoreError::Damaged(error.into());
    }
    code.and_then(unavailable).unwrap_or_else(|| StoreError::Other(error.into()))
}

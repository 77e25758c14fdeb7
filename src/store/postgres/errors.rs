//! What the driver's errors mean to the server.

use crate::store::StoreError;

/// Whether the same transaction may succeed when it is tried again now: another server was in its way.
pub(super) fn is_collision(error: &sqlx::Error) -> bool {
    // Serialization failure, deadlock, and a row that another made first.
    matches!(code(error).as_deref(), Some("40001" | "40P01" | "23505"))
}

/// Whether nothing more can be asked on the connection.
pub(super) fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => {
            code(error).is_some_and(|code| code.starts_with("08") || code.starts_with("57P") || code == "25P03")
        }
        sqlx::Error::RowNotFound | sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } => false,
        _ => true,
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

pub(super) fn from_sqlx(error: sqlx::Error) -> StoreError {
    if let Some(code) = code(&error) {
        return from_code(&code, error);
    }
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
            tracing::debug!(%error, "the database cannot be reached");
            StoreError::Unavailable { reason: "the database cannot be reached", full: false }
        }
        error => StoreError::Other(error.into()),
    }
}

fn from_code(code: &str, error: sqlx::Error) -> StoreError {
    let (reason, full) = match code {
        "57014" => return StoreError::TooLong,
        "XX001" | "XX002" => return StoreError::Damaged(error.into()),
        "25006" => ("the database is read-only", false),
        "53100" => ("the disk of the database is full", true),
        "53300" => ("the database takes no more connections", false),
        "55P03" => ("another program holds the database", false),
        "40001" | "40P01" | "23505" => ("other servers are in the way", false),
        "57P01" | "57P02" | "57P03" => ("the database is shutting down or starting", false),
        _ if code.starts_with("53") => ("the database lacks resources", false),
        _ if code.starts_with("28") || code == "3D000" => ("the database does not let this server in", false),
        _ if code.starts_with("08") || code == "25P03" => ("the database cannot be reached", false),
        _ => return StoreError::Other(error.into()),
    };
    tracing::debug!(%error, "{reason}");
    StoreError::Unavailable { reason, full }
}

//! Workspaces and projects, found and made while a transaction goes on.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::model::Id;
use crate::store::apply::{NewProject, folded};

/// Keys of the workspaces that a transaction has met, by name.
#[derive(Debug, Default)]
pub(super) struct Workspaces(HashMap<Arc<str>, i64>);

impl Workspaces {
    /// The key of a workspace, if there is one.
    pub(super) fn find(&mut self, transaction: &Transaction<'_>, name: &Arc<str>) -> rusqlite::Result<Option<i64>> {
        if let Some(key) = self.0.get(name) {
            return Ok(Some(*key));
        }
        let mut find = transaction.prepare_cached("SELECT key FROM workspaces WHERE name = ?1")?;
        let key = find.query_row([name], |row| row.get(0)).optional()?;
        self.0.extend(key.map(|key| (Arc::clone(name), key)));
        Ok(key)
    }

    /// The key of a workspace, made if there is none.
    pub(super) fn make(&mut self, transaction: &Transaction<'_>, name: &Arc<str>) -> rusqlite::Result<i64> {
        if let Some(key) = self.find(transaction, name)? {
            return Ok(key);
        }
        transaction.execute("INSERT INTO workspaces (name) VALUES (?1)", [name])?;
        let key = transaction.last_insert_rowid();
        self.0.insert(Arc::clone(name), key);
        Ok(key)
    }
}

pub(super) fn make_project(
    transaction: &Transaction<'_>,
    workspace: i64,
    project: &NewProject,
    id: Id,
    now: i64,
) -> rusqlite::Result<i64> {
    transaction.execute(
        "INSERT INTO projects (workspace, id, name, name_folded, created_at, created_by, last_updated_at, \
         last_updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5, ?6)",
        params![workspace, id.0.as_bytes(), project.name, folded(&project.name), now, project.user],
    )?;
    Ok(transaction.last_insert_rowid())
}

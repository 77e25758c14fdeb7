//! Workspaces and projects, found and made while a transaction goes on.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Connection, first, integer, params};
use crate::model::Id;
use crate::store::StoreError;
use crate::store::apply::{NewProject, folded};

/// Keys of the workspaces that a transaction has met, by name.
#[derive(Debug, Default)]
pub(in crate::store) struct Workspaces(HashMap<Arc<str>, i64>);

impl Workspaces {
    /// Learns the key of a workspace.
    pub(super) fn know(&mut self, name: &Arc<str>, key: i64) {
        self.0.entry(Arc::clone(name)).or_insert(key);
    }

    /// The key of a workspace, if there is one.
    pub(super) fn find<C: Connection>(&mut self, connection: &C, name: &Arc<str>) -> Result<Option<i64>, StoreError> {
        if let Some(key) = self.0.get(name) {
            return Ok(Some(*key));
        }
        let sql = "SELECT key FROM workspaces WHERE name = ?1";
        let key = first(connection, sql, params![name], |row| integer(row, 0))?;
        self.0.extend(key.map(|key| (Arc::clone(name), key)));
        Ok(key)
    }

    /// The key of a workspace, made if there is none.
    pub(super) fn make<C: Connection>(&mut self, connection: &C, name: &Arc<str>) -> Result<i64, StoreError> {
        if let Some(key) = self.find(connection, name)? {
            return Ok(key);
        }
        let key = inserted(connection, "INSERT INTO workspaces (name) VALUES (?1) RETURNING key", params![name])?;
        self.0.insert(Arc::clone(name), key);
        Ok(key)
    }
}

fn inserted<C: Connection>(connection: &C, sql: &str, params: &[super::Param<'_>]) -> Result<i64, StoreError> {
    let mut key = None;
    connection.each(sql, params, |row| {
        key = Some(integer(row, 0)?);
        Ok(true)
    })?;
    key.ok_or(StoreError::Corrupt { table: "workspaces", column: "key" })
}

pub(super) fn make_project<C: Connection>(
    connection: &C,
    workspace: i64,
    project: &NewProject,
    id: Id,
    now: i64,
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO projects (workspace, id, name, name_folded, created_at, created_by, last_updated_at, \
               last_updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5, ?6) RETURNING key";
    let folded = folded(&project.name);
    inserted(connection, sql, params![workspace, &id, &project.name, folded, now, &project.user])
}

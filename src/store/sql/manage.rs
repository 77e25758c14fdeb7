//! Rare changes, each in a transaction of its own.

use super::{Connection, Param, any, first, id, integer, params};
use crate::clock::Clock;
use crate::model::{FeedbackDefinition, Id};
use crate::store::apply::folded;
use crate::store::manage::{DefinitionChange, EnvironmentChange, Manage, ManageRefusal, ProjectChange};
use crate::store::{Caller, StoreError};

/// Kept in every workspace: user interfaces count on it.
const USER_FEEDBACK: &str = "User feedback";

type Outcome = Result<Result<(), ManageRefusal>, StoreError>;

/// Makes a change, in a transaction that is to be given up if it is refused.
pub(in crate::store) fn manage<C: Connection>(
    connection: &C,
    caller: &Caller,
    change: &Manage,
    clock: &Clock,
) -> Outcome {
    Change::new(connection, caller, clock)?.make(change)
}

/// A change that is being made.
struct Change<'a, C> {
    connection: &'a C,
    workspace: i64,
    user: &'a str,
    now: i64,
}

impl<'a, C: Connection> Change<'a, C> {
    /// In the caller's workspace, which is made if there is none.
    fn new(connection: &'a C, caller: &'a Caller, clock: &Clock) -> Result<Self, StoreError> {
        let find = "SELECT key FROM workspaces WHERE name = ?1";
        let make = "INSERT INTO workspaces (name) VALUES (?1) ON CONFLICT (name) DO NOTHING";
        let mut key = first(connection, find, params![&caller.workspace], |row| integer(row, 0))?;
        if key.is_none() {
            connection.execute(make, params![&caller.workspace])?;
            key = first(connection, find, params![&caller.workspace], |row| integer(row, 0))?;
        }
        let workspace = key.ok_or(StoreError::Corrupt { table: "workspaces", column: "key" })?;
        Ok(Self { connection, workspace, user: &caller.user, now: clock.now() })
    }

    fn make(&self, change: &Manage) -> Outcome {
        match change {
            Manage::Project(change) => self.project(change),
            Manage::Environment(change) => self.environment(change),
            Manage::Definition(change) => self.definition(change),
            Manage::Configuration(Some(configuration)) => {
                let sql = "INSERT INTO workspace_configurations (workspace, configuration) VALUES (?1, ?2) \
                           ON CONFLICT (workspace) DO UPDATE SET configuration = excluded.configuration";
                self.execute(sql, params![self.workspace, json_text(&**configuration)])
            }
            Manage::Configuration(None) => {
                self.execute("DELETE FROM workspace_configurations WHERE workspace = ?1", params![self.workspace])
            }
        }
    }

    fn project(&self, change: &ProjectChange) -> Outcome {
        match change {
            ProjectChange::Create { id, name, description, visibility } => {
                let folded = folded(&name.0);
                if self.taken("projects", "name_folded", &folded, None)? {
                    return Ok(Err(ManageRefusal::ProjectExists));
                }
                let sql = "INSERT INTO projects (workspace, id, name, name_folded, description, visibility, \
                           created_at, created_by, last_updated_at, last_updated_by) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7, ?8)";
                self.execute(
                    sql,
                    params![
                        self.workspace,
                        id,
                        &name.0,
                        folded,
                        description.as_ref().map(|text| &text.0),
                        visibility.code(),
                        self.now,
                        self.user
                    ],
                )
            }
            ProjectChange::Update { id, name, description, visibility } => {
                if !self.exists("projects", *id)? {
                    return Ok(Err(ManageRefusal::ProjectNotFound));
                }
                let folded = name.as_ref().map(|name| folded(&name.0));
                if let Some(folded) = &folded
                    && self.taken("projects", "name_folded", folded, Some(*id))?
                {
                    return Ok(Err(ManageRefusal::ProjectExists));
                }
                let sql = "UPDATE projects SET name = coalesce(?3, name), name_folded = coalesce(?4, name_folded), \
                           description = coalesce(?5, description), visibility = coalesce(?6, visibility), \
                           last_updated_at = max(last_updated_at + 1000, ?7), last_updated_by = ?8 \
                           WHERE workspace = ?1 AND id = ?2";
                self.execute(
                    sql,
                    params![
                        self.workspace,
                        id,
                        name.as_ref().map(|name| &name.0),
                        folded,
                        description.as_ref().map(|text| &text.0),
                        visibility.map(crate::model::Visibility::code),
                        self.now,
                        self.user
                    ],
                )
            }
            ProjectChange::Delete(ids) => {
                // The name is free at once: no folded name begins with a space. What was in it is out of reach.
                let later = "INSERT INTO project_purges SELECT key FROM projects \
                             WHERE workspace = ?1 AND id = ?2 AND deleted_at IS NULL";
                let sql = "UPDATE projects SET deleted_at = ?3, name = '', name_folded = ' deleted ' || hex(id), \
                           description = NULL WHERE workspace = ?1 AND id = ?2 AND deleted_at IS NULL";
                for id in ids {
                    self.connection.execute(later, params![self.workspace, id])?;
                    self.connection.execute(sql, params![self.workspace, id, self.now])?;
                }
                Ok(Ok(()))
            }
        }
    }

    fn environment(&self, change: &EnvironmentChange) -> Outcome {
        match change {
            EnvironmentChange::Create { id, name, description, color, position, max } => {
                if self.taken("environments", "name", &name.0, None)? {
                    return Ok(Err(ManageRefusal::EnvironmentExists(name.0.clone())));
                }
                if self.exists("environments", *id)? {
                    return Ok(Err(ManageRefusal::EnvironmentIdExists));
                }
                let count = "SELECT count(*) FROM environments WHERE workspace = ?1";
                let there = first(self.connection, count, params![self.workspace], |row| integer(row, 0))?;
                if there.and_then(|there| usize::try_from(there).ok()).is_some_and(|there| there >= *max) {
                    return Ok(Err(ManageRefusal::TooManyEnvironments { max: *max }));
                }
                let sql = "INSERT INTO environments (workspace, id, name, description, color, position, created_at, \
                           created_by, last_updated_at, last_updated_by) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7, ?8)";
                self.execute(
                    sql,
                    params![
                        self.workspace,
                        id,
                        &name.0,
                        description.as_ref().map(|text| &text.0),
                        &color.0,
                        *position,
                        self.now,
                        self.user
                    ],
                )
            }
            EnvironmentChange::Update { id, name, description, color, position } => {
                if !self.exists("environments", *id)? {
                    return Ok(Err(ManageRefusal::EnvironmentNotFound));
                }
                if let Some(name) = &name
                    && self.taken("environments", "name", &name.0, Some(*id))?
                {
                    return Ok(Err(ManageRefusal::EnvironmentExists(name.0.clone())));
                }
                let sql = "UPDATE environments SET name = coalesce(?3, name), description = coalesce(?4, description), \
                           color = coalesce(?5, color), position = coalesce(?6, position), \
                           last_updated_at = max(last_updated_at + 1000, ?7), last_updated_by = ?8 \
                           WHERE workspace = ?1 AND id = ?2";
                self.execute(
                    sql,
                    params![
                        self.workspace,
                        id,
                        name.as_ref().map(|name| &name.0),
                        description.as_ref().map(|text| &text.0),
                        color.as_ref().map(|color| &color.0),
                        *position,
                        self.now,
                        self.user
                    ],
                )
            }
            EnvironmentChange::Delete(ids) => self.delete("environments", ids),
        }
    }

    fn definition(&self, change: &DefinitionChange) -> Outcome {
        match change {
            DefinitionChange::Create(id, definition) => {
                if self.taken("feedback_definitions", "name_folded", &folded(&definition.name), None)? {
                    return Ok(Err(ManageRefusal::DefinitionExists));
                }
                let sql = "INSERT INTO feedback_definitions (workspace, id, name, name_folded, description, type, \
                           details, last_updated_at, last_updated_by, created_at, created_by) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?8, ?9)";
                self.define(sql, id, definition)
            }
            DefinitionChange::Update(id, definition) => {
                if !self.exists("feedback_definitions", *id)? {
                    return Ok(Err(ManageRefusal::DefinitionNotFound));
                }
                if self.taken("feedback_definitions", "name_folded", &folded(&definition.name), Some(*id))? {
                    return Ok(Err(ManageRefusal::DefinitionExists));
                }
                let sql = "UPDATE feedback_definitions SET name = ?3, name_folded = ?4, description = ?5, type = ?6, \
                           details = ?7, last_updated_at = max(last_updated_at + 1000, ?8), last_updated_by = ?9 \
                           WHERE workspace = ?1 AND id = ?2";
                self.define(sql, id, definition)
            }
            DefinitionChange::Delete(ids) => {
                let find = "SELECT id FROM feedback_definitions WHERE workspace = ?1 AND name = ?2";
                let kept = first(self.connection, find, params![self.workspace, USER_FEEDBACK], |row| id(row, 0))?;
                if ids.iter().any(|id| kept == Some(*id)) {
                    return Ok(Err(ManageRefusal::DefinitionStays(USER_FEEDBACK)));
                }
                self.delete("feedback_definitions", ids)
            }
        }
    }

    /// Whether something other than `but` has this name.
    fn taken(&self, table: &str, column: &str, name: &str, but: Option<Id>) -> Result<bool, StoreError> {
        let sql = format!("SELECT id FROM {table} WHERE workspace = ?1 AND {column} = ?2");
        let taken = first(self.connection, &sql, params![self.workspace, name], |row| id(row, 0))?;
        Ok(taken.is_some_and(|taken| Some(taken) != but))
    }

    fn exists(&self, table: &str, id: Id) -> Result<bool, StoreError> {
        let there = if table == "projects" { " AND deleted_at IS NULL" } else { "" };
        let sql = format!("SELECT 1 FROM {table} WHERE workspace = ?1 AND id = ?2{there}");
        any(self.connection, &sql, params![self.workspace, &id])
    }

    fn execute(&self, sql: &str, params: &[Param<'_>]) -> Outcome {
        self.connection.execute(sql, params)?;
        Ok(Ok(()))
    }

    fn delete(&self, table: &str, ids: &[Id]) -> Outcome {
        let sql = format!("DELETE FROM {table} WHERE workspace = ?1 AND id = ?2");
        for id in ids {
            self.connection.execute(&sql, params![self.workspace, id])?;
        }
        Ok(Ok(()))
    }

    fn define(&self, sql: &str, id: &Id, definition: &FeedbackDefinition) -> Outcome {
        let FeedbackDefinition { name, description, details } = definition;
        let folded = folded(name);
        self.execute(
            sql,
            params![
                self.workspace,
                id,
                name,
                folded,
                description.as_ref(),
                details.kind().code(),
                json_text(details),
                self.now,
                self.user
            ],
        )
    }
}

fn json_text(value: &impl serde::Serialize) -> String {
    // Texts and numbers, and objects of them: there is nothing that JSON could not say.
    serde_json::to_string(value).unwrap_or_default()
}

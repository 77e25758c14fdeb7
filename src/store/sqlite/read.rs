//! Reading.

use sqlx::Row as _;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::errors::from_sqlx;
use crate::model::Id;
use crate::record::StoredSpan;
use crate::store::StoreError;
use crate::store::cells::{Cells, SPAN_COLUMNS, SPAN_COLUMNS_COUNT, corrupt, id as id_at, read_span};

impl Cells for SqliteRow {
    fn integer(&self, at: usize) -> Result<Option<i64>, StoreError> {
        self.try_get(at).map_err(from_sqlx)
    }

    fn real(&self, at: usize) -> Result<Option<f64>, StoreError> {
        self.try_get(at).map_err(from_sqlx)
    }

    fn text(&self, at: usize) -> Result<Option<String>, StoreError> {
        self.try_get(at).map_err(from_sqlx)
    }

    fn bytes(&self, at: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.try_get(at).map_err(from_sqlx)
    }
}

/// One span with its payloads and its project, in one statement: never half of a commit.
pub(super) async fn span(readers: &SqlitePool, workspace: &str, id: Id) -> Result<Option<StoredSpan>, StoreError> {
    let sql = format!(
        "SELECT {SPAN_COLUMNS}, j.id, j.name FROM spans s \
         JOIN projects j ON j.key = s.project \
         LEFT JOIN span_payloads p ON p.span = s.key \
         WHERE s.workspace = (SELECT key FROM workspaces WHERE name = ?1) AND s.id = ?2"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(workspace)
        .bind(&id.0.as_bytes()[..])
        .fetch_optional(readers)
        .await
        .map_err(from_sqlx)?;
    let Some(cells) = row else { return Ok(None) };
    Ok(Some(StoredSpan {
        id,
        project_id: id_at(&cells, SPAN_COLUMNS_COUNT, "project")?.ok_or(corrupt("project"))?,
        project_name: cells.text(SPAN_COLUMNS_COUNT + 1)?.unwrap_or_default(),
        row: read_span(&cells, 0)?,
    }))
}

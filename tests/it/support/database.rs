//! What stands in the database itself.

use super::Server;

/// A request in a workspace.
pub(crate) fn in_workspace(server: &Server, workspace: &str, method: &str, path: &str) -> reqwest::RequestBuilder {
    server.api.request(method, path).header("comet-workspace", workspace).header("content-type", "application/json")
}

/// Fails unless the counts that are kept are those that counting gives.
#[track_caller]
pub(crate) fn recounted(server: &Server) {
    let database = rusqlite::Connection::open(&server.database).unwrap();
    for (kept, counted) in [
        (
            "SELECT project, type, spans FROM project_span_counts WHERE spans <> 0",
            "SELECT project, type, count(*) FROM spans GROUP BY project, type",
        ),
        (
            "SELECT project, hex(trace_id), spans FROM trace_span_counts WHERE spans <> 0",
            "SELECT project, hex(trace_id), count(*) FROM spans GROUP BY project, trace_id",
        ),
    ] {
        let sql = format!(
            "SELECT count(*) FROM (SELECT * FROM ({kept} EXCEPT {counted}) UNION ALL SELECT * FROM ({counted} EXCEPT {kept}))"
        );
        let different: i64 = database.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(different, 0, "{kept}");
    }
    let trouble: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(trouble, "ok");
}

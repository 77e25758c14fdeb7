//! What stands in the database itself.

use std::path::Path;

use super::Server;

/// A request in a workspace.
pub(crate) fn in_workspace(server: &Server, workspace: &str, method: &str, path: &str) -> reqwest::RequestBuilder {
    server.api.request(method, path).header("comet-workspace", workspace).header("content-type", "application/json")
}

/// Fails unless the counts that are kept are those that counting gives.
#[track_caller]
pub(crate) fn recounted(server: &Server) {
    recounted_in(&server.database);
}

/// The same for a database in a file.
#[track_caller]
pub(crate) fn recounted_in(file: &Path) {
    let database = rusqlite::Connection::open(file).unwrap();
    // What is deleted may still have to be removed.
    super::process::wait_for(|| {
        let pending: i64 = database
            .query_row("SELECT (SELECT count(*) FROM purges) + (SELECT count(*) FROM loose_contents)", [], |row| {
                row.get(0)
            })
            .unwrap();
        (pending == 0).then_some(())
    });
    for (kept, counted) in [
        (
            "SELECT project, type, spans FROM project_span_counts WHERE spans <> 0",
            "SELECT project, type, count(*) FROM spans GROUP BY project, type",
        ),
        (
            "SELECT workspace, project, hex(trace_id), spans, general_spans, tool_spans, llm_spans, guardrail_spans \
             FROM trace_sums",
            "SELECT workspace, project, hex(trace_id), count(*), sum(type = 1), sum(type = 2), sum(type = 3), \
             sum(type = 4) FROM spans GROUP BY workspace, project, trace_id",
        ),
        (
            "SELECT project, hex(trace_id), u.key, u.value, (SELECT n.value FROM json_each(usage_spans) n \
             WHERE n.key = u.key) FROM trace_sums, json_each(usage) u",
            "SELECT project, hex(trace_id), u.key, sum(u.value), count(*) FROM spans, json_each(usage) u \
             GROUP BY project, trace_id, u.key",
        ),
        (
            "SELECT project, hex(trace_id), n.key, n.value FROM trace_sums, json_each(providers) n",
            "SELECT project, hex(trace_id), provider, count(*) FROM spans WHERE provider IS NOT NULL \
             GROUP BY project, trace_id, provider",
        ),
        (
            "SELECT project, hex(trace_id), round(cost_value, 12) FROM trace_sums WHERE cost_value <> 0",
            "SELECT project, hex(trace_id), round(sum(cost_value), 12) FROM spans GROUP BY project, trace_id \
             HAVING sum(cost_value) <> 0",
        ),
        (
            "SELECT project, traces FROM project_trace_counts WHERE traces <> 0",
            "SELECT project, count(*) FROM traces GROUP BY project",
        ),
    ] {
        // Nobody asks for what was counted in deleted projects.
        let sql = format!(
            "SELECT count(*) FROM (SELECT * FROM ({kept} EXCEPT {counted}) UNION ALL SELECT * FROM ({counted} EXCEPT {kept})) \
             WHERE project NOT IN (SELECT key FROM projects WHERE deleted_at IS NOT NULL)"
        );
        let different: i64 = database.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(different, 0, "{kept}");
    }
    let trouble: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(trouble, "ok");
}

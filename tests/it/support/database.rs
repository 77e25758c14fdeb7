//! What stands in the database itself.

use super::{Home, Server, on_postgres, wait_for};

/// A request in a workspace.
pub(crate) fn in_workspace(server: &Server, workspace: &str, method: &str, path: &str) -> reqwest::RequestBuilder {
    server.api.request(method, path).header("comet-workspace", workspace).header("content-type", "application/json")
}

/// Fails unless the counts that are kept are those that counting gives.
#[track_caller]
pub(crate) fn recounted(server: &Server) {
    recounted_in(&server.home);
}

/// The same for a database that need not be served.
#[track_caller]
pub(crate) fn recounted_in(home: &Home) {
    // What is deleted may still have to be removed.
    wait_for(|| (home.rows("purges") + home.rows("loose_contents") == 0).then_some(()));
    for (kept, counted) in [
        (
            "SELECT project, type, sum(spans) FROM project_span_counts GROUP BY project, type HAVING sum(spans) <> 0",
            "SELECT project, type, count(*) FROM spans GROUP BY project, type",
        ),
        (
            "SELECT workspace, project, trace_id, spans, general_spans, tool_spans, llm_spans, guardrail_spans \
             FROM trace_sums",
            "SELECT workspace, project, trace_id, count(*), count(*) FILTER (WHERE type = 1), \
             count(*) FILTER (WHERE type = 2), count(*) FILTER (WHERE type = 3), count(*) FILTER (WHERE type = 4) \
             FROM spans GROUP BY workspace, project, trace_id",
        ),
        (
            "SELECT project, trace_id, u.key, CAST(u.value AS numeric), \
             (SELECT CAST(n.value AS numeric) FROM json_each(usage_spans) n WHERE n.key = u.key) \
             FROM trace_sums, json_each(usage) u",
            "SELECT project, trace_id, u.key, sum(CAST(u.value AS numeric)), count(*) FROM spans, json_each(usage) u \
             GROUP BY project, trace_id, u.key",
        ),
        (
            "SELECT project, trace_id, n.key, CAST(n.value AS numeric) FROM trace_sums, json_each(providers) n",
            "SELECT project, trace_id, provider, count(*) FROM spans WHERE provider IS NOT NULL \
             GROUP BY project, trace_id, provider",
        ),
        (
            "SELECT project, trace_id, round(CAST(cost_value AS numeric), 9) FROM trace_sums WHERE cost_value <> 0",
            "SELECT project, trace_id, round(CAST(sum(cost_value) AS numeric), 9) FROM spans \
             GROUP BY project, trace_id HAVING sum(cost_value) <> 0",
        ),
        (
            "SELECT project, sum(traces) FROM project_trace_counts GROUP BY project HAVING sum(traces) <> 0",
            "SELECT project, count(*) FROM traces GROUP BY project",
        ),
    ] {
        // Nobody asks for what was counted in deleted projects.
        let different = format!(
            "(SELECT * FROM ({kept} EXCEPT {counted}) one UNION ALL SELECT * FROM ({counted} EXCEPT {kept}) other) differing \
             WHERE project NOT IN (SELECT key FROM projects WHERE deleted_at IS NOT NULL)"
        );
        assert_eq!(home.rows(&different), 0, "{kept}");
    }
    if !on_postgres() {
        assert_eq!(home.texts("PRAGMA integrity_check"), ["ok"]);
    }
}

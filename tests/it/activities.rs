//! What happened in a project lately.

use serde_json::{Value, json};

use crate::support::{Server, fresh_id, in_workspace};

const NOON: i64 = 1_790_078_400_000; // 2026-09-22T12:00:00Z
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// An id of this millisecond.
fn id_at(millis: i64, number: u8) -> String {
    let millis = format!("{millis:012x}");
    format!("{}-{}-7000-8000-0000000000{number:02x}", &millis[..8], &millis[8..])
}

async fn project(server: &Server, name: &str) -> String {
    let answer = server.api.post("/v1/private/projects/retrieve", &json!({"name": name})).await.expect(200).json();
    answer["id"].as_str().unwrap().to_owned()
}

async fn activities(server: &Server, project: &str, query: &str) -> Value {
    server.api.get(&format!("/v1/private/projects/{project}/activities{query}")).await.expect(200).json()
}

#[tokio::test]
async fn days_with_traces_are_told_the_latest_first() {
    let server = Server::start().await;
    let put = async |name: &str, millis: i64, number: u8| {
        let id = id_at(millis, number);
        let trace = json!({"id": id, "project_name": name, "start_time": "2026-01-01T00:00:00Z"});
        server.api.post("/v1/private/traces", &trace).await.expect(201);
        id
    };
    // The last and the first millisecond of a day are of two days; ids tell, not the times that were stated.
    let midnight = NOON + 12 * HOUR;
    let oldest = put("p", NOON - 3 * DAY, 1).await;
    put("p", NOON, 1).await;
    put("p", NOON, 2).await;
    let last = put("p", midnight - 1, 1).await;
    let first = put("p", midnight, 1).await;
    put("elsewhere", NOON + 9 * DAY, 1).await;
    let id = project(&server, "p").await;
    let day = |id: &str, name: &str, time: &str| json!({"type": "trace_daily", "id": id, "name": name, "created_at": time, "created_by": "admin"});
    let days = [
        day(&first, "1 trace", "2026-09-23T00:00:00Z"),
        day(&last, "3 traces", "2026-09-22T23:59:59.999Z"),
        day(&oldest, "1 trace", "2026-09-19T12:00:00Z"),
    ];
    for (query, content) in [
        ("", &days[..]),
        ("?page=1&size=100", &days),
        ("?size=2", &days[..2]),
        ("?page=2&size=2", &days[2..]),
        ("?page=3&size=2", &[]),
        ("?page=2147483647&size=100", &[]),
    ] {
        let page = activities(&server, &id, query).await;
        assert_eq!(
            (&page["content"], &page["size"], &page["total"]),
            (&json!(content), &json!(content.len()), &json!(3))
        );
    }
    assert_eq!(activities(&server, &id, "?page=2&size=2").await["page"], 2);

    // What is deleted did not happen, and a project belongs to its workspace.
    server.api.delete(&format!("/v1/private/traces/{first}")).await.expect(204);
    server.api.delete(&format!("/v1/private/traces/{last}")).await.expect(204);
    let content = activities(&server, &id, "").await["content"].clone();
    assert_eq!(content[0], day(&id_at(NOON, 2), "2 traces", "2026-09-22T12:00:00Z"));
    assert_eq!(content.as_array().unwrap().len(), 2);
    let other = in_workspace(&server, "other", "GET", &format!("/v1/private/projects/{id}/activities"));
    server.api.send(other).await.expect(404);
    server.api.delete(&format!("/v1/private/projects/{id}")).await.expect(204);
    server.api.get(&format!("/v1/private/projects/{id}/activities")).await.expect(404);
}

#[tokio::test]
async fn a_page_is_within_bounds_and_of_a_project_that_is_there() {
    let server = Server::start().await;
    let id = project(&server, "Default Project").await;
    assert_eq!(activities(&server, &id, "").await, json!({"page": 1, "size": 0, "total": 0, "content": []}));
    for query in ["page=0", "size=0", "size=101", "page=x"] {
        server.api.get(&format!("/v1/private/projects/{id}/activities?{query}")).await.expect(400);
    }
    server.api.get(&format!("/v1/private/projects/{}/activities", fresh_id())).await.expect(404);
}

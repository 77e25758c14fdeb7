//! What a workspace is set up with: environments, feedback definitions, and how it is shown.

use serde_json::{Value, json};

use crate::support::{Server, fresh_id, in_workspace, snap, time};

const ENVIRONMENTS: &str = "/v1/private/environments";
const DEFINITIONS: &str = "/v1/private/feedback-definitions";
const CONFIGURATION: &str = "/v1/private/workspaces/configurations";

async fn create(server: &Server, path: &str, body: &Value) -> String {
    server.api.post(path, body).await.expect(201).header("location").to_owned()
}

async fn read(server: &Server, address: &str) -> Value {
    server.api.get(address).await.expect(200).json()
}

/// The names on a page, in order.
fn names(page: &Value) -> Vec<&str> {
    page["content"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn environments_are_made_read_changed_and_deleted() {
    let server = Server::start().await;
    let page = read(&server, ENVIRONMENTS).await;
    assert_eq!(names(&page), ["development", "staging", "production"]);
    assert_eq!((&page["page"], &page["size"], &page["total"]), (&json!(1), &json!(3), &json!(3)));
    assert_eq!((&page["sortableBy"], &page["sortable_by"]), (&json!(["created_at"]), &json!(["created_at"])));
    assert_eq!(page["content"][1]["color"], "#12A4B4");

    let id = fresh_id();
    let body = json!({"id": id, "name": "qa-eu", "description": "d", "color": null, "position": 4.0});
    let address = create(&server, ENVIRONMENTS, &body).await;
    assert_eq!(address, format!("{ENVIRONMENTS}/{id}"));
    let made = read(&server, &address).await;
    assert_eq!((&made["color"], &made["position"]), (&json!("#f43f5e"), &json!(4)));
    snap("environment__full", &made);
    // Letter case tells environments apart, as it does those of spans.
    let other = create(&server, ENVIRONMENTS, &json!({"name": "QA-eu", "color": "red"})).await;
    assert_eq!(read(&server, &other).await["color"], "red");

    server.api.patch(&address, &json!({"position": -1, "description": null})).await.expect(204);
    let changed = read(&server, &address).await;
    assert_eq!((&changed["position"], &changed["description"]), (&json!(-1), &json!("d")));
    assert!(time(&changed["last_updated_at"]) > time(&made["last_updated_at"]));
    server.api.patch(&address, &json!({"name": "qa-eu"})).await.expect(204);
    assert_eq!(names(&read(&server, ENVIRONMENTS).await)[3..], ["qa-eu", "QA-eu"]);

    server.api.post(&format!("{ENVIRONMENTS}/delete"), &json!({"ids": [id, fresh_id()]})).await.expect(204);
    server.api.get(&address).await.expect(404);
    create(&server, ENVIRONMENTS, &body).await;
}

#[tokio::test]
async fn a_workspace_that_is_made_later_has_no_environments_and_its_own_limit() {
    let server = Server::with_flags(&["--environments-max", "3"]).await;
    let page = server.api.send(in_workspace(&server, "team", "GET", ENVIRONMENTS)).await.expect(200).json();
    assert_eq!(page["total"], 0);
    for (name, status) in [("production", 201), ("b", 201), ("c", 201), ("d", 409)] {
        let request = in_workspace(&server, "team", "POST", ENVIRONMENTS).body(json!({"name": name}).to_string());
        server.api.send(request).await.expect(status);
    }
}

#[tokio::test]
async fn environments_that_spans_and_traces_name_are_listed_as_far_as_there_may_be_so_many() {
    let server = Server::with_flags(&["--environments-max", "6"]).await;
    let start = "2024-01-15T09:30:00Z";
    server.api.create(&json!({"start_time": start, "environment": "of-a-span"})).await;
    let trace = server.api.create_trace(&json!({"start_time": start, "environment": "of_a_trace"})).await;
    let there = ["development", "staging", "production", "of-a-span", "of_a_trace"];
    assert_eq!(names(&read(&server, ENVIRONMENTS).await), there);
    let page = read(&server, ENVIRONMENTS).await;
    let made = &page["content"][3];
    assert_eq!(
        (&made["color"], &made["position"], &made["created_by"]),
        (&json!("#06b6d4"), &json!(0), &json!("admin"))
    );

    // What is there is not made again, and no write is refused for a name that environments cannot have.
    server.api.create(&json!({"start_time": start, "environment": "of_a_trace"})).await;
    for name in ["with blanks", "", "ünïcode"] {
        let span = server.api.create(&json!({"start_time": start, "environment": name})).await;
        assert_eq!(server.api.span(&span).await["environment"], name);
    }
    assert_eq!(read(&server, ENVIRONMENTS).await, page);

    // The last that there may be, by an update; of many in one request, none is beyond.
    let update = json!({"environment": "by-an-update"});
    server.api.patch(&format!("/v1/private/traces/{trace}"), &update).await.expect(204);
    let more: Vec<Value> =
        (0..3).map(|number| json!({"start_time": start, "environment": format!("more-{number}")})).collect();
    server.api.post("/v1/private/spans/batch", &json!({"spans": more})).await.expect(204);
    let page = read(&server, ENVIRONMENTS).await;
    assert_eq!(names(&page), [&there[..], &["by-an-update"]].concat());

    // Workspaces have environments of their own.
    let request = in_workspace(&server, "team", "POST", "/v1/private/spans")
        .body(json!({"start_time": start, "environment": "theirs"}).to_string());
    server.api.send(request).await.expect(201);
    let theirs = server.api.send(in_workspace(&server, "team", "GET", ENVIRONMENTS)).await.expect(200).json();
    assert_eq!(names(&theirs), ["theirs"]);
    assert_eq!(read(&server, ENVIRONMENTS).await, page);
}

#[tokio::test]
async fn feedback_definitions_of_each_type_come_back_as_they_were_made() {
    let server = Server::start().await;
    let page = read(&server, DEFINITIONS).await;
    assert_eq!(names(&page), ["User feedback"]);
    assert_eq!(page["content"][0]["details"]["categories"], json!({"👍": 1.0, "👎": 0.0}));

    let mut addresses = Vec::new();
    for (name, body) in [
        ("numerical", r#"{"name":"How far","type":"numerical","description":"d","details":{"min":-1,"max":0.25}}"#),
        ("categorical", r#"{"name":"Which","type":"categorical","details":{"categories":{"zebra":1,"ant":-0.5}}}"#),
        ("boolean", r#"{"name":"Whether","type":"boolean","details":{"trueLabel":"Yes","falseLabel":"No"}}"#),
    ] {
        let answer = server.api.raw("POST", DEFINITIONS, body.to_owned()).await.expect(201);
        let address = answer.header("location").to_owned();
        let answer = server.api.get(&address).await.expect(200);
        if name == "categorical" {
            assert!(answer.text().contains(r#"{"zebra":1.0,"ant":-0.5}"#), "in order: {}", answer.text());
        }
        let mut made = answer.json();
        // The other spelling of what the snapshot has.
        for (documented, original) in [
            ("createdAt", "created_at"),
            ("createdBy", "created_by"),
            ("lastUpdatedAt", "last_updated_at"),
            ("lastUpdatedBy", "last_updated_by"),
        ] {
            assert_eq!(made.as_object_mut().unwrap().remove(documented).unwrap(), made[original]);
        }
        snap(&format!("feedback_definition__{name}"), &made);
        addresses.push(address);
    }
    for (query, wanted) in [
        ("", vec!["Whether", "Which", "How far", "User feedback"]),
        ("?name=WH", vec!["Whether", "Which"]),
        ("?type=categorical", vec!["Which", "User feedback"]),
        ("?type=categorical&name=wh&page=1&size=1", vec!["Which"]),
        ("?size=2&page=2", vec!["How far", "User feedback"]),
        ("?size=2&page=3", vec![]),
    ] {
        assert_eq!(names(&read(&server, &format!("{DEFINITIONS}{query}")).await), wanted, "{query}");
    }
    assert_eq!(read(&server, &format!("{DEFINITIONS}?size=2&page=3")).await["total"], 4);

    // All that it says is replaced, its type too.
    let body = json!({"name": "how FAR", "type": "boolean", "details": {"true_label": "Far", "false_label": "Near"}});
    server.api.raw("PUT", &addresses[0], body.to_string()).await.expect(204);
    let changed = read(&server, &addresses[0]).await;
    assert_eq!((&changed["name"], changed.get("description")), (&json!("how FAR"), None));
    let labels = json!({"trueLabel": "Far", "true_label": "Far", "falseLabel": "Near", "false_label": "Near"});
    assert_eq!(changed["details"], labels);
    // A client that changes what it read, and sends all of it back.
    let mut body = changed.clone();
    body["details"]["true_label"] = json!("Farther");
    server.api.raw("PUT", &addresses[0], body.to_string()).await.expect(204);
    let changed = read(&server, &addresses[0]).await;
    assert_eq!(changed["details"]["trueLabel"], "Farther");
    let mut taken = body.clone();
    taken["name"] = json!("wHETHER");
    assert_eq!(
        server.api.raw("PUT", &addresses[0], taken.to_string()).await.expect(409).errors(),
        ["Feedback already exists"]
    );
    assert_eq!(read(&server, &addresses[0]).await, changed);
}

#[tokio::test]
async fn feedback_definitions_are_deleted_together_or_not_at_all() {
    let server = Server::start().await;
    let body = json!({"name": "a", "type": "numerical", "details": {"min": 0, "max": 1}});
    let address = create(&server, DEFINITIONS, &body).await;
    let id = address.rsplit('/').next().unwrap();
    let stays = "0190babc-62a0-71d2-832a-0feffa4676eb";
    let delete = format!("{DEFINITIONS}/delete");
    server.api.post(&delete, &json!({"ids": [id, stays]})).await.expect(409);
    server.api.get(&address).await.expect(200);
    server.api.post(&delete, &json!({"ids": [id, fresh_id()]})).await.expect(204);
    server.api.get(&address).await.expect(404);
    let again = create(&server, DEFINITIONS, &body).await;
    for _ in 0..2 {
        server.api.raw("DELETE", &again, String::new()).await.expect(204);
    }
    server.api.get(&again).await.expect(404);
}

#[tokio::test]
async fn a_workspace_configuration_is_replaced_as_a_whole() {
    let server = Server::start().await;
    let answer = server.api.get(CONFIGURATION).await.expect(404);
    assert_eq!(answer.errors(), ["No workspace configuration found for workspace"]);
    let first = json!({"timeout_to_mark_thread_as_inactive": "P1DT30M", "truncation_on_tables": false});
    let second = json!({"color_map": {"a/b": "#00ff7F"}});
    for body in [&first, &second, &json!({})] {
        assert_eq!(&server.api.raw("PUT", CONFIGURATION, body.to_string()).await.expect(200).json(), body);
        assert_eq!(&read(&server, &format!("/api{CONFIGURATION}/")).await, body);
    }
    server.api.send(in_workspace(&server, "team", "GET", CONFIGURATION)).await.expect(404);
    for _ in 0..2 {
        server.api.raw("DELETE", CONFIGURATION, String::new()).await.expect(204);
    }
    server.api.get(CONFIGURATION).await.expect(404);

    let colors: serde_json::Map<String, Value> = (0..=10_000).map(|n| (n.to_string(), json!("#000000"))).collect();
    let answer = server.api.raw("PUT", CONFIGURATION, json!({"color_map": colors}).to_string()).await.expect(422);
    assert_eq!(answer.pointers(), ["/color_map"]);
}

#[tokio::test]
async fn who_starts_is_told_what_it_asks() {
    let server = Server::start().await;
    let toggles = read(&server, "/api/v1/private/toggles/").await;
    let members = toggles.as_object().unwrap();
    let on: Vec<&String> = members.iter().filter(|(_, value)| **value == true).map(|(name, _)| name).collect();
    assert!(on.is_empty(), "{on:?}");
    assert_eq!(members.values().filter(|value| **value == false).count(), 58, "in both spellings");
    assert_eq!((&toggles["opikAIEnabled"], &toggles["opik_aienabled"]), (&json!(false), &json!(false)));
    assert_eq!((&toggles["defaultPageSize"], &toggles["default_page_size"]), (&json!(100), &json!(100)));
    assert_eq!(
        (&toggles["force_workspace_version"], &toggles["v1WorkspaceAllowlistIds"]),
        (&json!("version_2"), &json!([]))
    );

    let version = read(&server, "/v1/private/workspaces/versions").await;
    assert_eq!(version, json!({"opik_version": "version_2"}));
    assert_eq!(read(&server, "/v1/private/auth/workspace").await, json!({"workspace_name": "default"}));
    let request = in_workspace(&server, "team", "GET", "/v1/private/auth/workspace");
    assert_eq!(server.api.send(request).await.expect(200).json(), json!({"workspace_name": "team"}));
    let permissions = read(&server, "/v1/private/workspace-permissions").await;
    assert_eq!(
        permissions,
        json!({"userName": "admin", "user_name": "admin", "workspaceName": "default", "workspace_name": "default",
               "permissions": []})
    );
    for body in ["", "{}"] {
        server.api.raw("POST", "/api/v1/private/auth", body.to_owned()).await.expect(204);
    }
}

#[tokio::test]
async fn a_link_leads_to_the_trace_on_the_host_that_was_asked() {
    let server = Server::start().await;
    let trace = fresh_id();
    let body = json!({"start_time": "2024-01-15T09:30:00Z", "trace_id": trace, "project_name": "linked"}).to_string();
    server.api.send(in_workspace(&server, "team ü", "POST", "/v1/private/spans").body(body)).await.expect(201);
    let page = server.api.send(in_workspace(&server, "team ü", "GET", "/v1/private/projects")).await.expect(200).json();
    let project = page["content"][0]["id"].as_str().unwrap().to_owned();
    // http://localhost:5173/api and https://example.com/opik/api
    for (path, prefix) in
        [("aHR0cDovL2xvY2FsaG9zdDo1MTczL2FwaQ==", ""), ("aHR0cHM6Ly9leGFtcGxlLmNvbS9vcGlrL2FwaQ==", "/opik")]
    {
        let query = [("trace_id", &*trace), ("path", path), ("workspace_name", "team ü")];
        // As SDKs print it, with the slash.
        let request = server.api.request("GET", "/api/v1/session/redirect/projects/").query(&query);
        let answer = server.api.send(request).await.expect(303);
        let to = format!("{prefix}/team%20%C3%BC/projects/{project}/traces?tab=logs&logsType=traces&trace={trace}");
        assert_eq!(answer.header("location"), to);
    }
    // A trace itself tells its project, whatever its spans are in.
    let whole = fresh_id();
    for (area, body) in [
        ("spans", json!({"start_time": "2024-01-15T09:30:00Z", "trace_id": whole, "project_name": "of spans"})),
        ("traces", json!({"start_time": "2024-01-15T09:30:00Z", "id": whole, "project_name": "of traces"})),
    ] {
        let request = in_workspace(&server, "team ü", "POST", &format!("/v1/private/{area}"));
        server.api.send(request.body(body.to_string())).await.expect(201);
    }
    let read = in_workspace(&server, "team ü", "GET", &format!("/v1/private/traces/{whole}"));
    let own = server.api.send(read).await.expect(200).json()["project_id"].as_str().unwrap().to_owned();
    let address = format!("/v1/session/redirect/projects?trace_id={whole}&path=aHR0cDovL2EvYXBp");
    let answer = server.api.send(in_workspace(&server, "team ü", "GET", &address)).await.expect(303);
    assert!(answer.header("location").contains(&own), "{}", answer.header("location"));

    let elsewhere = format!("/v1/session/redirect/projects?trace_id={trace}&path=aHR0cDovL2EvYXBp");
    server.api.get(&elsewhere).await.expect(404);
    server
        .api
        .send(in_workspace(&server, "team ü", "DELETE", &format!("/v1/private/projects/{project}")))
        .await
        .expect(204);
    server.api.send(in_workspace(&server, "team ü", "GET", &elsewhere)).await.expect(404);
}

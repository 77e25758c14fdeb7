//! Refused requests, row by row; see `tests/data/bad_input.yaml`.

use serde::Deserialize;

use crate::support::{Api, Server, fresh_id, snap};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default)]
    first: Vec<First>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default = "post")]
    method: String,
    #[serde(default = "spans")]
    path: String,
    #[serde(default = "json")]
    media_type: String,
    #[serde(default)]
    body: String,
    times: Option<(String, usize)>,
    numbered: Option<usize>,
    nested: Option<usize>,
    status: u16,
    #[serde(default)]
    errors: Vec<String>,
    details: Option<String>,
    #[serde(default)]
    pointers: Vec<String>,
    at: Option<(i64, i64)>,
    differs: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    #[serde(default = "post")]
    method: String,
    #[serde(default = "spans")]
    path: String,
    body: String,
}

fn post() -> String {
    "POST".to_owned()
}

fn spans() -> String {
    "/v1/private/spans".to_owned()
}

fn json() -> String {
    "application/json".to_owned()
}

fn rows() -> Vec<Row> {
    yaml_serde::from_str(include_str!("../data/bad_input.yaml")).unwrap()
}

/// How much is stored.
fn stored(server: &Server) -> Vec<i64> {
    [
        "workspaces",
        "projects",
        "spans",
        "span_payloads",
        "traces",
        "trace_payloads",
        "scores",
        "comments",
        "attachments",
        "threads",
        "environments",
        "feedback_definitions",
        "workspace_configurations",
    ]
    .map(|table| server.home.rows(table))
    .to_vec()
}

impl Row {
    fn body(&self) -> String {
        if let Some(levels) = self.nested {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            return format!(r#"{{"start_time":"2024-01-15T09:30:00Z","input":{open}{close}}}"#);
        }
        let many = match (&self.times, self.numbered) {
            (Some((text, times)), _) => text.repeat(*times),
            (None, Some(times)) => (0..times).map(|number| format!("\"{number}\",")).collect::<Vec<_>>().concat(),
            (None, None) => String::new(),
        };
        self.body.replace("$TIMES", &many)
    }

    async fn play(&self, server: &Server) {
        let ids = [("$ID", fresh_id()), ("$TRACE", fresh_id()), ("$OTHER", fresh_id())];
        let filled = |text: &str| ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id));
        for First { method, path, body } in &self.first {
            let answer = server.api.raw(method, &filled(path), filled(body)).await;
            assert!(answer.status < 300, "{}: {}", self.name, answer.text());
        }
        let before = stored(server);
        let answer = self.send(&server.api, &filled(&self.path), filled(&self.body())).await;
        assert_eq!(answer.status, self.status, "{}: {}", self.name, answer.text());
        if answer.status < 300 {
            return;
        }
        assert_eq!(stored(server), before, "{}: a refused request changed something", self.name);
        let errors = answer.errors();
        for wanted in &self.errors {
            let wanted = filled(wanted);
            assert!(errors.iter().any(|error| error.contains(&wanted)), "{}: {errors:?} lacks {wanted:?}", self.name);
        }
        if !self.pointers.is_empty() {
            assert_eq!(answer.pointers(), self.pointers, "{}", self.name);
        }
        if let Some(details) = &self.details {
            assert_eq!(answer.json()["details"], details.as_str(), "{}", self.name);
        }
        if let Some((line, column)) = self.at {
            let violation = &answer.json()["violations"][0];
            assert_eq!((&violation["line"], &violation["column"]), (&line.into(), &column.into()), "{}", self.name);
        }
    }

    async fn send(&self, api: &Api, path: &str, body: String) -> crate::support::Answer {
        let mut request = api.request(&self.method, path);
        if self.method != "GET" {
            request = request.body(body);
        }
        if !self.media_type.is_empty() {
            request = request.header("content-type", &self.media_type);
        }
        api.send(request).await
    }
}

#[tokio::test]
async fn every_row_is_answered_as_it_says() {
    let shared = Server::start().await;
    let rows = rows();
    assert!(rows.len() > 100, "only {} rows", rows.len());
    for row in rows {
        if row.flags.is_empty() {
            row.play(&shared).await;
        } else {
            let flags: Vec<&str> = row.flags.iter().map(String::as_str).collect();
            row.play(&Server::with_flags(&flags).await).await;
        }
    }
}

/// Whoever wonders about an answer finds the reason in the documentation.
#[test]
fn every_difference_is_told() {
    let told = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md")).unwrap();
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    for row in rows() {
        if let Some(differs) = row.differs {
            assert!(
                told.contains(&differs.to_lowercase()),
                "{}: docs/compatibility.md does not say: {differs}",
                row.name
            );
        }
    }
}

/// The shapes of error answers, as they were accepted.
#[tokio::test]
async fn errors_look_as_they_were_accepted() {
    let server = Server::start().await;
    for (row, name) in [
        ("no JSON", "error__syntax"),
        ("an unknown type", "error__type"),
        ("an id of version 4", "error__id_version"),
        ("no JSON media type", "error__media_type"),
        ("a method that is not there", "error__method"),
        ("a path that is not there", "error__path"),
        ("an area that is not there", "error__area"),
        ("no body", "error__no_body"),
        ("no start", "error__rule"),
        ("all rules at once", "error__rules"),
        ("a batch with a span without start", "error__batch_rule"),
        ("a batch with a null", "error__batch_type"),
        ("another trace than the span has", "error__conflict"),
        ("an update in an unknown project", "error__project"),
        ("a parameter that means nothing", "error__parameter"),
    ] {
        let rows = rows();
        let row = rows.iter().find(|known| known.name == row).unwrap_or_else(|| panic!("no row {row}"));
        let (id, other) = ("01a20204-c23a-7bad-84c4-1aba08155ea5", "01a20204-c23a-7bad-84c4-1aba08155ea6");
        let filled = |text: &str| text.replace("$ID", id).replace("$TRACE", id).replace("$OTHER", other);
        for first in &row.first {
            server.api.raw(&first.method, &filled(&first.path), filled(&first.body)).await;
        }
        let answer = row.send(&server.api, &filled(&row.path), filled(&row.body())).await;
        snap(name, &answer.json());
    }
    let gone = "/v1/private/spans/01a20204-c23a-7bad-84c4-1aba08155ea0";
    snap("error__span", &server.api.get(gone).await.expect(404).json());
}

//! A user interface that is served beside the API.

use std::path::Path;

use crate::support::{Answer, Api, Process, Server};

const PAGE: &str = "<!doctype html><title>A user interface</title>";
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// A built user interface, beside a file that is not to be reached.
fn built() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    write("secret.txt", "secret");
    write("ui/index.html", PAGE);
    write("ui/favicon.ico", "icon");
    write("ui/assets/index-BxYz12_4.js", "run()");
    write("ui/.env", "secret");
    write("ui/v1/private/spans", "shadow");
    write("ui/a b/ü.txt", "odd");
    folder
}

async fn server(folder: &Path) -> Server {
    let ui = folder.join("ui");
    Server::with_flags(&["--ui-dir", ui.to_str().unwrap()]).await
}

async fn get(api: &Api, path: &str, accept: &str) -> Answer {
    api.send(api.request("GET", path).header("accept", accept)).await
}

#[tokio::test]
async fn pages_are_for_browsers_and_files_for_everyone() {
    let folder = built();
    let server = server(folder.path()).await;
    let api = &server.api;
    for path in ["/", "/default/projects/01a20204/traces?tab=logs", "/default/", "/no/such/file.js"] {
        let answer = get(api, path, BROWSER).await.expect(200);
        assert_eq!((answer.text().as_str(), answer.header("content-type")), (PAGE, "text/html"), "{path}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    for (path, text, media_type, kept) in [
        ("/assets/index-BxYz12_4.js", "run()", "text/javascript", "public, max-age=31536000, immutable"),
        ("/favicon.ico", "icon", "image/x-icon", "no-cache"),
        ("/index.html", PAGE, "text/html", "no-cache"),
        ("/a%20b/%C3%BC.txt", "odd", "text/plain", "no-cache"),
    ] {
        let answer = get(api, path, "*/*").await.expect(200);
        let told = (answer.header("content-type"), answer.header("cache-control"));
        assert_eq!((answer.text().as_str(), told), (text, (media_type, kept)), "{path}");
        let since = answer.header("last-modified");
        api.send(api.request("GET", path).header("if-modified-since", since)).await.expect(304);
        let head = api.send(api.request("HEAD", path)).await.expect(200);
        assert_eq!(head.header("content-length"), text.len().to_string());
    }
    for (path, accept) in [("/default/projects", "*/*"), ("/assets/gone.js", "*/*"), ("/assets", "application/json")] {
        get(api, path, accept).await.expect(404);
    }
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        api.send(api.request(method, "/default/projects").header("accept", BROWSER)).await.expect(404);
    }
}

#[tokio::test]
async fn no_address_of_the_api_answers_with_a_page() {
    let folder = built();
    let server = server(folder.path()).await;
    let api = &server.api;
    for path in [
        "/v1/private/datasets",
        "/v1/private/spans/no-id",
        "/v1/private/nothing/at/all",
        "/v1",
        "/api",
        "/api/",
        "/api/v1/private/datasets",
        "/api/projects",
        "/api/favicon.ico",
        "//v1/private/datasets",
        "/%76%31/private/datasets",
        "/is-alive/pong",
        "/health/more",
        "/openapi.yml",
        "/v1/session/redirect/datasets",
    ] {
        let answer = get(api, path, BROWSER).await.expect(404);
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
    }
    get(api, "/swagger-ui/nothing.js", BROWSER).await.expect(404);
    // What is there stays what it is, whatever files there are.
    get(api, "/v1/private/spans", BROWSER).await.expect(400);
    get(api, "/health", BROWSER).await.expect(200).json();
    get(api, "/openapi.json", BROWSER).await.expect(200).json();
    assert!(get(api, "/swagger-ui/", BROWSER).await.expect(200).text().contains("swagger"));
    api.send(api.request("PUT", "/v1/private/spans").header("accept", BROWSER)).await.expect(405);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_the_folder_is_reached() {
    let folder = built();
    let server = server(folder.path()).await;
    // As it stands: a client's library would tidy it up.
    for path in [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/..%5csecret.txt",
        "/.env",
        "/%2eenv",
        "/assets/..%00/secret.txt",
        &format!("/{}", folder.path().join("secret.txt").display()),
    ] {
        let mut wire = server.api.connect();
        wire.head("GET", path, &[("Accept", "*/*")]);
        let answer = wire.answer();
        assert!(!answer.text().contains("secret\n") && answer.text() != "secret", "{path}");
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn without_a_user_interface_there_are_no_pages_but_ours() {
    let server = Server::start().await;
    get(&server.api, "/default/projects", BROWSER).await.expect(404);
    assert!(get(&server.api, "/", BROWSER).await.expect(200).text().contains("Explore the API"));
}

#[test]
fn a_folder_without_a_page_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let output = Process::run(&["serve", "--listen", "127.0.0.1:0", "--ui-dir", folder.path().to_str().unwrap()], &[]);
    assert!(!output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("has no index.html"), "{told}");
}

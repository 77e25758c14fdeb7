//! Files of spans and traces: sent, listed, read, put into payloads, and removed with what they belong to.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use nix::sys::signal::Signal;
use reqwest::{Body, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, Api, Home, Process, Server, beside, fresh_id, in_workspace, on_postgres, wait_for};

const UPLOAD: &str = "/v1/private/attachment/upload";
const DELETE: &str = "/v1/private/attachment/delete";
const START: &str = "2024-01-15T09:30:00Z";

/// What a file belongs to.
#[derive(Debug, Clone, Copy)]
struct Owner<'a>(&'a str, &'a str);

impl Owner<'_> {
    fn put(self, api: &Api, name: &str, content: impl Into<Body>) -> RequestBuilder {
        let query = [("file_name", name), ("entity_type", self.0), ("entity_id", self.1), ("project_name", "p")];
        api.request("PUT", UPLOAD).query(&query).body(content)
    }

    async fn upload(self, api: &Api, name: &str, content: impl Into<Body>) {
        api.send(self.put(api, name, content)).await.expect(204);
    }

    fn list_in(self, api: &Api, project: &str) -> RequestBuilder {
        let path = base64(format!("{}/api", api.base).as_bytes());
        let query = [("project_id", project), ("entity_type", self.0), ("entity_id", self.1), ("path", path.as_str())];
        api.request("GET", "/v1/private/attachment/list").query(&query)
    }

    /// Its files, in project `p`.
    async fn list(self, api: &Api) -> Value {
        let request = self.list_in(api, &project(api).await);
        api.send(request).await.expect(200).json()
    }

    async fn names(self, api: &Api) -> Vec<String> {
        let list = self.list(api).await;
        list["content"].as_array().unwrap().iter().map(|file| file["file_name"].as_str().unwrap().to_owned()).collect()
    }

    /// The address of its only file.
    async fn link(self, api: &Api) -> String {
        let list = self.list(api).await;
        assert_eq!(list["total"], 1, "{list}");
        let link = list["content"][0]["link"].as_str().unwrap();
        link.strip_prefix(&api.base).unwrap_or_else(|| panic!("{link}")).to_owned()
    }
}

/// A body that comes in pieces, without a length.
fn in_pieces(pieces: &[&'static str]) -> Body {
    let frames = pieces.iter().map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(piece.as_bytes()))));
    Body::wrap(StreamBody::new(futures_util::stream::iter(frames.collect::<Vec<_>>())))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The id of project `p`.
async fn project(api: &Api) -> String {
    let answer = api.post("/v1/private/projects/retrieve", &json!({"name": "p"})).await.expect(200);
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn part(api: &Api, link: &str, range: &str) -> Answer {
    api.send(api.request("GET", link).header("range", range)).await
}

fn folder_of(home: &Home) -> PathBuf {
    beside(&home.file(), "-files")
}

/// The contents that are kept, by their hashes.
fn kept(home: &Home) -> BTreeSet<String> {
    if on_postgres() {
        let hashes = home.texts("SELECT DISTINCT encode(sha256, 'hex') FROM contents");
        return hashes.into_iter().collect();
    }
    let Ok(entries) = std::fs::read_dir(folder_of(home)) else { return BTreeSet::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "partial").collect()
}

/// Loses all contents.
fn lose_contents(home: &Home) {
    if on_postgres() {
        home.execute("DELETE FROM contents");
    } else {
        for content in kept(home) {
            std::fs::remove_file(folder_of(home).join(content)).unwrap();
        }
    }
}

/// What is not received whole.
fn partial(home: &Home) -> usize {
    std::fs::read_dir(folder_of(home).join("partial")).map_or(0, Iterator::count)
}

/// Waits until there are so many.
#[track_caller]
fn wait_for_kept(home: &Home, count: usize) {
    wait_for(|| (kept(home).len() == count).then_some(()));
}

#[tokio::test]
async fn a_file_goes_the_way_that_the_sdks_take() {
    let server = Server::start().await;
    let api = &server.api;
    let trace = fresh_id();
    let start = json!({"file_name": "a b+ü.png", "num_of_file_parts": 3, "mime_type": "image/png", "project_name": "p",
        "entity_type": "trace", "entity_id": trace, "path": base64(format!("{}/api/", api.base).as_bytes())});
    let answer = api.post("/v1/private/attachment/upload-start", &start).await.expect(200).json();
    assert_eq!(answer["upload_id"], "BEMinIO");
    let urls = answer["pre_sign_urls"].as_array().unwrap();
    let url = urls[0].as_str().unwrap().strip_prefix(&api.base).unwrap();
    assert!(urls.len() == 1 && url.starts_with("/api/v1/private/attachment/upload?"), "{answer}");

    // In pieces, without a length or a type, before there is anything it could belong to.
    let body = in_pieces(&["\u{89}PNG", "", "\0\r\n", "end"]);
    api.send(api.request("PUT", url).body(body)).await.expect(204);
    let content = "\u{89}PNG\0\r\nend".as_bytes();

    let owner = Owner("trace", &trace);
    let list = owner.list(api).await;
    assert_eq!((&list["page"], &list["size"], &list["total"]), (&json!(1), &json!(1), &json!(1)), "{list}");
    assert_eq!((&list["sortableBy"], &list["sortable_by"]), (&json!([]), &json!([])), "{list}");
    let file = &list["content"][0];
    assert_eq!(
        (&file["file_name"], &file["file_size"], &file["mime_type"]),
        (&json!("a b+ü.png"), &json!(content.len()), &json!("image/png"))
    );
    let link = owner.link(api).await;
    assert!(link.starts_with("/api/v1/private/attachment/download?workspace_name=default&"), "{link}");
    let answer = api.get(&link).await.expect(200);
    assert_eq!(answer.body, content);
    assert_eq!(answer.header("content-type"), "image/png");
    let complete = json!({"file_name": "a", "entity_type": "trace", "entity_id": trace, "file_size": 1,
        "upload_id": "BEMinIO", "uploaded_file_parts": [{"e_tag": "t", "part_number": 1}]});
    api.post("/v1/private/attachment/upload-complete", &complete).await.expect(204);
}

#[tokio::test]
async fn names_are_any_text_and_never_a_path() {
    let server = Server::start().await;
    let (api, span) = (&server.api, fresh_id());
    let owner = Owner("span", &span);
    let long = "n".repeat(300);
    let names =
        ["../../escape", "/etc/passwd", "a\\b", "a\"b;c", "line\r\nbreak", "nul\0", "..", "ü🚀", " ", "%2e%2e", &long];
    for name in names {
        owner.upload(api, name, name.to_owned()).await;
    }
    let mut sorted: Vec<&str> = names.to_vec();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    assert_eq!(owner.names(api).await, sorted);
    for file in owner.list(api).await["content"].as_array().unwrap() {
        let link = file["link"].as_str().unwrap().strip_prefix(&api.base).unwrap();
        let answer = api.get(link).await.expect(200);
        assert_eq!(answer.text(), file["file_name"].as_str().unwrap());
        assert!(answer.header("content-disposition").starts_with("attachment; filename=\""), "{file}");
    }
    let kept = kept(&server.home);
    assert_eq!(kept.len(), names.len());
    assert!(kept.iter().all(|name| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())), "{kept:?}");
    let page = api.send(owner.list_in(api, &project(api).await).query(&[("page", "3"), ("size", "5")])).await;
    let page = page.expect(200).json();
    assert_eq!((&page["size"], &page["total"]), (&json!(1), &json!(names.len())), "{page}");
}

#[tokio::test]
async fn a_media_type_is_the_stated_one_or_that_of_the_name() {
    let server = Server::start().await;
    let api = &server.api;
    for (name, stated, wanted, sent) in [
        ("a.png", "", "image/png", "image/png"),
        ("a.PDF", " ", "application/pdf", "application/pdf"),
        ("a", "", "application/octet-stream", "application/octet-stream"),
        ("a.png", "text/x-mine; charset=utf-8", "text/x-mine; charset=utf-8", "text/x-mine; charset=utf-8"),
        // What cannot stand in a header is sent as bytes.
        ("a.png", "a\r\nset-cookie: b", "a\r\nset-cookie: b", "application/octet-stream"),
    ] {
        let id = fresh_id();
        let owner = Owner("trace", &id);
        api.send(owner.put(api, name, "x").query(&[("mime_type", stated)])).await.expect(204);
        assert_eq!(owner.list(api).await["content"][0]["mime_type"], wanted);
        let answer = api.get(&owner.link(api).await).await.expect(200);
        assert_eq!(answer.header("content-type"), sent);
    }
}

#[tokio::test]
async fn a_file_can_be_read_in_parts() {
    let server = Server::start().await;
    let (api, trace) = (&server.api, fresh_id());
    let owner = Owner("trace", &trace);
    owner.upload(api, "a.txt", "0123456789").await;
    let link = owner.link(api).await;
    for (range, wanted, text) in [
        ("bytes=0-0", "bytes 0-0/10", "0"),
        ("bytes=3-5", "bytes 3-5/10", "345"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-2", "bytes 8-9/10", "89"),
        ("bytes=5-999", "bytes 5-9/10", "56789"),
    ] {
        let answer = part(api, &link, range).await.expect(206);
        assert_eq!((answer.header("content-range"), answer.text().as_str()), (wanted, text), "{range}");
        assert_eq!(answer.header("content-length"), text.len().to_string());
    }
    let answer = part(api, &link, "bytes=10-").await.expect(416);
    assert_eq!(answer.header("content-range"), "bytes */10");
    assert_eq!(part(api, &link, "bytes=0-1,3-4").await.expect(200).text(), "0123456789");
    let head = api.send(api.request("HEAD", &link)).await.expect(200);
    assert_eq!((head.header("content-length"), head.header("accept-ranges")), ("10", "bytes"));
    // As it is, so that its length is told and parts of it are parts.
    owner.upload(api, "a.txt", "x".repeat(10_000)).await;
    let answer = api.send(api.request("GET", &link).header("accept-encoding", "gzip")).await.expect(200);
    assert_eq!((answer.headers.get("content-encoding"), answer.header("content-length")), (None, "10000"));
}

#[tokio::test]
async fn a_page_among_the_files_runs_nothing() {
    let server = Server::start().await;
    let (api, trace) = (&server.api, fresh_id());
    let owner = Owner("trace", &trace);
    owner.upload(api, "a.html", "<script>alert(1)</script>").await;
    let link = owner.link(api).await;
    for answer in [api.get(&link).await.expect(200), part(api, &link, "bytes=0-7").await.expect(206)] {
        assert_eq!(answer.header("content-type"), "text/html");
        assert_eq!(answer.header("content-disposition"), "attachment; filename=\"a.html\"");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("content-security-policy"), "default-src 'none'; sandbox");
    }
}

#[tokio::test]
async fn files_are_of_their_workspace_and_project() {
    let server = Server::start().await;
    let (api, trace) = (&server.api, fresh_id());
    let owner = Owner("trace", &trace);
    owner.upload(api, "a.txt", "default's").await;
    let there = owner.put(api, "a.txt", "team's").header("comet-workspace", "team");
    api.send(there).await.expect(204);
    let link = owner.link(api).await;
    assert_eq!(api.get(&link).await.expect(200).text(), "default's");
    api.get(&link.replace("workspace_name=default", "workspace_name=team")).await.expect(404);
    let retrieve = in_workspace(&server, "team", "POST", "/v1/private/projects/retrieve").body(r#"{"name":"p"}"#);
    let team = api.send(retrieve).await.expect(200).json()["id"].as_str().unwrap().to_owned();
    let list = owner.list_in(api, &team).header("comet-workspace", "team");
    let link = api.send(list).await.expect(200).json()["content"][0]["link"].as_str().unwrap().to_owned();
    // A browser sends no header.
    assert_eq!(api.get(link.strip_prefix(&api.base).unwrap()).await.expect(200).text(), "team's");
    let nothing = api.send(owner.list_in(api, &team)).await.expect(200).json();
    assert_eq!(nothing["content"], json!([]));
    assert_eq!(Owner("span", &trace).list(api).await["content"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_is_kept_once_and_as_long_as_a_file_has_it() {
    let server = Server::start().await;
    let (api, one, other) = (&server.api, fresh_id(), fresh_id());
    let (one, other) = (Owner("trace", &one), Owner("span", &other));
    one.upload(api, "a.txt", "same").await;
    one.upload(api, "b.txt", "same").await;
    other.upload(api, "c.txt", "same").await;
    assert_eq!(kept(&server.home).len(), 1);
    // The same name again replaces it.
    one.upload(api, "a.txt", "new").await;
    one.upload(api, "a.txt", "newer").await;
    wait_for_kept(&server.home, 2);
    let list = one.list(api).await;
    assert_eq!((&list["total"], &list["content"][1]["file_size"]), (&json!(2), &json!(5)), "{list}");

    let project = project(api).await;
    let delete = |owner: Owner<'_>, names: Value| json!({"file_names": names, "entity_type": owner.0, "entity_id": owner.1, "container_id": project});
    api.post(DELETE, &delete(one, json!(["b.txt", "unknown"]))).await.expect(204);
    assert_eq!(one.names(api).await, ["a.txt"]);
    let elsewhere = json!({"file_names": ["a.txt"], "entity_type": "trace", "entity_id": one.1});
    api.post(DELETE, &elsewhere).await.expect(204);
    assert_eq!(one.names(api).await, ["a.txt"], "the default project has no such file");
    api.post(DELETE, &delete(one, json!(["a.txt"]))).await.expect(204);
    wait_for_kept(&server.home, 1);
    assert_eq!(api.get(&other.link(api).await).await.expect(200).text(), "same");
    // As generated clients say it.
    let generated = json!({"file_name": "c.txt", "entity_type": "span", "entity_id": other.1, "project_name": "P",
        "file_size": 4, "upload_id": "BEMinIO", "uploaded_file_parts": []});
    let link = other.link(api).await;
    api.post(DELETE, &generated).await.expect(204);
    api.get(&link).await.expect(404);
    wait_for_kept(&server.home, 0);
    // And it can come again.
    other.upload(api, "c.txt", "same").await;
    assert_eq!(api.get(&other.link(api).await).await.expect(200).text(), "same");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_with_what_they_belong_to() {
    let server = Server::start().await;
    let api = &server.api;
    let (trace, span, alone) = (fresh_id(), fresh_id(), fresh_id());
    let trace_body = json!({"id": trace, "start_time": START, "project_name": "p"});
    api.post("/v1/private/traces", &trace_body).await.expect(201);
    for (id, of) in [(&span, &trace), (&alone, &fresh_id())] {
        api.create(&json!({"id": id, "trace_id": of, "start_time": START, "project_name": "p"})).await;
    }
    for (owner, content) in [(Owner("trace", &trace), "1"), (Owner("span", &span), "2"), (Owner("span", &alone), "3")] {
        owner.upload(api, "a.txt", content).await;
    }
    assert_eq!(kept(&server.home).len(), 3);
    api.delete(&format!("/v1/private/spans/{alone}")).await.expect(204);
    assert_eq!(Owner("span", &alone).names(api).await, [""; 0]);
    wait_for_kept(&server.home, 2);
    api.delete(&format!("/v1/private/traces/{trace}")).await.expect(204);
    assert_eq!(Owner("span", &span).names(api).await, [""; 0]);
    wait_for_kept(&server.home, 0);

    Owner("trace", &trace).upload(api, "a.txt", "4").await;
    let link = Owner("trace", &trace).link(api).await;
    let project = project(api).await;
    api.delete(&format!("/v1/private/projects/{project}")).await.expect(204);
    api.get(&link).await.expect(404);
    let list = api.send(Owner("trace", &trace).list_in(api, &project)).await.expect(200).json();
    assert_eq!(list["total"], 0);
    // What comes for a project of that name now is another's.
    Owner("trace", &trace).upload(api, "a.txt", "5").await;
    api.post("/v1/private/traces", &trace_body).await.expect(201);
    wait_for_kept(&server.home, 1);
    assert_eq!(api.get(&Owner("trace", &trace).link(api).await).await.expect(200).text(), "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_big_trace_are_gone_at_once_and_removed_piece_by_piece() {
    let server = Server::start().await;
    let (api, trace) = (&server.api, fresh_id());
    let ids: Vec<String> = (0..2_500).map(|_| fresh_id()).collect();
    for ids in ids.chunks(1_000) {
        let span = |id| json!({"id": id, "trace_id": trace, "project_name": "p", "start_time": START});
        let spans: Vec<Value> = ids.iter().map(span).collect();
        api.post("/v1/private/spans/batch", &json!({"spans": spans})).await.expect(204);
    }
    let (first, last) = (Owner("span", &ids[0]), Owner("span", &ids[2_499]));
    first.upload(api, "a.txt", "first").await;
    last.upload(api, "a.txt", "last").await;
    let link = last.link(api).await;
    api.delete(&format!("/v1/private/traces/{trace}")).await.expect(204);
    // Whether they are removed by now or not.
    assert_eq!((first.names(api).await, last.names(api).await), (Vec::new(), Vec::new()));
    api.get(&link).await.expect(404);
    // What comes after it stays.
    last.upload(api, "b.txt", "again").await;
    wait_for(|| (server.home.rows("purges") == 0).then_some(()));
    wait_for_kept(&server.home, 1);
    assert_eq!(last.names(api).await, ["b.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_too_large_leaves_nothing() {
    let server = Server::with_flags(&["--attachment-bytes-max", "20", "--body-bytes-max", "15"]).await;
    let (api, trace) = (&server.api, fresh_id());
    let owner = Owner("trace", &trace);
    owner.upload(api, "a.txt", "0123456789".repeat(2)).await;
    for body in [Body::from("0123456789".repeat(3)), in_pieces(&["0123456789", "0123456789+"])] {
        let answer = api.send(owner.put(api, "b.txt", body)).await.expect(413);
        assert_eq!(answer.errors(), ["The request body is larger than 20 bytes"]);
    }
    let packed = owner.put(api, "b.txt", "x").header("content-encoding", "gzip");
    api.send(packed).await.expect(415);
    owner.upload(api, "none", "").await;
    assert_eq!(owner.names(api).await, ["none", "a.txt"]);
    assert_eq!((kept(&server.home).len(), partial(&server.home)), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_or_stalls_leaves_nothing() {
    let server = Server::with_flags(&["--body-seconds-max", "1"]).await;
    let (api, trace) = (&server.api, fresh_id());
    let path = format!("{UPLOAD}?file_name=a&entity_type=trace&entity_id={trace}");
    for stalls in [false, true] {
        let mut wire = api.connect();
        wire.head("PUT", &path, &[("Content-Length", "10"), ("Expect", "100-continue")]);
        wire.wait_for_continue();
        wire.send("01234");
        wait_for(|| (partial(&server.home) == 1).then_some(()));
        if stalls {
            wire.answer().expect(408);
        } else {
            drop(wire);
        }
        wait_for(|| (partial(&server.home) == 0).then_some(()));
    }
    assert_eq!(kept(&server.home).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_row_cannot_be_written_is_not_kept() {
    let server = Server::start().await;
    let (api, trace) = (&server.api, fresh_id());
    let owner = Owner("trace", &trace);
    let held = server.home.hold();
    let answer = api.send(owner.put(api, "a.txt", "x")).await.expect(429);
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(kept(&server.home).len(), 0);
    drop(held);
    wait_for(|| {
        let again = owner.put(api, "a.txt", "x");
        let status = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(api.send(again))).status;
        (status == 204).then_some(())
    });
    assert_eq!(kept(&server.home).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_read_after_a_kill_and_what_was_not_is_removed() {
    let home = Home::new();
    let mut process = Process::on(&home);
    let (trace, content) = (fresh_id(), "content ".repeat(100_000));
    let owner = Owner("trace", &trace);
    owner.upload(&process.api, "a.txt", content.clone()).await;
    let mut wire = process.api.connect();
    let path = format!("{UPLOAD}?file_name=b&entity_type=trace&entity_id={trace}");
    wire.head("PUT", &path, &[("Content-Length", "10"), ("Expect", "100-continue")]);
    wire.wait_for_continue();
    wire.send("01234");
    wait_for(|| (partial(&home) == 1).then_some(()));
    process.signal(Signal::SIGKILL);
    process.wait();

    // As if it had been killed between naming a file and its row.
    let orphan = folder_of(&home).join("ab".repeat(32));
    std::fs::write(&orphan, "nobody's").unwrap();
    let other = folder_of(&home).join("notes.txt");
    std::fs::write(&other, "somebody's").unwrap();
    let process = Process::on(&home);
    assert_eq!(process.api.get(&owner.link(&process.api).await).await.expect(200).text(), content);
    wait_for(|| (!orphan.exists()).then_some(()));
    assert!(other.exists());
    assert_eq!((kept(&home).len(), partial(&home)), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_what_a_killed_server_deleted_are_removed_by_the_next() {
    let home = Home::new();
    let mut process = Process::on(&home);
    let trace = fresh_id();
    let owner = Owner("trace", &trace);
    for number in 0..250 {
        owner.upload(&process.api, &number.to_string(), number.to_string()).await;
    }
    let project = project(&process.api).await;
    process.api.delete(&format!("/v1/private/projects/{project}")).await.expect(204);
    process.signal(Signal::SIGKILL);
    process.wait();
    let _process = Process::on(&home);
    wait_for_kept(&home, 0);
    wait_for(|| (home.rows("attachments") + home.rows("loose_contents") == 0).then_some(()));
}

#[tokio::test]
async fn contents_stand_where_payloads_refer_to_them_unless_they_are_not_wanted() {
    let server = Server::start().await;
    let api = &server.api;
    let (trace, span) = (fresh_id(), fresh_id());
    let referring = json!({
        "input": {"image": "data:image/png;base64,[input-attachment-1-1700000000000-sdk.png]", "n": 1.10},
        "output": ["[output-attachment-1-1700000000000.txt] [output-attachment-1-1700000000000.txt]"],
        "metadata": {"unknown": "[metadata-attachment-9-1700000000000.txt]", "none": "[input-attachment-1.png]"},
    });
    let (mut one, mut other) = (referring.clone(), referring.clone());
    for (body, id) in [(&mut one, &trace), (&mut other, &span)] {
        (body["id"], body["project_name"], body["start_time"]) = (json!(id), json!("p"), json!(START));
    }
    api.post("/v1/private/traces", &one).await.expect(201);
    other["trace_id"] = json!(trace);
    api.create(&other).await;
    for owner in [Owner("trace", &trace), Owner("span", &span)] {
        owner.upload(api, "input-attachment-1-1700000000000-sdk.png", vec![0xff_u8; 1_000]).await;
        owner.upload(api, "output-attachment-1-1700000000000.txt", "text").await;
    }
    let filled = json!({
        "input": {"image": format!("data:image/png;base64,{}", base64(&[0xff; 1_000])), "n": 1.10},
        "output": [format!("{0} {0}", base64(b"text"))],
        "metadata": referring["metadata"],
    });
    let payloads = |one: &Value| json!({"input": one["input"], "output": one["output"], "metadata": one["metadata"]});
    for (things, id) in [("traces", &trace), ("spans", &span)] {
        let address = format!("/v1/private/{things}/{id}");
        let list = format!("/v1/private/{things}?project_name=p");
        assert_eq!(payloads(&api.get(&address).await.expect(200).json()), filled);
        assert_eq!(payloads(&api.get(&list).await.expect(200).json()["content"][0]), filled);
        let search = format!("/v1/private/{things}/search");
        let line = api.post(&search, &json!({"project_name": "p"})).await.expect(200).text();
        assert_eq!(payloads(&serde_json::from_str(&line).unwrap()), filled);

        let answer = api.get(&format!("{address}?strip_attachments=true")).await.expect(200).json();
        assert_eq!(payloads(&answer), referring);
        let answer = api.get(&format!("{list}&strip_attachments=true")).await.expect(200).json();
        assert_eq!(payloads(&answer["content"][0]), referring);
        let answer = api.get(&format!("{list}&truncate=true")).await.expect(200).json();
        assert!(answer["content"][0]["output"].to_string().contains("[output-attachment-1"), "{answer}");
    }
    let search = json!({"project_name": "p", "strip_attachments": true});
    let line = api.post("/v1/private/traces/search", &search).await.expect(200).text();
    assert_eq!(payloads(&serde_json::from_str(&line).unwrap()), referring);

    // A content that is lost is no reason to answer nothing.
    lose_contents(&server.home);
    assert_eq!(payloads(&api.get(&format!("/v1/private/spans/{span}")).await.expect(200).json()), referring);
    api.get(&format!(
        "/v1/private/attachment/download?container_id={}&entity_type=span&entity_id={span}&mime_type=a\
        &file_name=output-attachment-1-1700000000000.txt",
        project(api).await
    ))
    .await
    .expect(404);
}

#[tokio::test]
async fn what_is_put_into_the_payloads_of_one_span_is_bounded() {
    let server = Server::with_flags(&["--attachment-inline-bytes-max", "10"]).await;
    let (api, span) = (&server.api, fresh_id());
    let name = |number: u8| format!("input-attachment-{number}-1.bin");
    let text = |number: u8| format!("[{}]", name(number));
    let input = [text(1), text(2), text(3)];
    api.create(&json!({"id": span, "project_name": "p", "start_time": START, "input": input})).await;
    for (number, content) in [(1, "12345"), (2, "123456"), (3, "67890")] {
        Owner("span", &span).upload(api, &name(number), content).await;
    }
    let shown = api.span(&span).await;
    assert_eq!(shown["input"], json!([base64(b"12345"), text(2), base64(b"67890")]));
}

/// Many long answers are never in memory together: a list is read piece by piece, whatever is put into it.
#[tokio::test]
async fn a_list_of_payloads_with_contents_is_whole() {
    let server = Server::start().await;
    let api = &server.api;
    let content = vec![0x5a_u8; 800_000];
    for number in 0..6 {
        let body = json!({"name": number.to_string(), "project_name": "p", "start_time": START,
            "input": {"file": "[input-attachment-1-1.bin]"}});
        let span = api.create(&body).await;
        Owner("span", &span).upload(api, "input-attachment-1-1.bin", content.clone()).await;
    }
    let list = api.get("/v1/private/spans?project_name=p").await.expect(200).json();
    assert_eq!(list["content"].as_array().unwrap().len(), 6);
    let wanted = base64(&content);
    for span in list["content"].as_array().unwrap() {
        assert!(span["input"]["file"] == wanted.as_str(), "{}", span["name"]);
    }
}

//! The documentation that is rendered from the document: whole, and leading where it says.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::json;

use crate::support::flatten::operations;
use crate::support::{Server, contract, snap_exactly};

fn ids() -> BTreeSet<String> {
    operations(&contract().document).map(|(.., node)| node["operationId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_index_leads_to_a_page_of_every_operation() {
    let server = Server::start().await;
    let link = Regex::new(r"(?m)^- \[([^\]]+)\]\(([^)]+)\)").unwrap();
    // The convention: a title, a quotation that says what it is, sections of links.
    let title = Regex::new(r"^# \w+\n\n> [^\n]+\n\n").unwrap();
    for prefix in ["", "/api"] {
        let base = format!("{}{prefix}", server.api.base);
        let answer = server.api.get(&format!("{prefix}/llms.txt")).await.expect(200);
        assert_eq!(answer.header("content-type"), "text/markdown; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "max-age=300");
        let index = answer.text();
        assert!(title.is_match(&index), "{index}");
        assert!(index.contains(&format!("The address of this server is `{base}`")), "{index}");
        let mut named = BTreeSet::new();
        for found in link.captures_iter(&index) {
            let path = found[2].strip_prefix(&server.api.base).unwrap_or_else(|| panic!("{}", &found[2]));
            assert!(path.starts_with(prefix), "{path}");
            let answer = server.api.get(path).await.expect(200);
            if path.contains("/docs/") {
                assert!(named.insert(found[1].to_owned()), "{path} twice");
                assert!(answer.text().contains(&format!("is the operation `{}`.", &found[1])), "{path}");
            }
        }
        assert_eq!(named, ids());
    }
}

#[tokio::test]
async fn a_page_says_all_that_the_document_does() {
    let server = Server::start().await;
    let heading = Regex::new(r"(?m)^### (.+)$").unwrap();
    let anchor = Regex::new(r"\(#([^)]+)\)").unwrap();
    for (method, path, _, node) in operations(&contract().document) {
        let id = node["operationId"].as_str().unwrap();
        let page = server.api.get(&format!("/docs/{id}.md")).await.expect(200).text();
        let mut wanted = vec![format!("# {}\n", node["summary"].as_str().unwrap()), format!("`{method} {path}`")];
        for parameter in node["parameters"].as_array().into_iter().flatten() {
            wanted.push(format!(
                "| `{}` | {} |",
                parameter["name"].as_str().unwrap(),
                parameter["in"].as_str().unwrap()
            ));
        }
        for status in node["responses"].as_object().unwrap().keys() {
            wanted.push(format!("| {} |", if status == "default" { "any other" } else { status }));
        }
        for text in wanted {
            assert!(page.contains(&text), "{id}: no {text}\n{page}");
        }
        let sections: BTreeSet<String> = heading.captures_iter(&page).map(|found| found[1].to_lowercase()).collect();
        let named: BTreeSet<String> = anchor.captures_iter(&page).map(|found| found[1].to_owned()).collect();
        assert_eq!(named, sections, "{id}: types that are named, and those that are told");
        assert!(!page.contains("{base}"), "{page}");
    }
}

#[tokio::test]
async fn the_page_of_an_operation_is_as_it_was_accepted() {
    let server = Server::start().await;
    let page = server.api.get("/docs/addSpanComment.md").await.expect(200).text();
    let page = page.replace(&server.api.base, "http://localhost:5173");
    snap_exactly("documentation__page", &json!(page.lines().collect::<Vec<_>>()));
}

#[tokio::test]
async fn the_whole_has_every_operation_and_every_type_once() {
    let server = Server::start().await;
    let whole = server.api.get("/llms-full.txt").await.expect(200).text();
    for id in ids() {
        assert_eq!(whole.matches(&format!("is the operation `{id}`.")).count(), 1, "{id}");
    }
    for name in contract().document["components"]["schemas"].as_object().unwrap().keys() {
        assert_eq!(whole.lines().filter(|line| **line == format!("### {name}")).count(), 1, "{name}");
    }
    assert!(spandrel::api::documentation(&server.api.base) == whole, "what is printed is what is served");
}

#[tokio::test]
async fn what_is_no_page_is_told() {
    let server = Server::start().await;
    for name in ["createSpan", "createSpan.html", "nothing.md", ".md", "a%2Fb.md"] {
        let answer = server.api.get(&format!("/docs/{name}")).await.expect(404);
        assert!(answer.text().contains("/llms.txt lists them"), "{}", answer.text());
    }
    server.api.send(server.api.request("POST", "/llms.txt")).await.expect(405);
}

//! Pages put together: an operation, what it needs to be understood, and a call to try.

use serde_json::Value;

use super::types::{cell, reached, section, table, words};
use super::{BASE, curl};

/// The page of an operation.
pub(super) struct Page {
    /// The operation's id, which is the page's name.
    pub(super) id: String,
    title: String,
    tag: String,
    /// What is said of the operation alone.
    own: String,
    /// The same with the types that it uses.
    pub(super) text: String,
}

/// The pages of all operations, in their order in the document.
pub(super) fn pages(document: &Value) -> Vec<Page> {
    let mut pages = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, node) in item.as_object().into_iter().flatten() {
            let text = |word: &str| node[word].as_str().unwrap_or_default().to_owned();
            let own = operation(&method.to_uppercase(), path, node);
            let types: Vec<String> = reached(document, node).iter().map(|name| section(document, name)).collect();
            let types = if types.is_empty() { String::new() } else { format!("\n## Types\n\n{}", types.join("\n")) };
            pages.push(Page {
                id: text("operationId"),
                title: text("summary"),
                tag: node["tags"][0].as_str().unwrap_or_default().to_owned(),
                text: format!("{own}{types}"),
                own,
            });
        }
    }
    pages
}

fn operation(method: &str, path: &str, node: &Value) -> String {
    let text = |word: &str| node[word].as_str().unwrap_or_default().trim();
    let mut parts = vec![
        format!("# {}", text("summary")),
        format!("> `{method} {path}` is the operation `{}`.", text("operationId")),
        text("description").to_owned(),
    ];
    parts.extend(parameters(node));
    parts.extend(request(node));
    parts.push(answers(node));
    parts.push("## Try it".to_owned());
    parts.push(block("sh", &curl::call(method, path, node)));
    parts.extend(examples(node));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n") + "\n"
}

fn block(language: &str, text: &str) -> String {
    format!("```{language}\n{}\n```", text.trim_end())
}

fn parameters(node: &Value) -> Option<String> {
    let row = |parameter: &Value| {
        let text = |word: &str| parameter[word].as_str().unwrap_or_default();
        let needed = if parameter["required"] == true { "yes" } else { "" };
        let (name, place, meaning) = (text("name"), text("in"), cell(text("description")));
        format!("| `{name}` | {place} | {} | {needed} | {meaning} |", cell(&words(&parameter["schema"])))
    };
    let rows: Vec<String> = node["parameters"].as_array()?.iter().map(row).collect();
    let head = "## Parameters\n\n| name | in | type | required | meaning |\n| --- | --- | --- | --- | --- |\n";
    (!rows.is_empty()).then(|| format!("{head}{}", rows.join("\n")))
}

fn request(node: &Value) -> Option<String> {
    let body = node.get("requestBody")?;
    let (media_type, media) = body["content"].as_object()?.iter().next()?;
    let needed = if body["required"] == true { "required" } else { "optional" };
    let text = format!(
        "## Request body\n\n`{media_type}`, {needed}: {}.\n\n{}",
        words(&media["schema"]),
        table(&media["schema"])
    );
    Some(text.trim_end().to_owned())
}

fn answers(node: &Value) -> String {
    let row = |(status, answer): (&String, &Value)| {
        let mut meaning = answer["description"].as_str().unwrap_or_default().to_owned();
        for (name, header) in answer["headers"].as_object().into_iter().flatten() {
            let header = header["description"].as_str().unwrap_or_default();
            meaning = format!("{meaning}. Header `{name}`: {header}");
        }
        let body = answer["content"].as_object().and_then(|content| content.iter().next());
        let body = body.map_or_else(String::new, |(name, media)| format!("`{name}`: {}", words(&media["schema"])));
        let status = if status == "default" { "any other" } else { status };
        format!("| {status} | {} | {} |", cell(&meaning), cell(&body))
    };
    let rows: Vec<String> = node["responses"].as_object().into_iter().flatten().map(row).collect();
    format!("## Answers\n\n| status | meaning | body |\n| --- | --- | --- |\n{}", rows.join("\n"))
}

/// What comes when all goes well, and an error.
fn examples(node: &Value) -> Vec<String> {
    let mut parts = Vec::new();
    for (status, answer) in node["responses"].as_object().into_iter().flatten() {
        let media = answer["content"].as_object().and_then(|content| content.values().next());
        let Some(example) = media.and_then(|media| media.get("example")) else { continue };
        let text = match example {
            Value::String(text) => block("text", text),
            other => block("json", &serde_json::to_string_pretty(other).unwrap_or_default()),
        };
        let is_success = status.starts_with(['2', '3']);
        let only = node["responses"].as_object().is_some_and(|all| !all.keys().any(|one| one.starts_with(['2', '3'])));
        let what = match (is_success, only) {
            (true, _) => format!("It answers {status}:"),
            (_, true) => "It answers:".to_owned(),
            _ => "An error looks like this:".to_owned(),
        };
        parts.push(format!("{what}\n\n{text}"));
    }
    parts
}

/// What the whole is.
fn introduction(document: &Value) -> String {
    let text = document["info"]["description"].as_str().unwrap_or_default();
    format!(
        "# Spandrel\n\n> {text}\n\nThe address of this server is `{BASE}`. Bodies are JSON. Every error has one shape: \
         `code`, `message`, `errors`, and `violations` with the place in the request. A write is on disk when it is answered \
         with a 2xx. 429 with `Retry-After` asks to send the same again later.\n"
    )
}

/// The index.
pub(super) fn index(document: &Value, pages: &[Page]) -> String {
    let mut parts = vec![introduction(document)];
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = tag["name"].as_str().unwrap_or_default();
        let of_tag = pages.iter().filter(|page| page.tag == name);
        let lines: Vec<String> =
            of_tag.map(|page| format!("- [{}]({BASE}/docs/{}.md): {}", page.id, page.id, page.title)).collect();
        parts.push(format!("## {name}\n\n{}\n", lines.join("\n")));
    }
    parts.push(format!(
        "## Optional\n\n- [All pages in one]({BASE}/llms-full.txt)\n- [OpenAPI 3.1, YAML]({BASE}/openapi.yaml)\n\
         - [OpenAPI 3.1, JSON]({BASE}/openapi.json)\n- [OpenAPI 3.0, JSON]({BASE}/openapi-3.0.json)\n"
    ));
    parts.join("\n")
}

/// All of it, each type once.
pub(super) fn whole(document: &Value, pages: &[Page]) -> String {
    let mut parts = vec![introduction(document)];
    // One level below the title.
    parts.extend(pages.iter().map(|page| deeper(&page.own)));
    parts.push("## Types\n".to_owned());
    let names = reached(document, &document["paths"]);
    parts.extend(names.iter().map(|name| section(document, name)));
    parts.join("\n")
}

/// The same text with its headings one level down; what looks like one inside a block is none.
fn deeper(text: &str) -> String {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        inside ^= line.starts_with("```");
        lines.push(if line.starts_with('#') && !inside { format!("#{line}") } else { line.to_owned() });
    }
    lines.join("\n") + "\n"
}

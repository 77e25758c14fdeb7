//! The call that a page shows: an operation's examples as a line for a shell.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::BASE;

/// What stands in a path or query as it is.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b',');

/// A call of the operation.
pub(super) fn call(method: &str, path: &str, node: &Value) -> String {
    let mut path = path.to_owned();
    let mut query = Vec::new();
    for parameter in node["parameters"].as_array().into_iter().flatten() {
        let (Some(name), Some(example)) = (parameter["name"].as_str(), parameter.get("example")) else { continue };
        let value = utf8_percent_encode(&text(example), PLAIN).to_string();
        match parameter["in"].as_str() {
            Some("path") => path = path.replace(&format!("{{{name}}}"), &value),
            Some("query") => query.push(format!("{name}={value}")),
            _ => {}
        }
    }
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let method = if method == "GET" { String::new() } else { format!(" -X {method}") };
    let mut parts = vec![format!("curl -i{method} {}", quoted(&format!("{BASE}{path}{query}")))];
    let content = node["requestBody"]["content"].as_object().and_then(|content| content.iter().next());
    if let Some((media_type, example)) = content.and_then(|(name, media)| Some((name, media.get("example")?))) {
        if media_type == "application/json" {
            parts.push("-H 'Content-Type: application/json'".to_owned());
            parts.push(format!("-d {}", quoted(&serde_json::to_string_pretty(example).unwrap_or_default())));
        } else {
            parts.push("-H 'Content-Type: application/octet-stream'".to_owned());
            parts.push(format!("--data-binary {}", quoted(&text(example))));
        }
    }
    parts.join(" \\\n  ")
}

/// A value as it stands in a path, query or file.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn examples_become_words_of_a_shell() {
        let node = json!({
            "parameters": [
                {"name": "id", "in": "path", "example": "a/b c"},
                {"name": "size", "in": "query", "example": 1},
                {"name": "filters", "in": "query", "example": "[{\"a\":\"'\"}]"},
                {"name": "page", "in": "query"},
            ],
            "requestBody": {"content": {"application/json": {"example": {"it's": "$HOME"}}}},
        });
        assert_eq!(
            call("PUT", "/a/{id}/b", &node),
            "curl -i -X PUT '{base}/a/a%2Fb%20c/b?size=1&filters=%5B%7B%22a%22:%22%27%22%7D%5D' \\\n  \
             -H 'Content-Type: application/json' \\\n  -d '{\n  \"it'\\''s\": \"$HOME\"\n}'"
        );
        let file = json!({"requestBody": {"content": {"*/*": {"example": "text"}}}});
        assert!(call("PUT", "/a", &file).ends_with("--data-binary 'text'"));
        assert_eq!(call("GET", "/a", &json!({})), "curl -i '{base}/a'");
    }
}

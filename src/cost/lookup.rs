//! Under which name a model's price is found.

use std::sync::LazyLock;

use regex::Regex;

/// The provider under which the rows of a table's provider are looked up; none for rows that are not used.
pub(super) fn provider_of_row(litellm_provider: &str) -> Option<&'static str> {
    Some(match litellm_provider {
        "openai" => "openai",
        "vertex_ai-language-models" => "google_vertexai",
        "gemini" => "google_ai",
        "anthropic" => "anthropic",
        "vertex_ai-anthropic_models" => "anthropic_vertexai",
        "bedrock" | "bedrock_converse" => "bedrock",
        "groq" => "groq",
        "jina_ai" => "jina_ai",
        "elastic" => "elastic",
        "mistral" => "mistral",
        "xai" => "xai",
        "microsoft" | "azure" => "azure",
        _ => return None,
    })
}

/// The same for the provider that a span names.
pub(super) fn lookup_provider(provider: &str) -> &str {
    match provider {
        "gemini" => "google_ai",
        "vertex-ai" => "google_vertexai",
        other => other,
    }
}

#[expect(clippy::expect_used, reason = "constants that the tests compile")]
static DATE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"-\d{4}-\d{2}-\d{2}$").expect("valid"));
#[expect(clippy::expect_used, reason = "constants that the tests compile")]
static PIN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r":\d+$").expect("valid"));

/// The first name to try: as it is, without a provider before it.
pub(super) fn as_named(model: &str) -> &str {
    model.split_once('/').map_or(model, |(_, name)| name)
}

/// The further names to try, in order: with hyphens for dots, and without a date or a pinned version behind it.
pub(super) fn candidates(model: &str) -> Vec<String> {
    let name = as_named(model);
    let mut names = Vec::new();
    let lower = name.to_lowercase();
    let hyphens = lower.replace('.', "-");
    // A name that differs by nothing but letter case is not looked for.
    if hyphens != lower {
        names.push(hyphens.clone());
    }
    for suffix in [&*DATE, &*PIN] {
        if suffix.is_match(&lower) {
            names.push(suffix.replace(&lower, "").into_owned());
            names.push(suffix.replace(&hyphens, "").into_owned());
        }
    }
    names
}

//! What a filter means, told again over spans and traces as clients see them: nothing of the server's code is used.

use serde_json::Value;

/// Whether a span, trace or thread matches a filter.
pub(crate) fn matches(span: &Value, filter: &Value) -> bool {
    let text = |name: &str| filter[name].as_str().unwrap_or_default();
    let (field, operator, key, value) = (text("field"), text("operator"), text("key"), text("value"));
    match field {
        "id" | "trace_id" => exact(span[field].as_str().unwrap(), operator, value),
        "thread_id" => exact(span[field].as_str().unwrap_or_default(), operator, value),
        "visibility_mode" => one_of(span[field].as_str().unwrap_or("default"), operator, value, ""),
        // There are no guardrails, annotation queues and experiments.
        "guardrails" => folded("", operator, value),
        "annotation_queue_ids" => tags(&Value::Null, operator, value),
        "experiment_id" | "experiment_ids" => false,
        "name" | "model" | "provider" => folded(span[field].as_str().unwrap_or_default(), operator, value),
        "error_type" => folded(span["error_info"]["exception_type"].as_str().unwrap_or_default(), operator, value),
        "input" | "output" => folded(&compact(span.get(field)), operator, value),
        "type" => one_of(span[field].as_str().unwrap_or("unknown"), operator, value, "unknown"),
        "environment" => one_of(span[field].as_str().unwrap_or_default(), operator, value, ""),
        "source" => one_of(span[field].as_str().unwrap_or("sdk"), operator, value, ""),
        "start_time" | "end_time" | "created_at" | "last_updated_at" => {
            span.get(field).is_some_and(|time| compare(&nanos(time.as_str().unwrap()), operator, &nanos(value)))
        }
        "total_estimated_cost" | "duration" | "llm_span_count" => {
            number(span[field].as_f64().unwrap_or_default(), operator, value)
        }
        "ttft" => span[field].as_f64().is_some_and(|ttft| number(ttft, operator, value)),
        "tags" => tags(span, operator, value),
        "feedback_scores" | "span_feedback_scores" => score(&span[field], operator, key, value),
        "error_info" => span.get(field).is_some() == (operator == "is_not_empty"),
        "input_json" | "output_json" => dictionary(span.get(field.trim_end_matches("_json")), operator, key, value),
        // The provider that answers add is not what is stored.
        "metadata" => dictionary(span.get(field), operator, key, value),
        _ => match field.strip_prefix("usage.") {
            Some(count) => number(span["usage"][count].as_f64().unwrap_or_default(), operator, value),
            None => panic!("the evaluator does not know {field}"),
        },
    }
}

fn compare<T: PartialOrd>(left: &T, operator: &str, right: &T) -> bool {
    match operator {
        "=" => left == right,
        "!=" => left != right,
        ">" => left > right,
        ">=" => left >= right,
        "<" => left < right,
        "<=" => left <= right,
        _ => panic!("{operator}"),
    }
}

fn number(left: f64, operator: &str, value: &str) -> bool {
    compare(&left, operator, &value.parse().unwrap())
}

fn nanos(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap()
}

/// `%` any run, `_` any character, `\` takes their meaning away: by a table, as one would on paper.
fn like(text: &str, pattern: &str) -> bool {
    let mut parts = vec![None];
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        parts.push(match letter {
            '%' => None,
            '_' => Some(None),
            '\\' => Some(Some(letters.next().unwrap_or('\\'))),
            letter => Some(Some(letter)),
        });
    }
    parts.push(None);
    let text: Vec<char> = text.chars().collect();
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for part in parts {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            match part {
                None => next[at] = reached[at] || (at > 0 && next[at - 1]),
                Some(wanted) => {
                    next[at] = at > 0 && reached[at - 1] && wanted.is_none_or(|letter| letter == text[at - 1]);
                }
            }
        }
        reached = next;
    }
    reached[text.len()]
}

fn exact(text: &str, operator: &str, value: &str) -> bool {
    match operator {
        "contains" => like(text, value),
        "not_contains" => !like(text, value),
        "starts_with" => text.starts_with(value),
        "ends_with" => text.ends_with(value),
        _ => compare(&text.as_bytes(), operator, &value.as_bytes()),
    }
}

/// Letter case counts in no alphabet for `contains`, and not in A to Z for the others.
fn folded(text: &str, operator: &str, value: &str) -> bool {
    match operator {
        "contains" | "not_contains" => exact(&text.to_lowercase(), operator, &value.to_lowercase()),
        _ => exact(&text.to_ascii_lowercase(), operator, &value.to_ascii_lowercase()),
    }
}

fn one_of(text: &str, operator: &str, value: &str, absent: &str) -> bool {
    let items = || value.split(',').map(str::trim).any(|item| item == text);
    match operator {
        "is_empty" => text == absent,
        "is_not_empty" => text != absent,
        "in" => items(),
        "not_in" => !items(),
        _ => compare(&text, operator, &value),
    }
}

fn tags(span: &Value, operator: &str, value: &str) -> bool {
    let tags: Vec<&str> = span["tags"].as_array().into_iter().flatten().map(|tag| tag.as_str().unwrap()).collect();
    match operator {
        "is_empty" => tags.is_empty(),
        "is_not_empty" => !tags.is_empty(),
        "=" => tags.contains(&value),
        "!=" => !tags.contains(&value),
        _ => {
            let any = tags.iter().any(|tag| like(&tag.to_lowercase(), &value.to_lowercase()));
            any == (operator == "contains")
        }
    }
}

fn score(scores: &Value, operator: &str, key: &str, value: &str) -> bool {
    let scores: Vec<&Value> = scores.as_array().into_iter().flatten().collect();
    let named = || scores.iter().filter(|score| score["name"].as_str().unwrap().eq_ignore_ascii_case(key));
    let any = |operator: &str| named().any(|score| number(score["value"].as_f64().unwrap(), operator, value));
    match operator {
        "is_empty" => named().next().is_none(),
        "is_not_empty" => named().next().is_some(),
        "!=" => !scores.is_empty() && !any("="),
        _ => any(operator),
    }
}

/// A payload's text as it was sent: the test sends compact JSON.
fn compact(payload: Option<&Value>) -> String {
    payload.map(Value::to_string).unwrap_or_default()
}

fn dictionary(payload: Option<&Value>, operator: &str, key: &str, value: &str) -> bool {
    let found = payload.and_then(|payload| at(payload, key));
    let text = match found {
        None | Some(Value::Object(_) | Value::Array(_)) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(scalar) => scalar.to_string(),
    };
    match operator {
        "is_empty" => text.is_empty() || text == "null",
        "is_not_empty" => !text.is_empty() && text != "null",
        ">" | ">=" | "<" | "<=" => match (text.parse::<f64>(), value.parse::<f64>()) {
            (Ok(left), Ok(right)) => compare(&left, operator, &right),
            _ => false,
        },
        _ => folded(&text, operator, value),
    }
}

/// The few forms of paths that this test asks with.
fn at<'a>(payload: &'a Value, key: &str) -> Option<&'a Value> {
    let key = key.strip_prefix("$.").unwrap_or(key);
    if let Some(name) = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')) {
        return payload.get(name);
    }
    let mut at = payload;
    for step in key.replace('[', ".[").split('.').filter(|step| !step.is_empty()) {
        at = match step.strip_prefix('[').and_then(|step| step.strip_suffix(']')) {
            Some("*") => at.as_array()?.first()?,
            Some(index) => at.as_array()?.get(index.parse::<usize>().ok()?)?,
            None => at.as_object()?.get(step)?,
        };
    }
    Some(at)
}

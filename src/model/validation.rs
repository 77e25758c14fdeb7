//! How rules report: helpers for newtypes that validate themselves, and the one place where validator's tree of
//! errors becomes a flat list.

use std::borrow::Cow;

use validator::{ValidationError, ValidationErrors, ValidationErrorsKind};

use super::Violation;

/// Name under which a member of a set reports, as the original spells it.
pub const ITEM: &str = "<iterable element>";

/// The same of a list.
const LIST_ITEM: &str = "<list element>";

/// validator moves an entry of this name from a nested result to the field itself.
const SELF: &str = "_tmp_validator";

/// A broken rule of the field itself, from a newtype's own `Validate`.
pub(super) fn broken(code: &'static str, message: impl Into<Cow<'static, str>>) -> ValidationErrors {
    broken_rules(vec![rule(code, message)])
}

/// Several broken rules of the field itself.
pub(super) fn broken_rules(rules: Vec<ValidationError>) -> ValidationErrors {
    let mut errors = ValidationErrors::new();
    errors.0.insert(Cow::Borrowed(SELF), ValidationErrorsKind::Field(rules));
    errors
}

/// Broken rules of single members of a set, by index.
pub(super) fn broken_set_items(items: impl IntoIterator<Item = (usize, ValidationError)>) -> ValidationErrors {
    broken_items(ITEM, items)
}

/// Broken rules of single members of a list, by index.
pub(super) fn broken_list_items(items: impl IntoIterator<Item = (usize, ValidationError)>) -> ValidationErrors {
    broken_items(LIST_ITEM, items)
}

fn broken_items(name: &'static str, items: impl IntoIterator<Item = (usize, ValidationError)>) -> ValidationErrors {
    let items = items
        .into_iter()
        .map(|(index, error)| {
            let mut member = ValidationErrors::new();
            member.0.insert(Cow::Borrowed(name), ValidationErrorsKind::Field(vec![error]));
            (index, Box::new(member))
        })
        .collect();
    let mut errors = ValidationErrors::new();
    errors.0.insert(Cow::Borrowed(SELF), ValidationErrorsKind::List(items));
    errors
}

pub(super) fn rule(code: &'static str, message: impl Into<Cow<'static, str>>) -> ValidationError {
    ValidationError::new(code).with_message(message.into())
}

/// Every broken rule in a validation result, ordered by where it is.
#[must_use]
pub fn flatten(errors: &ValidationErrors) -> Vec<Violation> {
    let mut found = Vec::new();
    walk(errors, "", "", &mut found);
    found.sort_by(|left, right| (&left.pointer, &left.message).cmp(&(&right.pointer, &right.message)));
    found
}

fn walk(errors: &ValidationErrors, pointer: &str, path: &str, found: &mut Vec<Violation>) {
    for (name, kind) in &errors.0 {
        if name == ITEM {
            // Its container has already named the member.
            report(kind, pointer, path, found);
            continue;
        }
        if name == LIST_ITEM {
            report(kind, pointer, &format!("{path}.{LIST_ITEM}"), found);
            continue;
        }
        // validator reports Rust names; ours equal the JSON names but for raw identifiers.
        let name = name.trim_start_matches("r#");
        let at = format!("{pointer}/{name}");
        let dotted = if path.is_empty() { camel_case(name) } else { format!("{path}.{}", camel_case(name)) };
        match kind {
            ValidationErrorsKind::Field(_) => report(kind, &at, &dotted, found),
            ValidationErrorsKind::Struct(nested) => walk(nested, &at, &dotted, found),
            ValidationErrorsKind::List(items) => {
                for (index, nested) in items {
                    let member = if nested.0.contains_key(ITEM) {
                        format!("{dotted}[].{ITEM}")
                    } else {
                        format!("{dotted}[{index}]")
                    };
                    walk(nested, &format!("{at}/{index}"), &member, found);
                }
            }
        }
    }
}

fn report(kind: &ValidationErrorsKind, pointer: &str, path: &str, found: &mut Vec<Violation>) {
    let ValidationErrorsKind::Field(errors) = kind else { return };
    for error in errors {
        let wanted = error.message.as_deref().unwrap_or(&error.code);
        found.push(Violation::new(pointer, path, wanted));
    }
}

/// The original names fields in its messages as its own code does: `start_time` is `startTime`.
fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            out.extend(letter.to_uppercase());
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_turn_into_the_originals() {
        assert_eq!(camel_case("total_estimated_cost"), "totalEstimatedCost");
        assert_eq!(camel_case("id"), "id");
    }
}

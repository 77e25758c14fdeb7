//! Schemas compared: what values may be, and what members objects have.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::compare::{Comparison, STEPS_MAX, Way};
use super::report::{Change, Kind};
use super::spec::references;
use super::views::{Additional, Schemas, TooIntricate, View};

/// Schemas inside one another. Chosen: documents need some dozens at most.
const DEPTH_MAX: usize = 100;

/// What is compared word for word: what it allows more or less is not looked into.
const VERBATIM: [&str; 16] = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "prefixItems",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentEncoding",
    "contentMediaType",
];

/// The references that lead to the same in both documents, however far.
pub(super) fn same_components(before: &Value, after: &Value) -> BTreeSet<String> {
    let mut inside: Vec<(String, BTreeSet<String>)> = Vec::new();
    let (before, after) = (Schemas(before), Schemas(after));
    let mut waiting = references_in(before.0);
    let mut seen = BTreeSet::new();
    while let Some(reference) = waiting.pop_first() {
        if !seen.insert(reference.clone()) {
            continue;
        }
        let target = before.target(&reference);
        let further = references_in(target);
        waiting.extend(further.iter().cloned());
        if after.find(&reference) == Some(target) {
            inside.push((reference, further));
        }
    }
    loop {
        let same: BTreeSet<String> = inside.iter().map(|(reference, _)| reference.clone()).collect();
        let count = inside.len();
        inside.retain(|(_, further)| further.is_subset(&same));
        if inside.len() == count {
            return same;
        }
    }
}

fn references_in(node: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    references(node, "", false, &mut |_, reference| {
        found.insert(reference.to_owned());
    });
    found
}

impl Comparison<'_> {
    /// Compares what a place may hold; `path` leads to it inside a body: `.name`, `[].id`.
    pub(super) fn schema(&mut self, place: &str, path: &str, was: &Value, now: &Value) -> Result<(), TooIntricate> {
        if was == now && references_in(was).is_subset(&self.same) {
            return Ok(());
        }
        let pair = (was.to_string(), now.to_string());
        if self.above.contains(&pair) {
            return Ok(());
        }
        self.steps += 1;
        if self.above.len() >= DEPTH_MAX || self.steps > STEPS_MAX {
            return Err(TooIntricate);
        }
        self.above.push(pair);
        let compared = self.branches(place, path, was, now);
        self.above.pop();
        compared
    }

    fn branches(&mut self, place: &str, path: &str, was: &Value, now: &Value) -> Result<(), TooIntricate> {
        let (before, before_null) = self.before.schemas().views(was)?;
        let (after, after_null) = self.after.schemas().views(now)?;
        let here = joined(place, path);
        let is_any = |views: &[View]| views.iter().any(|view| view.kind.is_empty());
        let kinds = |views: &[View], null: bool| {
            let mut kinds: BTreeSet<&str> = views.iter().map(|view| view.kind.as_str()).collect();
            kinds.extend(null.then_some("null"));
            let kinds = kinds.into_iter().map(|kind| if kind.is_empty() { "any" } else { kind });
            Some(json!(kinds.collect::<Vec<_>>().join(" or ")))
        };
        if is_any(&before) != is_any(&after) {
            let kind = if is_any(&before) { Kind::Narrower } else { Kind::Wider };
            self.add(&here, kind, "type", kinds(&before, before_null), kinds(&after, after_null));
            return Ok(());
        }
        if before_null != after_null && !is_any(&before) {
            let kind = if before_null { Kind::Narrower } else { Kind::Wider };
            self.add(&here, kind, "null", Some(json!(before_null)), Some(json!(after_null)));
        }
        if let ([one], [other]) = (before.as_slice(), after.as_slice()) {
            if same_family(one, other) {
                return self.view(place, path, one, other);
            }
            self.add(&here, Kind::Changed, "type", kinds(&before, false), kinds(&after, false));
            return Ok(());
        }
        self.union(place, path, &before, &after)
    }

    /// Pairs the branches that differ least.
    fn union(&mut self, place: &str, path: &str, before: &[View], after: &[View]) -> Result<(), TooIntricate> {
        let mut trials: Vec<(usize, usize, usize, Vec<Change>)> = Vec::new();
        for (index, one) in before.iter().enumerate() {
            for (other_index, other) in after.iter().enumerate().filter(|(_, other)| same_family(one, other)) {
                let earlier = std::mem::take(&mut self.found);
                let compared = self.view(place, &format!("{path}<{}>", named(one)), one, other);
                let changes = std::mem::replace(&mut self.found, earlier);
                compared?;
                let cost = changes.iter().map(|change| if change.breaking { 100 } else { 1 }).sum();
                trials.push((cost, index, other_index, changes));
            }
        }
        trials.sort_by_key(|(cost, index, other, _)| (*cost, *index, *other));
        let (mut left, mut right) = (vec![true; before.len()], vec![true; after.len()]);
        for (_, index, other, mut changes) in trials {
            if left[index] && right[other] {
                (left[index], right[other]) = (false, false);
                self.found.append(&mut changes);
            }
        }
        let here = joined(place, path);
        for (one, _) in before.iter().zip(left).filter(|(_, left)| *left) {
            self.add(&here, Kind::Narrower, "alternative", Some(json!(named(one))), None);
        }
        for (other, _) in after.iter().zip(right).filter(|(_, right)| *right) {
            self.add(&here, Kind::Wider, "alternative", None, Some(json!(named(other))));
        }
        Ok(())
    }

    fn view(&mut self, place: &str, path: &str, was: &View, now: &View) -> Result<(), TooIntricate> {
        let here = joined(place, path);
        if was.kind != now.kind {
            let kind = if now.kind == "integer" { Kind::Narrower } else { Kind::Wider };
            self.add(&here, kind, "type", Some(json!(was.kind)), Some(json!(now.kind)));
        }
        self.enumeration(&here, was, now);
        self.format(&here, was, now);
        self.limits(&here, was, now);
        if self.way == Way::Request {
            self.default(&here, was, now);
        }
        for word in VERBATIM {
            let (before, after) = (was.keywords.get(word), now.keywords.get(word));
            if before != after {
                let kind = match (before, after) {
                    (None, _) => Kind::Narrower,
                    (_, None) => Kind::Wider,
                    _ => Kind::Changed,
                };
                self.add(&here, kind, word, before.cloned(), after.cloned());
            }
        }
        match was.kind.as_str() {
            "array" => self.schema(place, &format!("{path}[]"), &was.items(), &now.items()),
            "object" => self.object(place, path, was, now),
            _ => Ok(()),
        }
    }

    fn enumeration(&mut self, here: &str, was: &View, now: &View) {
        let (before, after) = (was.enumeration(), now.enumeration());
        let (Some(values), Some(others)) = (before, after) else {
            if before != after {
                let kind = if before.is_none() { Kind::Narrower } else { Kind::Wider };
                self.add(here, kind, "enum", before.map(|values| json!(values)), after.map(|values| json!(values)));
            }
            return;
        };
        for value in values.iter().filter(|value| !others.contains(value)) {
            self.add(here, Kind::Narrower, "enum value", Some(value.clone()), None);
        }
        for value in others.iter().filter(|value| !values.contains(value)) {
            self.add(here, Kind::Wider, "enum value", None, Some(value.clone()));
        }
    }

    fn format(&mut self, here: &str, was: &View, now: &View) {
        let (before, after) = (was.text("format"), now.text("format"));
        let kind = match (before, after) {
            (before, after) if before == after => return,
            (None, _) | (Some("int64"), Some("int32")) | (Some("double"), Some("float")) => Kind::Narrower,
            (_, None) | (Some("int32"), Some("int64")) | (Some("float"), Some("double")) => Kind::Wider,
            _ => Kind::Changed,
        };
        self.add(here, kind, "format", before.map(|text| json!(text)), after.map(|text| json!(text)));
    }

    fn limits(&mut self, here: &str, was: &View, now: &View) {
        for word in ["minLength", "minItems", "minProperties"] {
            let size = |view: &View| view.size(word).filter(|size| *size > 0);
            self.limit(here, word, size(was), size(now), size(now) > size(was));
        }
        for word in ["maxLength", "maxItems", "maxProperties"] {
            let (before, after) = (was.size(word), now.size(word));
            let narrower = after.is_some_and(|after| before.is_none_or(|before| after < before));
            self.limit(here, word, before, after, narrower);
        }
        for (word, sign) in [("minimum", 1.0), ("maximum", -1.0)] {
            let (before, after) = (was.bound(word), now.bound(word));
            let key = |bound: (f64, bool)| (sign * bound.0, bound.1);
            let narrower = after.is_some_and(|after| before.is_none_or(|before| key(after) > key(before)));
            let shown = |bound: Option<(f64, bool)>| {
                bound.map(
                    |(value, exclusive)| if exclusive { json!(format!("{value}, exclusive")) } else { json!(value) },
                )
            };
            self.limit(here, word, shown(before), shown(after), narrower);
        }
        self.limit(here, "uniqueItems", was.is("uniqueItems"), now.is("uniqueItems"), now.is("uniqueItems"));
        let (before, after) = (was.pattern(), now.pattern());
        if before.is_none() || after.is_none() {
            let narrower = after.is_some();
            self.limit(here, "pattern", before, after, narrower);
        } else if before != after {
            self.add(here, Kind::Changed, "pattern", before.map(Value::from), after.map(Value::from));
        }
        let (before, after) = (was.number("multipleOf"), now.number("multipleOf"));
        let divides = |step: f64, of: f64| (of / step).fract().abs() < f64::EPSILON;
        match (before, after) {
            (Some(step), Some(other)) if !divides(step, other) && !divides(other, step) => {
                self.add(here, Kind::Changed, "multipleOf", Some(json!(step)), Some(json!(other)));
            }
            _ => {
                let narrower = after.is_some_and(|after| before.is_none_or(|before| after > before));
                self.limit(here, "multipleOf", before, after, narrower);
            }
        }
    }

    fn limit<T>(&mut self, here: &str, word: &str, before: T, after: T, narrower: bool)
    where
        T: PartialEq + serde::Serialize,
    {
        if before != after {
            let kind = if narrower { Kind::Narrower } else { Kind::Wider };
            let shown = |value: T| Some(json!(value)).filter(|value| !value.is_null());
            self.add(here, kind, word, shown(before), shown(after));
        }
    }

    /// What a client leaves out means something else now. One that is only said, or no longer said, may have been so all
    /// the time.
    fn default(&mut self, here: &str, was: &View, now: &View) {
        let (before, after) = (was.keywords.get("default"), now.keywords.get("default"));
        if before != after {
            let breaking = before.is_some() && after.is_some();
            self.weigh(here, Kind::Changed, breaking, "default", before.cloned(), after.cloned());
        }
    }

    fn object(&mut self, place: &str, path: &str, was: &View, now: &View) -> Result<(), TooIntricate> {
        let hidden = if self.way == Way::Request { "readOnly" } else { "writeOnly" };
        let visible = |schemas: Schemas<'_>, view: &View| -> Vec<(String, Value)> {
            let shown = view.properties().filter(|(_, schema)| !schemas.flag(schema, hidden));
            shown.map(|(name, schema)| (name.clone(), schema.clone())).collect()
        };
        let (before, after) = (visible(self.before.schemas(), was), visible(self.after.schemas(), now));
        let find =
            |all: &[(String, Value)], name: &str| all.iter().find(|(one, _)| one == name).map(|(_, one)| one.clone());
        for (name, schema) in &before {
            let inner = format!("{path}.{name}");
            let here = joined(place, &inner);
            let Some(other) = find(&after, name) else {
                self.add(&here, Kind::Missing, "property", None, None);
                continue;
            };
            self.required(&here, "required", was.requires(name), now.requires(name));
            self.schema(place, &inner, schema, &other)?;
        }
        for (name, schema) in after.iter().filter(|(name, _)| find(&before, name).is_none()) {
            let inner = format!("{path}.{name}");
            let here = joined(place, &inner);
            if let Additional::Schema(further) = was.additional() {
                // It could be one of the further members.
                self.schema(place, &inner, further, schema)?;
            }
            if self.way == Way::Request && now.requires(name) {
                self.add(&here, Kind::Narrower, "required property", None, None);
            } else if matches!(was.additional(), Additional::Closed) {
                self.add(&here, Kind::Wider, "property", None, None);
            } else {
                self.add(&here, Kind::Added, "property", None, None);
            }
        }
        // Names that must be there, and of which nothing else is said.
        let bare = |view: &View| -> BTreeSet<String> {
            let known = |name: &str| view.properties().any(|(one, _)| one == name);
            view.required().filter(|name| !known(name)).map(str::to_owned).collect()
        };
        let (before, after) = (bare(was), bare(now));
        for name in before.symmetric_difference(&after).filter(|name| was.requires(name) != now.requires(name)) {
            self.required(
                &joined(place, &format!("{path}.{name}")),
                "required",
                was.requires(name),
                now.requires(name),
            );
        }
        self.additional(place, path, was.additional(), now.additional())
    }

    fn additional(
        &mut self,
        place: &str,
        path: &str,
        was: Additional<'_>,
        now: Additional<'_>,
    ) -> Result<(), TooIntricate> {
        let any = json!({});
        let schema = |additional| match additional {
            Additional::Closed => None,
            Additional::Any => Some(&any),
            Additional::Schema(schema) => Some(schema),
        };
        match (schema(was), schema(now)) {
            (None, None) => {}
            (Some(one), Some(other)) => self.schema(place, &format!("{path}.*"), one, other)?,
            (Some(_), None) => self.add(&joined(place, path), Kind::Narrower, "further members", None, None),
            (None, Some(_)) => self.add(&joined(place, path), Kind::Wider, "further members", None, None),
        }
        Ok(())
    }
}

fn joined(place: &str, path: &str) -> String {
    if path.is_empty() { place.to_owned() } else { format!("{place} {path}") }
}

fn same_family(one: &View, other: &View) -> bool {
    let number = |view: &View| matches!(view.kind.as_str(), "integer" | "number");
    one.kind == other.kind || number(one) && number(other)
}

/// What a branch is called: its type, and what a reader tells it by.
fn named(view: &View) -> String {
    let kind = if view.kind.is_empty() { "any" } else { &view.kind };
    match view.text("title").or_else(|| view.text("format")) {
        Some(more) => format!("{kind} {more}"),
        None => kind.to_owned(),
    }
}

//! What the spans of a trace amount to, and how a commit changes it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bigdecimal::BigDecimal;

use crate::model::{Decimal, Id, SpanType, Usage};
use crate::record::{Row, SpanFields};

/// Types of spans, and none: as many counters.
pub(super) const TYPES: usize = 5;

/// No cost has more.
pub(super) const COST_FRACTION_DIGITS: i64 = 400;

/// What one span adds to its trace and its project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Share<'a> {
    pub project: i64,
    pub trace_id: Id,
    /// Code of its type.
    pub kind: usize,
    usage: Option<Cow<'a, Usage>>,
    provider: Option<Cow<'a, str>>,
    cost: Option<Cow<'a, Decimal>>,
}

impl<'a> Share<'a> {
    pub(super) fn of(row: &'a Row<SpanFields>) -> Option<Self> {
        let fields = &row.fields;
        let stated = fields.total_estimated_cost.as_ref().map(|cost| &cost.0);
        let kind = fields.span_type.map_or(0, SpanType::code);
        Some(Self {
            project: fields.project?,
            trace_id: fields.trace_id?,
            kind: usize::try_from(kind).unwrap_or_default(),
            usage: fields.usage.as_ref().map(Cow::Borrowed),
            provider: fields.provider.as_deref().map(Cow::Borrowed),
            cost: stated.or(row.estimate.as_ref().map(|estimate| &estimate.cost)).map(Cow::Borrowed),
        })
    }

    /// The same, whatever becomes of the row.
    pub(super) fn kept(self) -> Share<'static> {
        Share {
            project: self.project,
            trace_id: self.trace_id,
            kind: self.kind,
            usage: self.usage.map(|usage| Cow::Owned(usage.into_owned())),
            provider: self.provider.map(|provider| Cow::Owned(provider.into_owned())),
            cost: self.cost.map(|cost| Cow::Owned(cost.into_owned())),
        }
    }
}

/// What the spans of one trace in one project amount to; also a difference of two such amounts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sums {
    /// By code of their type.
    pub spans: [i64; TYPES],
    /// Token counts.
    pub usage: BTreeMap<String, i64>,
    /// How many spans state each of them.
    pub usage_spans: BTreeMap<String, i64>,
    /// How many spans name each provider.
    pub providers: BTreeMap<String, i64>,
    /// US dollars.
    pub cost: BigDecimal,
}

impl Sums {
    /// Puts a span in (`sign` 1) or takes it out (-1).
    pub(super) fn count(&mut self, share: &Share<'_>, sign: i64) {
        if let Some(spans) = self.spans.get_mut(share.kind) {
            *spans += sign;
        }
        for (name, tokens) in share.usage.iter().flat_map(|usage| &usage.0) {
            add(&mut self.usage, name, sign * i64::from(*tokens));
            add(&mut self.usage_spans, name, sign);
        }
        if let Some(provider) = &share.provider {
            add(&mut self.providers, provider, sign);
        }
        if let Some(cost) = &share.cost {
            self.cost += cost.exact() * sign;
        }
    }

    /// Adds a difference.
    pub(super) fn change_by(&mut self, change: &Self) {
        for (spans, more) in self.spans.iter_mut().zip(change.spans) {
            *spans += more;
        }
        for (all, more) in [
            (&mut self.usage, &change.usage),
            (&mut self.usage_spans, &change.usage_spans),
            (&mut self.providers, &change.providers),
        ] {
            for (name, number) in more {
                add(all, name, *number);
            }
        }
        // What no span states is not known, though a sum may be 0.
        let stated = &self.usage_spans;
        self.usage.retain(|name, _| stated.get(name).is_some_and(|spans| *spans > 0));
        self.usage_spans.retain(|_, spans| *spans > 0);
        self.providers.retain(|_, spans| *spans > 0);
        self.cost += &change.cost;
    }

    /// How many spans there are.
    pub(super) fn all_spans(&self) -> i64 {
        self.spans.iter().sum()
    }
}

fn add(all: &mut BTreeMap<String, i64>, name: &str, number: i64) {
    if let Some(known) = all.get_mut(name) {
        *known = known.saturating_add(number);
    } else {
        all.insert(name.to_owned(), number);
    }
}

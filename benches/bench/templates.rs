//! Requests without end that cost next to nothing to make: a few are made beforehand and sent over and over, each time
//! with ids of another millisecond. As with real ids, what comes later is greater.

use memchr::memmem;
use uuid::Uuid;

use crate::data::{Data, START, Span, TRACE_SPANS};

/// How many characters of an id tell the time: 12 digits and a hyphen.
const STAMP: usize = 13;

/// One request, and where in it ids begin.
struct Template {
    bytes: Vec<u8>,
    places: Vec<usize>,
    /// Of its spans.
    ids: Vec<Uuid>,
}

/// Numbered requests of one kind.
pub(crate) struct Templates {
    all: Vec<Template>,
    /// Requests with ids of the same millisecond: spans of one trace that come one by one have all of it.
    alike: usize,
    /// Milliseconds from those to the next.
    step: u64,
}

impl Templates {
    /// So many requests that differ, made of so many spans each by `request`; ids of one and the next are `step`
    /// milliseconds apart.
    pub(crate) fn new(
        mut data: Data,
        batch: usize,
        number: usize,
        step: u64,
        request: impl Fn(&[Span]) -> Vec<u8>,
    ) -> Self {
        data.stand_still();
        let alike = TRACE_SPANS.div_ceil(batch);
        let stamp = stamp(START);
        let all = (0..number.next_multiple_of(alike)).map(|_| {
            let spans = data.spans(batch);
            let bytes = request(&spans);
            let places = memmem::find_iter(&bytes, &stamp).collect();
            Template { places, bytes, ids: spans.iter().map(|span| span.id).collect() }
        });
        Self { all: all.collect(), alike, step }
    }

    fn get(&self, number: usize) -> (&Template, u64) {
        let since = u64::try_from(number / self.alike).unwrap_or(u64::MAX) * self.step;
        (&self.all[number % self.all.len()], START + since)
    }

    /// Puts the request of this number in the place of `request`.
    pub(crate) fn write(&self, number: usize, request: &mut Vec<u8>) {
        let (template, millis) = self.get(number);
        request.clear();
        request.extend_from_slice(&template.bytes);
        let stamp = stamp(millis);
        for place in &template.places {
            request[*place..][..STAMP].copy_from_slice(&stamp);
        }
    }

    /// The spans in it.
    pub(crate) fn ids(&self, number: usize) -> impl Iterator<Item = Uuid> {
        let (template, millis) = self.get(number);
        let time = u128::from(millis) << 80;
        template.ids.iter().map(move |id| Uuid::from_u128(id.as_u128() & ((1 << 80) - 1) | time))
    }
}

fn stamp(millis: u64) -> [u8; STAMP] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut stamp = [b'-'; STAMP];
    for (at, place) in (0..8).chain(9..STAMP).rev().enumerate() {
        stamp[place] = DIGITS[usize::try_from(millis >> (4 * at) & 15).unwrap_or_default()];
    }
    stamp
}

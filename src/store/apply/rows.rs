//! The rows that a commit touches.

use super::{Key, Slot};

/// What is known of rows, by what they are. They are taken up first, in any order, and found once they were put in
/// order: most come in it.
#[derive(Debug)]
pub(super) struct Rows<F, B>(Vec<(Key, Slot<F, B>)>);

impl<F, B> Default for Rows<F, B> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F, B> Rows<F, B> {
    /// Makes room for so many.
    pub(super) fn reserve(&mut self, number: usize) {
        self.0.reserve(number);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes up one that was not taken up before.
    pub(super) fn know(&mut self, key: Key, slot: Slot<F, B>) {
        self.0.push((key, slot));
    }

    /// Puts those that were taken up in order.
    pub(super) fn put_in_order(&mut self) {
        if !self.0.is_sorted_by(|one, other| one.0 < other.0) {
            self.0.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        }
    }

    fn place(&self, key: &Key) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(key))
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Slot<F, B>> {
        self.place(key).ok().and_then(|at| self.0.get(at)).map(|(_, slot)| slot)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Slot<F, B>> {
        self.place(key).ok().and_then(|at| self.0.get_mut(at)).map(|(_, slot)| slot)
    }

    /// The one of this key; one that is not there if it was not taken up.
    pub(super) fn or_absent(&mut self, key: &Key) -> &mut Slot<F, B> {
        let at = self.place(key).unwrap_or_else(|at| {
            self.0.insert(at, (key.clone(), Slot::ABSENT));
            at
        });
        &mut self.0[at].1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Slot<F, B>)> {
        self.0.iter().map(|(key, slot)| (key, slot))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Key, &mut Slot<F, B>)> {
        self.0.iter_mut().map(|(key, slot)| (&*key, slot))
    }
}

impl<F, B> IntoIterator for Rows<F, B> {
    type Item = (Key, Slot<F, B>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

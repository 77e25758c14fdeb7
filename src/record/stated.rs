//! From a body's members to what a record states.

use super::{FieldSet, Fields, ProjectRef, TagEdits};
use crate::model::{Id, ProjectName, UpdateTags};

/// Members of a record, collected with the fact that they were stated.
#[derive(Default)]
pub(super) struct Stated<F> {
    pub fields: F,
    pub stated: FieldSet,
}

impl<F: Fields> Stated<F> {
    /// States a value, if there is one.
    pub(super) fn some<T>(&mut self, field: u8, value: Option<T>, place: fn(&mut F) -> &mut Option<T>) {
        if value.is_some() {
            self.even_none(field, value, place);
        }
    }

    /// States a value or its absence.
    pub(super) fn even_none<T>(&mut self, field: u8, value: Option<T>, place: fn(&mut F) -> &mut Option<T>) {
        *place(&mut self.fields) = value;
        self.stated.insert(field);
    }
}

/// A blank text states nothing.
pub(super) fn not_blank(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

/// The project that a body names; an id counts more than a name.
pub(super) fn named(id: Option<Id>, name: Option<ProjectName>) -> Option<ProjectRef> {
    id.map(ProjectRef::Id).or_else(|| name.map(|name| ProjectRef::Name(name.trimmed().to_owned())))
}

/// What an update does to tags: additions and removals, if it has any, else a replacement.
pub(super) fn tag_changes<F: Fields>(
    stated: &mut Stated<F>,
    tags: Option<UpdateTags>,
    added: Option<UpdateTags>,
    removed: Option<UpdateTags>,
) -> Option<TagEdits> {
    if added.is_some() || removed.is_some() {
        let list = |tags: Option<UpdateTags>| tags.map(UpdateTags::into_vec).unwrap_or_default();
        return Some(TagEdits { base: None, added: list(added), removed: list(removed) });
    }
    stated.some(F::TAGS, tags.map(UpdateTags::into_vec), F::tags);
    None
}

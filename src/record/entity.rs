//! What spans and traces have in common.

use super::{FieldSet, Fields, Record, Row, TagEdits};
use crate::model::{ErrorInfo, Id, Payload};

/// Kinds of things that can be judged and commented on, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entity {
    /// A step of a trace.
    Span = 1,
    /// A whole trace.
    Trace = 2,
    /// The traces of one conversation; its id is its model id.
    Thread = 3,
}

impl Entity {
    /// The integer it is stored as.
    #[must_use]
    pub const fn code(self) -> i64 {
        self as i64
    }

    /// As it is called in messages, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::Trace => "trace",
            Self::Thread => "thread",
        }
    }

    /// As it is called at the beginning of messages.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Span => "Span",
            Self::Trace => "Trace",
            Self::Thread => "Thread",
        }
    }
}

/// What a score or a comment is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// What kind of thing.
    pub entity: Entity,
    /// Which one.
    pub id: Id,
}

/// The values of what clients write themselves: spans and traces.
pub trait Traced: Fields {
    /// What they are of.
    const ENTITY: Entity;

    /// Bytes that they hold, roughly.
    fn bytes(&self) -> usize;

    /// How a single create or update contradicts the row that it is for and that was created already. `same_project`
    /// tells whether the project that the record states, if any, is the row's.
    fn conflict(row: &Row<Self>, record: &Record<Self>, same_project: bool) -> Option<Conflict>;
}

/// A write of one of them.
#[derive(Debug, Clone)]
pub struct Write<F> {
    /// Which.
    pub id: Id,
    /// The project it states; the store makes a key of it.
    pub project: Option<ProjectRef>,
    /// Everything else.
    pub record: Record<F>,
}

impl<F: Traced> Write<F> {
    /// Bytes that it holds, roughly: for bounds on what waits in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.record.bytes()
    }
}

impl<F: Traced> Record<F> {
    /// Bytes that it holds, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.fields.bytes()
    }

    /// Makes of an update that replaces tags one that adds them to those there are.
    pub fn add_tags(&mut self) {
        if self.tag_edits.is_none() {
            let tags = self.fields.tags().take();
            self.stated = self.stated.without(FieldSet::of(&[F::TAGS]));
            self.tag_edits = tags.map(|added| TagEdits { added, ..TagEdits::default() });
        }
    }
}

/// How a write names a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectRef {
    /// By name, without outer white space; made if there is none.
    Name(String),
    /// By id; must exist.
    Id(Id),
}

/// Why a single write cannot be merged: it states another identity than the row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// Another parent.
    Parent,
    /// Another project.
    Project,
    /// Another trace.
    Trace,
}

/// Whether a single create or update contradicts the row it is for. A row that was only updated so far is not created
/// yet and contradicts nothing.
#[must_use]
pub fn conflict<F: Traced>(row: &Row<F>, record: &Record<F>, same_project: bool) -> Option<Conflict> {
    row.lanes.newest?;
    F::conflict(row, record, same_project)
}

pub(super) fn payload_bytes(payload: Option<&Payload>) -> usize {
    payload.map_or(0, |raw| raw.get().len())
}

pub(super) fn text_bytes(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

pub(super) fn tags_bytes(tags: Option<&Vec<String>>) -> usize {
    tags.into_iter().flatten().map(|tag| tag.len() + size_of::<String>()).sum()
}

pub(super) fn error_bytes(error: Option<&ErrorInfo>) -> usize {
    error.map_or(0, |error| text_bytes(error.message.as_ref()) + text_bytes(error.traceback.as_ref()))
}

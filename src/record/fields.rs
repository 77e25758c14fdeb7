//! The members of an entity, each with a number that is stored and therefore never changes.

/// A set of fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldSet(pub u32);

impl FieldSet {
    /// No field.
    pub const EMPTY: Self = Self(0);

    /// The set of these fields.
    #[must_use]
    pub const fn of(fields: &[u8]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < fields.len() {
            bits |= 1 << fields[at];
            at += 1;
        }
        Self(bits)
    }

    /// Whether the field is in it.
    #[must_use]
    pub const fn contains(self, field: u8) -> bool {
        self.0 & (1 << field) != 0
    }

    /// Puts a field in.
    pub fn insert(&mut self, field: u8) {
        self.0 |= 1 << field;
    }

    /// The fields in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The fields in both.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The fields that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The fields by number.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..u32::BITS).filter(move |field| self.0 & (1 << field) != 0).map(|field| {
            #[expect(clippy::cast_possible_truncation, reason = "below 32")]
            let field = field as u8;
            field
        })
    }
}

/// The values of an entity's members.
pub trait Fields: Clone + Default {
    /// Which project, trace and parent it belongs to: creates decide, updates only place what was not created yet.
    const IDENTITY: FieldSet;
    /// The project, a part of it.
    const PROJECT: u8;
    /// The tags, which updates can also change by addition and removal.
    const TAGS: u8;
    /// The end, which tells a full record from a start record.
    const END: u8;

    /// The fields that have a value.
    fn present(&self) -> FieldSet;

    /// Takes one field's value, or its absence, over from another.
    fn take(&mut self, field: u8, from: &mut Self);

    /// The tags' value.
    fn tags(&mut self) -> &mut Option<Vec<String>>;

    /// The project's key in its store.
    fn project(&mut self) -> &mut Option<i64>;
}

/// Declares an entity's fields: a struct of options, and constants with the stored numbers.
macro_rules! fields {
    (
        $(#[$doc:meta])* $name:ident, $numbers:ident {
            $($(#[$field_doc:meta])* $field:ident: $type:ty = $constant:ident $number:literal),+ $(,)?
        }
        identity: [$($identity:ident),+], tags: $tags:ident, end: $end:ident
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default)]
        pub struct $name { $($(#[$field_doc])* pub $field: Option<$type>),+ }

        /// Numbers of the fields, as stored.
        #[derive(Debug)]
        pub struct $numbers;

        impl $numbers {
            $($(#[$field_doc])* pub const $constant: u8 = $number;)+
        }

        impl $crate::record::Fields for $name {
            const IDENTITY: $crate::record::FieldSet = $crate::record::FieldSet::of(&[$($numbers::$identity),+]);
            const PROJECT: u8 = $numbers::PROJECT;
            const TAGS: u8 = $numbers::$tags;
            const END: u8 = $numbers::$end;

            fn present(&self) -> $crate::record::FieldSet {
                let mut present = $crate::record::FieldSet::EMPTY;
                $(if self.$field.is_some() { present.insert($number); })+
                present
            }

            fn take(&mut self, field: u8, from: &mut Self) {
                match field {
                    $($number => self.$field = from.$field.take(),)+
                    _ => {}
                }
            }

            fn tags(&mut self) -> &mut Option<Vec<String>> {
                &mut self.tags
            }

            fn project(&mut self) -> &mut Option<i64> {
                &mut self.project
            }
        }
    };
}

pub(super) use fields;

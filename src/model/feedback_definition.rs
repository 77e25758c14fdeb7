//! Feedback definitions: which scores people can give, and how.
//!
//! A definition is of one of three types, which decides what its details are. It is read as one struct with the members
//! of all three, so that a refusal names the exact place; its rules then look at the type. The document shows the three
//! apart (see [`schema`]).

mod schema;

use indexmap::IndexMap;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;
use validator::{Validate, ValidationErrors};

use super::json::object;
use super::short_text::ShortText;
use super::span_enums::vocabulary;
use super::validation::broken;
use super::{Decimal, Id, NotEmpty, Timestamp};

vocabulary!(
    /// What kind of score a definition is about.
    FeedbackType {
        /// A number between two others.
        Numerical = 1,
        /// One of several categories, each with a value.
        Categorical = 2,
        /// Yes or no.
        Boolean = 3,
    }
);

/// A definition's description.
type FeedbackDescription = ShortText<255>;

/// A definition as it is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(expecting = "a feedback definition object")]
pub struct FeedbackSent {
    /// Its name.
    pub name: Option<NotEmpty>,
    /// What it is for.
    pub description: Option<FeedbackDescription>,
    /// Its type.
    pub r#type: Option<FeedbackType>,
    /// What belongs to that type.
    #[serde(default, deserialize_with = "object")]
    pub details: Option<DetailsSent>,
}

/// The details of all types.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(expecting = "a details object")]
pub struct DetailsSent {
    min: Option<Decimal>,
    max: Option<Decimal>,
    categories: Option<IndexMap<String, f64>>,
    #[serde(rename = "trueLabel")]
    true_label: Option<NotEmpty>,
    #[serde(rename = "falseLabel")]
    false_label: Option<NotEmpty>,
    /// As the original and its clients spell them. Who changes what an answer said sends both spellings back: these
    /// count.
    #[serde(rename = "true_label")]
    true_label_original: Option<NotEmpty>,
    #[serde(rename = "false_label")]
    false_label_original: Option<NotEmpty>,
}

/// What a definition amounts to.
#[derive(Debug, Clone)]
pub struct FeedbackDefinition {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What belongs to its type.
    pub details: FeedbackDetails,
}

impl FeedbackDefinition {
    /// Bytes that it holds, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let labels = match &self.details {
            FeedbackDetails::Numerical { min, max } => min.as_str().len() + max.as_str().len(),
            FeedbackDetails::Categorical(categories) => {
                categories.keys().map(|label| label.len() + size_of::<(String, f64)>()).sum()
            }
            FeedbackDetails::Boolean { true_label, false_label } => true_label.len() + false_label.len(),
        };
        self.name.len() + self.description.as_ref().map_or(0, String::len) + labels
    }
}

/// What belongs to a type.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedbackDetails {
    /// Between these.
    Numerical {
        /// The least.
        min: Decimal,
        /// The greatest.
        max: Decimal,
    },
    /// One of these, in the order in which they were sent.
    Categorical(IndexMap<String, f64>),
    /// One of two.
    Boolean {
        /// What 1 is called.
        true_label: String,
        /// What 0 is called.
        false_label: String,
    },
}

impl FeedbackDetails {
    /// The type they belong to.
    #[must_use]
    pub fn kind(&self) -> FeedbackType {
        match self {
            Self::Numerical { .. } => FeedbackType::Numerical,
            Self::Categorical(_) => FeedbackType::Categorical,
            Self::Boolean { .. } => FeedbackType::Boolean,
        }
    }

    /// The details of this type, if they were sent whole.
    #[must_use]
    pub fn of(kind: FeedbackType, sent: DetailsSent) -> Option<Self> {
        Some(match kind {
            FeedbackType::Numerical => Self::Numerical { min: sent.min?, max: sent.max? },
            FeedbackType::Categorical => Self::Categorical(sent.categories?),
            FeedbackType::Boolean => Self::Boolean {
                true_label: sent.true_label_original.or(sent.true_label)?.0,
                false_label: sent.false_label_original.or(sent.false_label)?.0,
            },
        })
    }
}

impl Serialize for FeedbackDetails {
    /// Labels come in both spellings: that of the contract, and that of the original.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Numerical { min, max } => {
                map.serialize_entry("min", min)?;
                map.serialize_entry("max", max)?;
            }
            Self::Categorical(categories) => map.serialize_entry("categories", categories)?,
            Self::Boolean { true_label, false_label } => {
                for name in ["trueLabel", "true_label"] {
                    map.serialize_entry(name, true_label)?;
                }
                for name in ["falseLabel", "false_label"] {
                    map.serialize_entry(name, false_label)?;
                }
            }
        }
        map.end()
    }
}

impl FeedbackSent {
    /// What it amounts to, if it keeps the rules.
    #[must_use]
    pub fn definition(self) -> Option<FeedbackDefinition> {
        Some(FeedbackDefinition {
            name: self.name?.0,
            description: self.description.map(|text| text.0),
            details: FeedbackDetails::of(self.r#type?, self.details?)?,
        })
    }
}

impl Validate for FeedbackSent {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let mut errors = ValidationErrors::new();
        let name = self.name.as_ref().map_or_else(|| Err(broken("required", "must not be blank")), Validate::validate);
        errors.merge_self("name", name);
        errors.merge_self("description", self.description.as_ref().map_or(Ok(()), Validate::validate));
        if self.r#type.is_none() {
            errors.merge_self("type", Err(broken("required", "must not be null")));
        }
        let details = match (&self.details, self.r#type) {
            (None, _) => Err(broken("required", "must not be null")),
            (Some(details), Some(kind)) => details.check(kind),
            (Some(_), None) => Ok(()),
        };
        errors.merge_self("details", details);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

impl DetailsSent {
    fn check(&self, kind: FeedbackType) -> Result<(), ValidationErrors> {
        let mut errors = ValidationErrors::new();
        let mut wrong = |name: &'static str, message: &'static str| {
            errors.merge_self(name, Err(broken("rule", message)));
        };
        match kind {
            FeedbackType::Numerical => {
                if self.min.is_none() {
                    wrong("min", "must not be null");
                }
                if self.max.is_none() {
                    wrong("max", "must not be null");
                }
                if let (Some(min), Some(max)) = (&self.min, &self.max)
                    && min.exact() >= max.exact()
                {
                    wrong("min", "has to be smaller than details.max");
                }
            }
            FeedbackType::Categorical => match &self.categories {
                None => wrong("categories", "must not be null"),
                Some(categories) if categories.len() < 2 => {
                    wrong("categories", "size must be between 2 and 2147483647");
                }
                Some(_) => {}
            },
            FeedbackType::Boolean => {
                for (name, documented, original) in [
                    ("trueLabel", &self.true_label, &self.true_label_original),
                    ("falseLabel", &self.false_label, &self.false_label_original),
                ] {
                    if original.as_ref().or(documented.as_ref()).is_none_or(|label| label.0.is_empty()) {
                        wrong(name, "must not be blank");
                    }
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// The contract names the same type once for each view; clients are generated with these names.
macro_rules! sent {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub FeedbackSent);

        impl Validate for $name {
            fn validate(&self) -> Result<(), ValidationErrors> {
                self.0.validate()
            }
        }
    };
}

sent!(
    /// A definition to create.
    FeedbackCreate
);
sent!(
    /// What a definition is to be from now on.
    FeedbackUpdate
);

/// A definition.
#[derive(Debug, Clone, Serialize)]
pub struct FeedbackPublic {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its type.
    pub r#type: FeedbackType,
    /// What belongs to that type.
    pub details: FeedbackDetails,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: String,
    /// When it last changed.
    pub last_updated_at: Timestamp,
    /// Who changed it last.
    pub last_updated_by: String,
    /// The same, as the contract also spells it.
    #[serde(rename = "createdAt")]
    pub created_at_documented: Timestamp,
    /// The same, as the contract also spells it.
    #[serde(rename = "createdBy")]
    pub created_by_documented: String,
    /// The same, as the contract also spells it.
    #[serde(rename = "lastUpdatedAt")]
    pub last_updated_at_documented: Timestamp,
    /// The same, as the contract also spells it.
    #[serde(rename = "lastUpdatedBy")]
    pub last_updated_by_documented: String,
}

/// A page of definitions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FeedbackDefinitionPage_Public)]
pub struct FeedbackDefinitionPagePublic {
    /// Which page it is, from 1.
    #[schema(required = false)]
    pub page: i32,
    /// How many definitions are on it.
    #[schema(required = false)]
    pub size: i32,
    /// How many definitions there are on all pages.
    #[schema(required = false)]
    pub total: i64,
    /// The definitions.
    #[schema(required = false)]
    pub content: Vec<FeedbackPublic>,
}

//! Rare changes: of projects, and of what a workspace is set up with. Each is a transaction of its own, between those of
//! the spans, and durable when it is acknowledged.

use crate::model::{
    EnvironmentColor, EnvironmentDescription, EnvironmentName, FeedbackDefinition, Id, NotBlank, ProjectDescription,
    ProjectName, Visibility, WorkspaceConfiguration,
};

/// Such a change.
#[derive(Debug)]
pub enum Manage {
    /// Of projects.
    Project(ProjectChange),
    /// Of environments.
    Environment(EnvironmentChange),
    /// Of feedback definitions.
    Definition(DefinitionChange),
    /// The workspace is set up like this; none: as at the beginning.
    Configuration(Option<Box<WorkspaceConfiguration>>),
}

/// A change of projects.
#[derive(Debug)]
pub enum ProjectChange {
    /// One is made.
    Create {
        /// Its id.
        id: Id,
        /// Its name.
        name: NotBlank,
        /// What it is for.
        description: Option<ProjectDescription>,
        /// Who may see it.
        visibility: Visibility,
    },
    /// What is stated of one changes.
    Update {
        /// Which.
        id: Id,
        /// Its new name.
        name: Option<ProjectName>,
        /// What it is for.
        description: Option<ProjectDescription>,
        /// Who may see it.
        visibility: Option<Visibility>,
    },
    /// These go, with all that is in them; those that exist.
    Delete(Vec<Id>),
}

/// A change of environments.
#[derive(Debug)]
pub enum EnvironmentChange {
    /// One is made.
    Create {
        /// Its id.
        id: Id,
        /// Its name.
        name: EnvironmentName,
        /// What it is for.
        description: Option<EnvironmentDescription>,
        /// How it is shown.
        color: EnvironmentColor,
        /// Where it stands among the others.
        position: i32,
        /// How many a workspace may have.
        max: usize,
    },
    /// What is stated of one changes.
    Update {
        /// Which.
        id: Id,
        /// Its new name.
        name: Option<EnvironmentName>,
        /// What it is for.
        description: Option<EnvironmentDescription>,
        /// How it is shown.
        color: Option<EnvironmentColor>,
        /// Where it stands among the others.
        position: Option<i32>,
    },
    /// These go, those that exist.
    Delete(Vec<Id>),
}

/// A change of feedback definitions.
#[derive(Debug)]
pub enum DefinitionChange {
    /// One is made.
    Create(Id, FeedbackDefinition),
    /// One says something else.
    Update(Id, FeedbackDefinition),
    /// These go, those that exist; all of them or none.
    Delete(Vec<Id>),
}

impl Manage {
    /// Bytes that it holds, roughly. Names and descriptions are short: what counts is what may be long.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let beyond = match self {
            Self::Project(ProjectChange::Delete(ids))
            | Self::Environment(EnvironmentChange::Delete(ids))
            | Self::Definition(DefinitionChange::Delete(ids)) => size_of_val(ids.as_slice()),
            Self::Definition(DefinitionChange::Create(_, definition) | DefinitionChange::Update(_, definition)) => {
                definition.bytes()
            }
            Self::Configuration(Some(configuration)) => configuration.bytes(),
            Self::Project(_) | Self::Environment(_) | Self::Configuration(None) => 0,
        };
        size_of::<Self>() + beyond
    }
}

/// Why such a change was not made, although the store works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManageRefusal {
    /// There is a project of this name, in whatever letter case.
    ProjectExists,
    /// There is no such project.
    ProjectNotFound,
    /// There is an environment of this name.
    EnvironmentExists(String),
    /// There is an environment of this id.
    EnvironmentIdExists,
    /// The workspace has as many environments as it may have.
    TooManyEnvironments {
        /// How many it may have.
        max: usize,
    },
    /// There is no such environment.
    EnvironmentNotFound,
    /// There is a feedback definition of this name, in whatever letter case.
    DefinitionExists,
    /// There is no such feedback definition.
    DefinitionNotFound,
    /// This feedback definition is not to be deleted.
    DefinitionStays(&'static str),
}

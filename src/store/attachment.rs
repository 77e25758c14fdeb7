//! Attachments in the words of the store.

use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::upload::ReceivedFile;
use crate::model::Id;
use crate::record::{ProjectRef, Target};

/// An attachment to be kept, over the one of the same name.
#[derive(Debug)]
pub struct NewAttachment {
    /// What it belongs to, which may come later.
    pub target: Target,
    /// Its project, which is made if there is none; the default one if it names none.
    pub project: Option<ProjectRef>,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub mime_type: String,
    /// What was uploaded.
    pub file: ReceivedFile,
}

/// Which attachments are meant.
#[derive(Debug, Clone)]
pub struct AttachmentQuery {
    /// Those of this workspace.
    pub workspace: String,
    /// And of this project.
    pub project: Id,
    /// Those that belong to this.
    pub target: Target,
    /// How many at most.
    pub limit: u64,
    /// How many to pass over.
    pub offset: u64,
}

/// An attachment as it is listed.
#[derive(Debug, Clone)]
pub struct StoredAttachment {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub mime_type: String,
    /// How many bytes it has.
    pub bytes: i64,
}

/// A file with the content of an attachment. It may be there only as long as this is.
#[derive(Debug)]
pub struct AttachmentFile {
    path: PathBuf,
    _temporary: Option<TempPath>,
}

impl AttachmentFile {
    /// One that is kept.
    pub(super) fn kept(path: PathBuf) -> Self {
        Self { path, _temporary: None }
    }

    /// One that was made to be read now.
    pub(super) fn temporary(path: TempPath) -> Self {
        Self { path: path.to_path_buf(), _temporary: Some(path) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

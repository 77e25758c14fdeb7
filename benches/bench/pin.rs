//! Programs on cores of their own, by `taskset`.

use std::process::{Command, Stdio};

use crate::Failure;

/// The server's core, and that of this program.
pub(crate) const CORES: [usize; 2] = [0, 1];

/// Keeps this program on its core until this is dropped.
pub(crate) struct Pinned {
    before: String,
}

impl Pinned {
    pub(crate) fn new() -> Result<Self, Failure> {
        let shown = Command::new("taskset").args(["-pc", &id()]).output()?;
        let shown = String::from_utf8(shown.stdout)?;
        let before = shown.rsplit(": ").next().unwrap_or_default().trim().to_owned();
        set(&CORES[1].to_string())?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = set(&self.before);
    }
}

fn id() -> String {
    std::process::id().to_string()
}

fn set(cores: &str) -> Result<(), Failure> {
    let done = Command::new("taskset").args(["-pc", cores, &id()]).stdout(Stdio::null()).status()?;
    if done.success() { Ok(()) } else { Err("this program could not be kept on a core".into()) }
}

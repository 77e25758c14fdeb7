//! The process that this one ends with.

use std::io;
use std::str::FromStr;

use tokio_util::sync::CancellationToken;

/// Which process it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// The one that started this one.
    Starter,
    /// The one with this id: it may have ended before this one could look for it, and is then not missed.
    Stated(u32),
}

impl FromStr for Parent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "true" => Ok(Self::Starter),
            text => text.parse().ok().filter(|id| *id > 0).map(Self::Stated).ok_or("expected the id of a process"),
        }
    }
}

impl Parent {
    /// Has `stop` cancelled once that process has ended; at once, if there is none.
    ///
    /// # Errors
    /// When the system does not let the process be watched.
    pub fn watch(self, stop: CancellationToken) -> io::Result<()> {
        let Some(wait) = end_of(self)? else {
            stop.cancel();
            return Ok(());
        };
        let work = move || {
            wait();
            tracing::info!("stopping: the process that this one was to end with has ended");
            stop.cancel();
        };
        std::thread::Builder::new().name("parent".to_owned()).spawn(work).map(drop)
    }
}

/// What waits for the end of a process; none if it has ended. A descriptor of the process is watched: it means this
/// process and no later one with the same id, and no thread of it alone.
#[cfg(target_os = "linux")]
fn end_of(parent: Parent) -> io::Result<Option<impl FnOnce() + Send + 'static>> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};

    let starter = getppid();
    let process = match parent {
        Parent::Starter => starter,
        Parent::Stated(id) => i32::try_from(id).ok().and_then(Pid::from_raw),
    };
    let Some(process) = process else { return Ok(None) };
    let descriptor = match pidfd_open(process, PidfdFlags::empty()) {
        Ok(descriptor) => descriptor,
        Err(Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // It ended before it was opened: what was opened may be another one, with its id.
    if parent == Parent::Starter && getppid() != starter {
        return Ok(None);
    }
    Ok(Some(move || {
        let mut watched = [PollFd::new(&descriptor, PollFlags::IN)];
        while matches!(poll(&mut watched, None), Err(Errno::INTR)) {}
    }))
}

/// The same without descriptors of processes: whose parent has ended has another.
#[cfg(not(target_os = "linux"))]
fn end_of(parent: Parent) -> io::Result<Option<impl FnOnce() + Send + 'static>> {
    /// How long an end may go unnoticed.
    const LOOK: std::time::Duration = std::time::Duration::from_millis(100);

    let starter = std::os::unix::process::parent_id();
    if matches!(parent, Parent::Stated(id) if id != starter) {
        return Ok(None);
    }
    Ok(Some(move || {
        while std::os::unix::process::parent_id() == starter {
            std::thread::sleep(LOOK);
        }
    }))
}

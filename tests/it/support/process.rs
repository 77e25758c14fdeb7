//! The real program, as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::Api;

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_spandrel");

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running `spandrel serve`. Killed when dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) api: Api,
}

impl Process {
    /// Starts `spandrel serve` on a free port with these flags.
    pub(crate) fn start(folder: &Path, flags: &[&str]) -> Self {
        Self::start_under(&[], folder, flags)
    }

    /// The same, on the database in `folder`.
    pub(crate) fn on_disk(folder: &Path) -> Self {
        Self::start(folder, &["--database", &database_url(folder)])
    }

    /// The same, by a program that runs it, such as a tracer.
    pub(crate) fn start_under(runner: &[&str], folder: &Path, flags: &[&str]) -> Self {
        let ready = folder.join("ready");
        let _ = std::fs::remove_file(&ready);
        let mut line: Vec<&str> = runner.to_vec();
        line.extend([BINARY, "serve", "--listen", "127.0.0.1:0", "--ready-file"]);
        let mut child = Command::new(line[0])
            .args(&line[1..])
            .arg(&ready)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let base = wait_for(|| {
            assert!(child.try_wait().unwrap().is_none(), "the server ended before it was ready");
            std::fs::read_to_string(&ready).ok()
        });
        Self { child, api: Api::new(&base) }
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for(|| self.child.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn database(folder: &Path) -> PathBuf {
    folder.join("spandrel.db")
}

pub(crate) fn database_url(folder: &Path) -> String {
    format!("sqlite:{}", database(folder).display())
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "nothing came of it in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

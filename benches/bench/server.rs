//! The server, as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Failure, Options};

/// A running server. Killed, as by `SIGKILL`, when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

/// A database in a folder that is deleted with it.
pub(crate) struct Database {
    folder: tempfile::TempDir,
}

impl Database {
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        Ok(Self { folder: tempfile::Builder::new().prefix("bench").tempdir_in(&options.folder)? })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("spandrel.db")
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    /// Its size, with its journal.
    pub(crate) fn bytes(&self) -> u64 {
        let size = |file: PathBuf| std::fs::metadata(file).map_or(0, |metadata| metadata.len());
        size(self.file()) + size(self.folder.path().join("spandrel.db-wal"))
    }

    /// The size of its journal.
    pub(crate) fn journal_bytes(&self) -> u64 {
        std::fs::metadata(self.folder.path().join("spandrel.db-wal")).map_or(0, |metadata| metadata.len())
    }
}

impl Server {
    pub(crate) fn start(options: &Options, database: &Database) -> Result<Self, Failure> {
        let ready = database.folder.path().join("ready");
        let _ = std::fs::remove_file(&ready);
        let mut child = Command::new(&options.program)
            .args(["serve", "--listen", "127.0.0.1:0", "--database", &database.url(), "--ready-file"])
            .arg(&ready)
            .args(&options.flag)
            .stdout(Stdio::null())
            .spawn()?;
        let base = loop {
            if let Ok(base) = std::fs::read_to_string(&ready) {
                break base;
            }
            if child.try_wait()?.is_some() {
                return Err("the server ended before it was ready".into());
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        let address = base.trim_start_matches("http://").to_owned();
        Ok(Self { child, address })
    }

    /// Seconds of processor time it has used.
    pub(crate) fn cpu(&self) -> Result<f64, Failure> {
        cpu(&self.child.id().to_string())
    }

    /// Its memory now, in MiB.
    pub(crate) fn memory(&self) -> Result<f64, Failure> {
        self.status("VmRSS:")
    }

    /// The most memory it had, in MiB.
    pub(crate) fn peak_memory(&self) -> Result<f64, Failure> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds of processor time that a process has used.
pub(crate) fn cpu(process: &str) -> Result<f64, Failure> {
    /// The kernel's clock ticks a second, on every Linux of today.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(Path::new("/proc").join(process).join("stat"))?;
    // The program's name, in brackets, may have spaces in it.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Result<Vec<f64>, _> = after.split_whitespace().skip(11).take(2).map(str::parse).collect();
    Ok(ticks?.into_iter().sum::<f64>() / TICKS)
}

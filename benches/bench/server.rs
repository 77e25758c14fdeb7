//! The server, as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::pin::CORES;
use crate::{Failure, Options};

/// A running server. Killed, as by `SIGKILL`, when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

/// A database: in a folder that is deleted with it, or in a cluster.
pub(crate) struct Database {
    folder: tempfile::TempDir,
    /// Where in a cluster it is.
    place: Option<String>,
}

impl Database {
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("bench").tempdir_in(&options.folder)?;
        Ok(Self { folder, place: None })
    }

    /// The one with this URL.
    pub(crate) fn at(options: &Options, url: String) -> Result<Self, Failure> {
        Ok(Self { place: Some(url), ..Self::new(options)? })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("spandrel.db")
    }

    pub(crate) fn url(&self) -> String {
        self.place.clone().unwrap_or_else(|| format!("sqlite:{}", self.file().display()))
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("spandrel.db-wal")
    }

    /// Its size, with its journal.
    pub(crate) fn bytes(&self) -> u64 {
        size(&self.file()) + self.journal_bytes()
    }

    /// The size of its journal.
    pub(crate) fn journal_bytes(&self) -> u64 {
        size(&self.journal())
    }

    /// Has the system forget what of it is in memory, so that the next to read it waits for the disk.
    pub(crate) fn forget(&self) -> Result<(), Failure> {
        for file in [self.file(), self.journal()].iter().filter(|file| file.exists()) {
            let mut of = std::ffi::OsString::from("of=");
            of.push(file);
            let forget = ["oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"];
            if !Command::new("dd").arg(of).args(forget).status()?.success() {
                return Err("the file could not be put out of memory".into());
            }
        }
        Ok(())
    }
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

impl Server {
    pub(crate) fn start(options: &Options, database: &Database) -> Result<Self, Failure> {
        Self::run(Command::new(&options.program), options, database, &[])
    }

    /// Starts one with these flags.
    pub(crate) fn start_with(options: &Options, database: &Database, flags: &[&str]) -> Result<Self, Failure> {
        Self::run(Command::new(&options.program), options, database, flags)
    }

    /// Starts one that is kept on its core.
    pub(crate) fn start_pinned(options: &Options, database: &Database) -> Result<Self, Failure> {
        Self::start_under(&["taskset", "-c", &CORES[0].to_string()], options, database)
    }

    /// Has another program run it.
    pub(crate) fn start_under(runner: &[&str], options: &Options, database: &Database) -> Result<Self, Failure> {
        let mut command = Command::new(runner[0]);
        command.args(&runner[1..]).arg(&options.program);
        Self::run(command, options, database, &[])
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?);
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }

    fn run(mut command: Command, options: &Options, database: &Database, flags: &[&str]) -> Result<Self, Failure> {
        let ready = database.folder.path().join("ready");
        let _ = std::fs::remove_file(&ready);
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--database", &database.url(), "--ready-file"])
            .arg(&ready)
            .args(flags)
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

    /// Counts the most memory anew from now on.
    pub(crate) fn forget_peak(&self) -> Result<(), Failure> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    /// How many sockets it has open.
    pub(crate) fn sockets(&self) -> Result<usize, Failure> {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?;
        let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        Ok(targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count())
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

//! The real program, as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use super::{Api, Home};

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_spandrel");

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

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

    /// The same, on this database.
    pub(crate) fn on(home: &Home) -> Self {
        Self::start(home.folder(), &["--database", &home.url()])
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

impl Process {
    /// A child that writes its base URL to this file once it answers.
    pub(crate) fn ready(mut child: Child, file: &Path) -> Self {
        let base = wait_for(|| {
            assert!(child.try_wait().unwrap().is_none(), "the server ended before it was ready");
            std::fs::read_to_string(file).ok()
        });
        Self { child, api: Api::new(&base) }
    }

    /// Runs the program, in an empty folder, to its end.
    pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        Self::run_under(&[], arguments, variables)
    }

    /// The same, by a program that runs it.
    pub(crate) fn run_under(runner: &[&str], arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let line = [runner, &[BINARY], arguments].concat();
        let (home, log) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (out, err) = (log.path().join("out"), log.path().join("err"));
        let child = Command::new(line[0])
            .args(&line[1..])
            .envs(variables.iter().copied())
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&out).unwrap())
            .stderr(std::fs::File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let status = Self { child, api: Api::new("") }.wait();
        Output { status, stdout: std::fs::read(&out).unwrap(), stderr: std::fs::read(&err).unwrap() }
    }

    /// Waits until it takes no more connections.
    pub(crate) fn wait_until_closed(&self) {
        let address = self.api.base.trim_start_matches("http://");
        wait_for(|| std::net::TcpStream::connect(address).is_err().then_some(()));
    }

    /// Waits until this text stands in a file; returns all that does.
    pub(crate) fn wait_for_text(file: &Path, text: &str) -> String {
        wait_for(|| std::fs::read_to_string(file).ok().filter(|all| all.contains(text)))
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

/// The file beside a database that has its name and this ending.
pub(crate) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Asks again and again until there is an answer.
pub(crate) async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("an end")
}

/// The same, where there is nothing to await.
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

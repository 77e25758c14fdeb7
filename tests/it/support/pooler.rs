//! A PgBouncer of a test's own, in transaction mode, gone with the process that made it.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::cluster::{ROLE, as_unprivileged, hand_over};

/// Where the program is: in `PATH`, or where Debian puts it, which is not in everybody's.
///
/// # Errors
/// When it is in neither.
pub(crate) fn program() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = places.find_map(|folder| Some(folder.join("pgbouncer")).filter(|program| program.exists()));
    found.ok_or_else(|| "no pgbouncer in PATH or /usr/sbin".to_owned())
}

/// A pooler before a PostgreSQL on this machine.
#[derive(Debug)]
pub(crate) struct Pooler {
    folder: TempDir,
    pub(crate) port: u16,
    running: Option<Child>,
}

impl Pooler {
    /// Before the PostgreSQL at this port, with so many connections to each database.
    pub(crate) fn start(to: u16, connections: usize) -> Self {
        let folder = tempfile::Builder::new().prefix("spandrel-pooler-").tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            hand_over(&path);
        };
        hand_over(folder.path());
        file("users", &format!("\"{ROLE}\" \"\"\n"));
        // All else is as it is made.
        let shown = folder.path().display();
        file(
            "pgbouncer.ini",
            &format!(
                "[databases]\n* = host=127.0.0.1 port={to}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = trust\nauth_file = {shown}/users\npool_mode = transaction\n\
                 default_pool_size = {connections}\nlogfile = {shown}/log\n"
            ),
        );
        let mut pooler = Self { folder, port, running: None };
        pooler.begin();
        pooler
    }

    /// Starts it, also again after [`Pooler::kill`].
    pub(crate) fn begin(&mut self) {
        // A shell waits for this process to end, or to say so, and ends the pooler.
        const SCRIPT: &str = r#"trap "" INT TERM HUP; "$1" -q "$2" & read _; kill -9 $!; wait"#;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "pooler"]).arg(program().unwrap()).arg(self.folder.path().join("pgbouncer.ini"));
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.running = Some(as_unprivileged(&mut command).current_dir("/").spawn().unwrap());
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the pooler does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            // Its end is what it waits for; a line is as good.
            let _ = running.stdin.take().unwrap().write_all(b"\n");
            running.wait().unwrap();
        }
    }

    /// What it wrote into its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.kill();
    }
}

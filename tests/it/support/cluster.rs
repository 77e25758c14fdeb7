//! A PostgreSQL of the tests' own: made from the machine's programs, gone with the process that made it, however that
//! ends.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use nix::unistd::{Uid, User};
use tempfile::TempDir;

/// The role that tests use: it may make databases, and nothing else that is special.
pub(crate) const ROLE: &str = "spandrel";

/// Where the programs of PostgreSQL are: the first folder of `PATH` with all that is needed, else the newest version
/// where Debian puts them.
///
/// # Errors
/// When they are nowhere; says where they were looked for.
pub(crate) fn programs() -> Result<PathBuf, String> {
    let complete = |folder: &PathBuf| ["initdb", "pg_ctl", "postgres"].iter().all(|name| folder.join(name).exists());
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&path).find(complete) {
        return Ok(folder);
    }
    let version = |folder: &PathBuf| {
        let version = folder.parent().and_then(Path::file_name)?;
        version.to_string_lossy().parse::<u32>().ok()
    };
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|entry| entry.path().join("bin")).filter(complete);
    debian
        .max_by_key(version)
        .ok_or_else(|| "no initdb, pg_ctl and postgres in PATH or /usr/lib/postgresql/*/bin".to_owned())
}

/// A running cluster. A process of its own waits for this one to be dropped, or this process to end, and removes it.
#[derive(Debug)]
pub(crate) struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    /// Closed by whatever ends this process.
    _guard: ChildStdin,
}

impl Cluster {
    /// Makes and starts one; with `durable`, it waits for the disk, as any other does.
    pub(crate) fn start(durable: bool, settings: &[(&str, &str)]) -> Self {
        let programs = programs().unwrap();
        let folder = tempfile::Builder::new().prefix("spandrel-postgres-").tempdir().unwrap();
        hand_over(folder.path());
        let guard = guard(&programs, &folder);
        let folder = folder.keep();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { programs, folder, port, _guard: guard };
        let data = cluster.data();
        let data = data.to_str().unwrap();
        cluster.run("initdb", &["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]);
        let mut conf = format!("port = {port}\nunix_socket_directories = '{}'\n", cluster.folder.display());
        conf += "listen_addresses = '127.0.0.1'\nmax_connections = 300\n";
        if !durable {
            conf += "fsync = off\nfull_page_writes = off\n";
        }
        for (name, value) in settings {
            conf = format!("{conf}{name} = '{value}'\n");
        }
        cluster.make_role();
        let file = cluster.data().join("postgresql.conf");
        let conf = std::fs::read_to_string(&file).unwrap() + &conf;
        std::fs::write(file, conf).unwrap();
        cluster.begin();
        cluster
    }

    /// Before the server is there: whoever has it, has the role.
    fn make_role(&self) {
        let sql = format!("CREATE ROLE {ROLE} LOGIN CREATEDB;\n");
        let file = self.folder.join("role.sql");
        std::fs::write(&file, sql).unwrap();
        let mut command = Command::new(self.programs.join("postgres"));
        command.args(["--single", "-D"]).arg(self.data()).arg("postgres").current_dir(&self.folder);
        let input = std::fs::File::open(file).unwrap();
        let output = as_unprivileged(&mut command).stdin(input).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// The URL of a database, for this role.
    pub(crate) fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// Starts it again after [`Cluster::stop`].
    pub(crate) fn begin(&self) {
        let log = self.folder.join("log");
        self.run("pg_ctl", &["-D", self.data().to_str().unwrap(), "-l", log.to_str().unwrap(), "-w", "start"]);
    }

    /// Stops it, and whoever is connected: `fast`, or as if it were killed: `immediate`.
    pub(crate) fn stop(&self, how: &str) {
        self.run("pg_ctl", &["-D", self.data().to_str().unwrap(), "-m", how, "-w", "stop"]);
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        // Not pipes: the server would hold them open.
        let log = |name: &str| std::fs::File::options().append(true).create(true).open(self.folder.join(name)).unwrap();
        let status = as_unprivileged(&mut command).stdout(log("out")).stderr(log("err")).status().unwrap();
        let told =
            || ["out", "err", "log"].map(|name| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default());
        assert!(status.success(), "{program}: {}", told().join("\n"));
    }
}

/// Removes the cluster in a folder once nobody holds what this returns.
fn guard(programs: &Path, folder: &TempDir) -> ChildStdin {
    const SCRIPT: &str = r#"trap "" INT TERM HUP; read _; "$1" -D "$2/data" -m immediate -w stop; rm -rf "$2""#;
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "guard"]).arg(programs.join("pg_ctl")).arg(folder.path());
    // Whoever stops the tests by Ctrl-C does not mean this.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    as_unprivileged(&mut command).current_dir("/").spawn().unwrap().stdin.take().unwrap()
}

/// PostgreSQL refuses to be run by root.
fn unprivileged() -> Option<User> {
    let find = |name| User::from_name(name).unwrap();
    Uid::effective().is_root().then(|| find("postgres").or_else(|| find("nobody")).expect("a user postgres or nobody"))
}

/// Gives a file or folder to whoever PostgreSQL is run by.
pub(crate) fn hand_over(path: &Path) {
    if let Some(user) = unprivileged() {
        std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
}

pub(crate) fn as_unprivileged(command: &mut Command) -> &mut Command {
    match unprivileged() {
        Some(user) => command.uid(user.uid.as_raw()).gid(user.gid.as_raw()),
        None => command,
    }
}

//! PostgreSQL for tests: the server that `TEST_DATABASE_URL` names, whose role must be allowed to make databases, or a
//! private cluster; in it, a database for each test server.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::Url;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::cluster::{Cluster, ROLE};

/// Where databases are made.
struct Place {
    /// A database to make others from.
    url: Url,
    /// The name of one that is migrated and otherwise empty.
    template: String,
    _cluster: Option<Cluster>,
}

/// The one place of this process.
static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let (url, cluster) = if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
        (url, None)
    } else {
        let cluster = Cluster::start(false, &[]);
        (cluster.url(ROLE, "postgres"), Some(cluster))
    };
    let url: Url = url.parse().expect("TEST_DATABASE_URL is no URL");
    let template = name("template");
    run(&url, &format!("CREATE DATABASE {template}"));
    let migrated = of(&url, &template);
    sync(async move || spandrel::store::migrate(migrated.as_str(), false).await.map(drop)).unwrap();
    Place { url, template, _cluster: cluster }
});

impl Cluster {
    /// How many connections the role of the tests may have; -1 for as many as there are.
    pub(crate) fn limit_connections(&self, count: i32) {
        let url = self.url("postgres", "postgres").parse().unwrap();
        run(&url, &format!("ALTER ROLE {ROLE} CONNECTION LIMIT {count}"));
    }

    /// Has the superuser do something in a database.
    pub(crate) fn administer(&self, database: &str, sql: &str) {
        run(&self.url("postgres", database).parse().unwrap(), sql);
    }

    /// What the cluster wrote into its log so far.
    pub(crate) fn log(&self) -> String {
        let data = Database::at(self.url("postgres", "postgres"));
        let data = data.texts("SELECT current_setting('data_directory')").pop().unwrap();
        std::fs::read_to_string(std::path::Path::new(&data).with_file_name("log")).unwrap()
    }

    /// Ends all connections of that role.
    pub(crate) fn disconnect_all(&self) {
        let url = self.url("postgres", "postgres").parse().unwrap();
        run(&url, &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"));
    }
}

/// A name that no other test gives.
fn name(what: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    format!("spandrel_test_{}_{what}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// The URL of another database of the same server.
fn of(url: &Url, database: &str) -> Url {
    let mut url = url.clone();
    url.set_path(database);
    url
}

/// Does it on a thread of its own: tests that are asynchronous themselves may wait for it.
fn sync<T: Send, F: Future<Output = T>>(work: impl FnOnce() -> F + Send) -> T {
    std::thread::scope(|scope| scope.spawn(|| block_on(work())).join().unwrap())
}

/// Does it on this thread, which must not be one of a runtime.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// How often something is tried, as a migration is, while a server that works holds what it needs, or PostgreSQL's own
/// upkeep is in a database that is to go.
const TRIES: usize = 500;

/// After how long.
const PAUSE: Duration = Duration::from_millis(20);

#[track_caller]
fn run(url: &Url, sql: &str) {
    let once = async || {
        let mut connection = PgConnection::connect(url.as_str()).await?;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
        connection.close().await
    };
    let is_held = |error: &sqlx::Error| {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        matches!(code.as_deref(), Some("55P03" | "40P01" | "42501"))
    };
    let done = sync(async || {
        let mut done = once().await;
        for _ in 1..TRIES {
            if !done.as_ref().is_err_and(is_held) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            done = once().await;
        }
        done
    });
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A database of a test's own, gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
    /// Where it was made, and its name; none for one that goes with its cluster.
    made: Option<(Url, String)>,
}

impl Database {
    /// With the newest schema, and no data.
    pub(crate) fn new() -> Self {
        let name = name("database");
        run(&PLACE.url, &format!("CREATE DATABASE {name} TEMPLATE {}", PLACE.template));
        Self { url: of(&PLACE.url, &name).into(), made: Some((PLACE.url.clone(), name)) }
    }

    /// With nothing at all.
    pub(crate) fn unmade() -> Self {
        let name = name("unmade");
        run(&PLACE.url, &format!("CREATE DATABASE {name}"));
        Self { url: of(&PLACE.url, &name).into(), made: Some((PLACE.url.clone(), name)) }
    }

    /// With nothing at all, in this cluster.
    pub(crate) fn in_cluster(cluster: &Cluster) -> Self {
        let (url, name) = (cluster.url(ROLE, "postgres").parse().unwrap(), name("own"));
        run(&url, &format!("CREATE DATABASE {name}"));
        Self { url: of(&url, &name).into(), made: None }
    }

    /// One that is there, and goes with its cluster.
    pub(crate) fn at(url: String) -> Self {
        Self { url, made: None }
    }

    #[track_caller]
    pub(crate) fn number(&self, sql: &str) -> i64 {
        let number = sync(async || {
            let mut connection = PgConnection::connect(&self.url).await?;
            let number = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok::<i64, sqlx::Error>(number)
        });
        number.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    #[track_caller]
    pub(crate) fn texts(&self, sql: &str) -> Vec<String> {
        let texts = sync(async || {
            let mut connection = PgConnection::connect(&self.url).await?;
            let texts = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await?;
            connection.close().await?;
            Ok::<Vec<String>, sqlx::Error>(texts)
        });
        texts.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        run(&self.url.parse().unwrap(), sql);
    }

    /// Locks all tables against writing.
    pub(crate) fn hold_all(&self) -> Held {
        const LOCK: &str = "DO $$ DECLARE t text; BEGIN \
            FOR t IN SELECT c.oid::regclass::text FROM pg_class c WHERE relkind IN ('r', 'p') AND NOT relispartition \
                AND relnamespace = current_schema()::regnamespace ORDER BY 1 \
            LOOP EXECUTE 'LOCK TABLE ' || t || ' IN EXCLUSIVE MODE'; END LOOP; END $$";
        self.hold(LOCK.to_owned())
    }

    /// Has these statements hold what they take.
    pub(crate) fn hold(&self, sql: String) -> Held {
        let (release, released) = mpsc::channel::<()>();
        let (told, held) = mpsc::channel();
        let url = self.url.clone();
        let thread = std::thread::spawn(move || {
            block_on(async {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                let mut transaction = connection.begin().await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await.unwrap();
                told.send(()).unwrap();
                // An error means that the other end was dropped.
                let _ = released.recv();
                transaction.rollback().await.unwrap();
            });
        });
        held.recv().unwrap();
        Held { release: Some(release), thread: Some(thread) }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some((url, name)) = &self.made {
            run(url, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// A transaction that locks a database until this is dropped.
pub(crate) struct Held {
    release: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

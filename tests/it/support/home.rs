//! Where the data of a test are: in a SQLite file, or, when the suite is run on PostgreSQL, in a database there.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rusqlite::Connection;
use tempfile::TempDir;

use super::cluster::Cluster;
use super::postgres::{self, Held};

/// Whether the suite is run on PostgreSQL.
pub(crate) fn on_postgres() -> bool {
    static CHOSEN: LazyLock<bool> = LazyLock::new(|| match std::env::var("SPANDREL_TESTS_STORE").as_deref() {
        Ok("postgres") => true,
        Ok("sqlite") | Err(_) => false,
        Ok(other) => panic!("SPANDREL_TESTS_STORE is {other:?}; expected sqlite or postgres"),
    });
    *CHOSEN
}

/// A folder of a test's own and a database, gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Home {
    folder: TempDir,
    database: Option<postgres::Database>,
}

impl Home {
    /// With an empty database of the store that the suite is run on.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: on_postgres().then(postgres::Database::new) }
    }

    /// With an empty database in PostgreSQL, whatever the suite is run on.
    pub(crate) fn in_postgres() -> Self {
        Self::with(postgres::Database::new())
    }

    /// The same, but with no tables in it.
    pub(crate) fn in_postgres_unmade() -> Self {
        Self::with(postgres::Database::unmade())
    }

    /// With a database in a cluster of the test's own.
    pub(crate) fn in_cluster(cluster: &Cluster) -> Self {
        Self::with(postgres::Database::in_cluster(cluster))
    }

    /// With a database in a cluster that is there.
    pub(crate) fn at(url: String) -> Self {
        Self::with(postgres::Database::at(url))
    }

    fn with(database: postgres::Database) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: Some(database) }
    }

    /// With a new SQLite file, whatever the suite is run on.
    pub(crate) fn in_a_file() -> Self {
        Self::in_file(tempfile::tempdir().unwrap())
    }

    /// With the SQLite file in this folder, or a new one.
    pub(crate) fn in_file(folder: TempDir) -> Self {
        Self { folder, database: None }
    }

    /// The database's URL.
    pub(crate) fn url(&self) -> String {
        self.database.as_ref().map_or_else(|| super::database_url(self.folder()), |database| database.url.clone())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The SQLite file, for what is about files.
    #[track_caller]
    pub(crate) fn file(&self) -> PathBuf {
        assert!(self.database.is_none(), "this test is about SQLite's file, and should not be run on PostgreSQL");
        super::database(self.folder())
    }

    /// The number that a query gives.
    #[track_caller]
    pub(crate) fn number(&self, sql: &str) -> i64 {
        match &self.database {
            Some(database) => database.number(sql),
            None => Connection::open(self.file()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap(),
        }
    }

    /// The texts that a query gives, one a row.
    #[track_caller]
    pub(crate) fn texts(&self, sql: &str) -> Vec<String> {
        if let Some(database) = &self.database {
            return database.texts(sql);
        }
        let connection = Connection::open(self.file()).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Changes the database behind the server's back.
    #[track_caller]
    pub(crate) fn execute(&self, sql: &str) {
        match &self.database {
            Some(database) => database.execute(sql),
            None => Connection::open(self.file()).unwrap().execute_batch(sql).unwrap(),
        }
    }

    /// How many rows a table has.
    #[track_caller]
    pub(crate) fn rows(&self, table: &str) -> i64 {
        // PostgreSQL keeps payloads in the rows themselves.
        let table = match (&self.database, table) {
            (Some(_), "span_payloads") => "spans WHERE payloads <> 0",
            (Some(_), "trace_payloads") => "traces WHERE payloads <> 0",
            (_, table) => table,
        };
        self.number(&format!("SELECT count(*) FROM {table}"))
    }

    /// Has another program hold the database, so that nothing can be written, until what is returned is dropped.
    pub(crate) fn hold(&self) -> Hold {
        if let Some(database) = &self.database {
            return Hold::Postgres { _held: database.hold_all() };
        }
        let connection = Connection::open(self.file()).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Hold::Sqlite { _held: connection }
    }

    /// Has another program lock a table of PostgreSQL, so and so, until what is returned is dropped.
    #[track_caller]
    pub(crate) fn lock(&self, table: &str) -> Hold {
        let database = self.database.as_ref().expect("this test is about PostgreSQL");
        Hold::Postgres { _held: database.hold(format!("LOCK TABLE {table}")) }
    }

    /// Has any change to rows of a table fail for which this SQL, in which they are `old` or `new`, is true.
    #[track_caller]
    pub(crate) fn spoil(&self, event: &str, table: &str, condition: &str) {
        self.execute(&if self.database.is_some() {
            format!(
                "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN IF {condition} THEN RAISE EXCEPTION 'spoilt'; END IF; \
                 IF TG_OP = 'DELETE' THEN RETURN old; END IF; RETURN new; END $$; \
                 CREATE TRIGGER spoil BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION spoil()"
            )
        } else {
            format!(
                "CREATE TRIGGER spoil BEFORE {event} ON {table} WHEN {condition} \
                 BEGIN SELECT RAISE(ABORT, 'spoilt'); END"
            )
        });
    }

    /// Ends [`Home::spoil`].
    #[track_caller]
    pub(crate) fn unspoil(&self, table: &str) {
        self.execute(&match self.database {
            Some(_) => format!("DROP TRIGGER spoil ON {table}; DROP FUNCTION spoil()"),
            None => "DROP TRIGGER spoil".to_owned(),
        });
    }
}

/// Another program that holds the database for writing until it is dropped.
pub(crate) enum Hold {
    Sqlite { _held: Connection },
    Postgres { _held: Held },
}

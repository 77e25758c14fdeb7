//! Where a database is, and how it is spoken to.

use std::str::FromStr as _;
use std::time::Duration;

use form_urlencoded::Serializer;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::CONNECT;
use super::errors::from_sqlx;
use crate::store::StoreError;

/// Whether a URL names a database of this kind.
pub(in crate::store) fn is_address(url: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|kind| url.starts_with(kind))
}

/// The URL as people may see it: without passwords.
pub(in crate::store) fn shown(url: &str) -> String {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let (kind, rest) = place.split_once("://").unwrap_or(("postgres", place));
    let rest = match rest.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => rest.to_owned(),
    };
    let query: Vec<&str> = query.split('&').filter(|part| !part.is_empty() && !part.starts_with("password=")).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    format!("{kind}://{rest}{query}")
}

/// A database on a server.
#[derive(Clone)]
pub(in crate::store) struct Address {
    options: PgConnectOptions,
    /// The schema that has the tables, if it is not the one that the server takes.
    pub schema: Option<String>,
    /// Whether statements are kept by the server under names: poolers do not always know them.
    pub keeps_statements: bool,
    shown: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Address").field(&self.shown).finish()
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.shown)
    }
}

impl Address {
    /// Reads a URL. Beside what the driver knows, `schema` names the schema of the tables.
    pub(in crate::store) fn parse(url: &str) -> Result<Self, StoreError> {
        let shown = shown(url);
        let wrong = |what: String| StoreError::Other(format!("cannot use the database {shown}: {what}").into());
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let mut schema = None;
        let mut keeps_statements = true;
        let mut rest = Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "schema" if value.is_empty() || value.contains(['"', '\0']) => {
                    return Err(wrong("the schema's name cannot be".to_owned()));
                }
                "schema" => schema = Some(value.into_owned()),
                "statement-cache-capacity" => {
                    keeps_statements = value != "0";
                    rest.append_pair(&name, &value);
                }
                _ => {
                    rest.append_pair(&name, &value);
                }
            }
        }
        let options = PgConnectOptions::from_str(&format!("{place}?{}", rest.finish()));
        // What the driver says of a URL may have parts of it.
        let options = options.map_err(|_| wrong("expected postgres://USER:PASSWORD@HOST:PORT/DATABASE".to_owned()))?;
        // Numbers come in binary: how many digits they have as text does not matter, and poolers do not know of it.
        let options = options.application_name("spandrel").extra_float_digits(None).disable_statement_logging();
        Ok(Self { options, schema, keeps_statements, shown })
    }

    /// The first connection of a program: why there is none is told to whoever started it, in the server's words.
    pub(in crate::store) async fn connect_first(&self) -> Result<PgConnection, String> {
        match tokio::time::timeout(CONNECT, self.options.connect()).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer in {} s", CONNECT.as_secs())),
        }
    }

    /// A new connection.
    pub(in crate::store) async fn connect(&self) -> Result<PgConnection, StoreError> {
        match tokio::time::timeout(CONNECT, self.options.connect()).await {
            Ok(connected) => connected.map_err(from_sqlx),
            Err(_) => Err(StoreError::Unavailable { reason: "the database cannot be reached", full: false }),
        }
    }

    /// The setting of a transaction that says where its tables are.
    pub(super) fn schema_setting(&self) -> String {
        self.schema.as_ref().map(|schema| format!("SET LOCAL search_path = \"{schema}\"; ")).unwrap_or_default()
    }

    /// Settings of a transaction: where its tables are, and how long a statement may take.
    pub(super) fn settings(&self, time_max: Duration) -> String {
        // Compiling a query takes longer than most queries do.
        format!(
            "{}SET LOCAL jit = off; SET LOCAL statement_timeout = {}; SET LOCAL client_connection_check_interval = 1000",
            self.schema_setting(),
            time_max.as_millis().max(1)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (url, wanted) in [
            ("postgres://me:secret@host:5432/db?sslmode=require", "postgres://me@host:5432/db?sslmode=require"),
            ("postgresql://me:s:e@c@host/db", "postgresql://me@host/db"),
            ("postgres://host/db?user=me&password=secret&schema=s", "postgres://host/db?user=me&schema=s"),
            ("postgres:///db", "postgres:///db"),
        ] {
            assert_eq!(shown(url), wanted);
            let debug = format!("{:?}", Address::parse(url).expect("valid"));
            assert!(!debug.contains("secret"), "{debug}");
        }
    }
}

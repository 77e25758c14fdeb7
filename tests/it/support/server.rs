//! A server inside the test's process.

use clap::Parser as _;
use reqwest::Method;
use serde_json::Value;
use spandrel::app::{App, open_store};
use spandrel::clock::Clock;
use spandrel::config::{Cli, ServeConfig};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Answer, contract};

/// The settings that these flags make, with port 0.
pub(crate) fn config(flags: &[&str]) -> ServeConfig {
    let mut line = vec!["spandrel", "--listen", "127.0.0.1:0"];
    line.extend(flags);
    Cli::try_parse_from(line).unwrap().serve
}

/// A running server on a fresh SQLite file. Its data go with it.
pub(crate) struct Server {
    pub(crate) api: Api,
    /// The database file, to look into.
    pub(crate) database: std::path::PathBuf,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Server {
    /// With the default settings, but not waiting for the disk.
    pub(crate) async fn start() -> Self {
        Self::with(&[], Clock::system()).await
    }

    /// With these flags.
    pub(crate) async fn with_flags(flags: &[&str]) -> Self {
        Self::with(flags, Clock::system()).await
    }

    /// With these flags and this clock.
    pub(crate) async fn with(flags: &[&str], clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("spandrel.db");
        let mut config = config(flags);
        config.ephemeral = true;
        let url = format!("sqlite:{}", database.display());
        let store = open_store(&url, &config, clock.clone()).await.unwrap();
        let listener = TcpListener::bind(&config.listen).await.unwrap();
        let api = Api::new(&format!("http://{}", listener.local_addr().unwrap()));
        let stop = CancellationToken::new();
        let task = tokio::spawn(App::new(store, &config, clock).run(listener, stop.clone()));
        Self { api, database, stop, task: Some(task), _folder: folder }
    }

    /// Stops it in good order, and returns when it has let go of everything.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            task.await.unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A client that holds every answer against the document.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
}

impl Api {
    pub(crate) fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { base: base.to_owned(), http }
    }

    /// A request to be sent with [`Api::send`].
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{}{path}", self.base))
    }

    /// Sends a request as it is; the answer is judged.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.try_send(request).await.unwrap()
    }

    /// The same, for a server that may be gone.
    pub(crate) async fn try_send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
        let request = request.build()?;
        let method = request.method().to_string();
        let path = request.url().path().to_owned();
        let response = self.http.execute(request).await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response.bytes().await?.to_vec();
        let answer = Answer { status, headers, body };
        if method != "HEAD" {
            contract().judge(&method, &path, &answer);
        }
        Ok(answer)
    }

    /// Sends a body of any bytes as JSON.
    pub(crate) async fn raw(&self, method: &str, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(self.request(method, path).header("content-type", "application/json").body(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.raw("POST", path, body.to_string()).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.raw("PATCH", path, body.to_string()).await
    }

    /// Creates a span; returns its id.
    #[track_caller]
    pub(crate) fn create(&self, body: &Value) -> impl Future<Output = String> {
        let body = body.clone();
        async move {
            let answer = self.post("/v1/private/spans", &body).await.expect(201);
            answer.header("location").rsplit('/').next().unwrap().to_owned()
        }
    }

    /// Reads a span that must be there.
    pub(crate) async fn span(&self, id: &str) -> Value {
        self.get(&format!("/v1/private/spans/{id}")).await.expect(200).json()
    }
}

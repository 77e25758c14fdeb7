//! A server inside the test's process.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use clap::Parser as _;
use reqwest::Method;
use reqwest::header::HeaderName;
use serde_json::Value;
use spandrel::app::{App, open_store};
use spandrel::clock::Clock;
use spandrel::config::{Cli, ServeConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Answer, Home, contract};

/// The settings that these flags make, with port 0.
pub(crate) fn config(flags: &[&str]) -> ServeConfig {
    let mut line = vec!["spandrel", "--listen", "127.0.0.1:0"];
    line.extend(flags);
    Cli::try_parse_from(line).unwrap().serve
}

/// A running server on a fresh database. Its data go with it.
pub(crate) struct Server {
    pub(crate) api: Api,
    /// Its data, to look into.
    pub(crate) home: Arc<Home>,
    stop: CancellationToken,
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
        Self::on(Home::new(), flags, clock).await
    }

    /// On this database, which goes with the last server that has it.
    pub(crate) async fn on(home: impl Into<Arc<Home>>, flags: &[&str], clock: Clock) -> Self {
        let home = home.into();
        let mut config = config(flags);
        config.ephemeral = true;
        let store = open_store(&home.url(), &config, clock.clone()).await.unwrap();
        let listener = TcpListener::bind(&config.listen).await.unwrap();
        let api = Api::new(&format!("http://{}", listener.local_addr().unwrap()));
        let stop = CancellationToken::new();
        tokio::spawn(App::new(store, &config, clock).unwrap().run(listener, stop.clone()));
        Self { api, home, stop }
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
        let path = address(request.url());
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

    /// Creates a trace; returns its id.
    #[track_caller]
    pub(crate) fn create_trace(&self, body: &Value) -> impl Future<Output = String> {
        let body = body.clone();
        async move {
            let answer = self.post("/v1/private/traces", &body).await.expect(201);
            answer.header("location").rsplit('/').next().unwrap().to_owned()
        }
    }

    /// Reads a trace that must be there.
    pub(crate) async fn trace(&self, id: &str) -> Value {
        self.get(&format!("/v1/private/traces/{id}")).await.expect(200).json()
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.raw("PUT", path, body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path)).await
    }

    /// Whether a server says of itself that it cannot store; both of its ways to say so are asked.
    pub(crate) async fn is_ill(&self) -> bool {
        let ping = self.get("/is-alive/ping").await;
        let health = self.get("/health").await;
        assert_eq!(ping.json()["healthy"], ping.status == 200);
        ping.status == 503 && health.status == 503
    }
}

/// The path of a URL, and its query.
fn address(url: &reqwest::Url) -> String {
    let query = url.query().map(|query| format!("?{query}"));
    format!("{}{}", url.path(), query.unwrap_or_default())
}

impl Api {
    /// A connection of one's own.
    pub(crate) fn connect(&self) -> Wire {
        let stream = TcpStream::connect(self.base.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(super::process::PATIENCE)).unwrap();
        stream.set_write_timeout(Some(super::process::PATIENCE)).unwrap();
        Wire { stream, method: String::new(), path: String::new() }
    }
}

/// A connection for one request, on which a test sends what it likes when it likes. It blocks: the server must have a
/// thread of its own.
pub(crate) struct Wire {
    stream: TcpStream,
    method: String,
    path: String,
}

impl Wire {
    /// Sends the head of a request with a JSON body.
    pub(crate) fn head(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) {
        (self.method, self.path) = (method.to_owned(), path.to_owned());
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"));
        for (name, value) in [("Content-Type", "application/json")].iter().chain(headers) {
            self.send(format!("{name}: {value}\r\n"));
        }
        self.send("\r\n");
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Waits until the server asks for the body.
    pub(crate) fn wait_for_continue(&mut self) {
        let wanted = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut head = vec![0; wanted.len()];
        self.stream.read_exact(&mut head).unwrap();
        assert_eq!(head, wanted);
    }

    /// The answer, judged; the connection must end with it.
    pub(crate) fn answer(mut self) -> Answer {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).unwrap();
        let end = memchr::memmem::find(&bytes, b"\r\n\r\n").expect("a whole head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers =
            headers.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect();
        let answer = Answer { status, headers, body: bytes[end + 4..].to_vec() };
        contract().judge(&self.method, &self.path, &answer);
        answer
    }
}

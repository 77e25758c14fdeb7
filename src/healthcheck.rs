//! Asks a running server whether it is well, as probes of containers do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::header::HOST;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Bytes of an answer that are read. Chosen: the server's own are shorter by far.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether data can be stored and read now.
    Well,
    /// Whether the process answers at all, whatever its database does.
    Alive,
}

impl Question {
    fn path(self) -> &'static str {
        match self {
            Self::Well => "/health",
            Self::Alive => "/is-alive/ver",
        }
    }
}

/// Where a server with this `--listen` is reached from its own machine.
///
/// # Errors
/// When it names any free port.
pub fn base_of(listen: &str) -> Result<String, String> {
    let listen = match listen.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => {
            let ip: IpAddr = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            SocketAddr::new(ip, address.port()).to_string()
        }
        _ => listen.to_owned(),
    };
    if listen.ends_with(":0") {
        return Err(format!("{listen} means any free port: name the server's URL"));
    }
    Ok(format!("http://{listen}"))
}

/// Asks the server at this URL. The line that is returned, or is the error, says what came.
///
/// # Errors
/// When no answer comes in time, or the answer is no.
pub async fn ask(base: &str, question: Question, time_max: Duration) -> Result<String, String> {
    let url = format!("{}{}", base.trim_end_matches('/'), question.path());
    let asked = async { get(&url).await.map_err(|error| format!("{url} does not answer: {error}")) };
    let (is_success, status, text) = tokio::time::timeout(time_max, asked)
        .await
        .map_err(|_| format!("{url} does not answer within {} s", time_max.as_secs()))??;
    let line = format!("{url} answers {status} {text}");
    if is_success { Ok(line) } else { Err(line) }
}

type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Whether an answer is a success, its status, and its text on one line.
async fn get(url: &str) -> Result<(bool, u16, String), Trouble> {
    let uri: Uri = url.parse()?;
    if uri.scheme_str() != Some("http") {
        return Err("only http:// is spoken here".into());
    }
    let authority = uri.authority().ok_or("the URL names no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(HOST, authority.as_str()).body(Empty::<Bytes>::new())?;
    let answer = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body).split_whitespace().collect::<Vec<_>>().join(" ");
        Ok((status.is_success(), status.as_u16(), text))
    };
    // The connection ends with the request, which takes the sender along.
    let (_, answer) = futures_util::future::join(connection, answer).await;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_asked_on_its_own_machine() {
        for (listen, base) in [
            ("127.0.0.1:5173", "http://127.0.0.1:5173"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
            ("localhost:5173", "http://localhost:5173"),
        ] {
            assert_eq!(base_of(listen).as_deref(), Ok(base));
        }
        assert!(base_of("127.0.0.1:0").is_err());
    }
}

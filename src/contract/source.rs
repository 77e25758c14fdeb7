//! Where documents come from: a file, standard input, an address.

use std::io::Read as _;
use std::time::Duration;

use axum::http::{Request, StatusCode, Uri, header};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Spec;

/// Bounds on what is read.
#[derive(Debug, Clone, Args)]
pub struct Limits {
    /// Largest document.
    #[arg(long, default_value_t = 64 << 20, value_name = "BYTES")]
    pub document_bytes_max: usize,
    /// How long a document may take to come from an address.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub document_seconds_max: u64,
}

/// Reads the document in a file, at an `http://` address, or, for `-`, on standard input.
///
/// # Errors
/// When it cannot be had, is too large, or is none.
pub async fn read(place: &str, limits: &Limits) -> Result<Spec, String> {
    let bytes = if place.starts_with("https://") {
        return Err(format!("{place}: https is not spoken here; try: curl -fsS {place} | spandrel contract check -"));
    } else if place.starts_with("http://") {
        let patience = Duration::from_secs(limits.document_seconds_max);
        match tokio::time::timeout(patience, fetch(place, limits.document_bytes_max)).await {
            Ok(fetched) => fetched.map_err(|error| format!("{place}: {error}"))?,
            Err(_) => return Err(format!("{place}: no document in {} s", limits.document_seconds_max)),
        }
    } else if place == "-" {
        bounded(std::io::stdin(), limits.document_bytes_max).map_err(|error| format!("standard input: {error}"))?
    } else {
        let open = std::fs::File::open(place).map_err(|error| error.to_string());
        open.and_then(|file| bounded(file, limits.document_bytes_max)).map_err(|error| format!("{place}: {error}"))?
    };
    let name = if place == "-" { "standard input" } else { place };
    let text = String::from_utf8(bytes).map_err(|error| format!("{name}: not text: {error}"))?;
    Spec::parse(name, &text)
}

fn bounded(source: impl std::io::Read, bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > bytes_max { Err(too_large(bytes_max)) } else { Ok(bytes) }
}

fn too_large(bytes_max: usize) -> String {
    format!("larger than {bytes_max} bytes (--document-bytes-max)")
}

async fn fetch(address: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
    let uri: Uri = address.parse().map_err(|error| format!("not an address: {error}"))?;
    let authority = uri.authority().ok_or("not an address: no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80)))
        .await
        .map_err(|error| format!("cannot connect: {error}"))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let request = Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, authority.as_str())
        .header(header::ACCEPT, "application/json, application/yaml, */*")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    if answer.status() != StatusCode::OK {
        let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let location = location.map(|to| format!(", which leads to {to}")).unwrap_or_default();
        return Err(format!("answered {}{location}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), bytes_max).collect().await;
    connection.abort();
    let body = body.map_err(|error| match error.downcast_ref::<http_body_util::LengthLimitError>() {
        Some(_) => too_large(bytes_max),
        None => error.to_string(),
    })?;
    Ok(body.to_bytes().into())
}

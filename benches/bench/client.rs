//! A client that costs little beside the server it drives: requests are bytes made beforehand.

use std::time::Instant;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Failure;

/// More headers than the server sends.
const HEADERS_MAX: usize = 32;

/// The end of a body that comes in chunks.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, body: &[u8]) -> Bytes {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat().into()
}

/// One connection, used by one request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Bytes of the last answer's head.
    head: usize,
}

/// An answer, as far as a measurement looks at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: usize,
    /// Seconds from the request to the first byte.
    pub(crate) first_byte: f64,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10), head: 0 })
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<Answer, Failure> {
        let sent = Instant::now();
        self.stream.write_all(request).await?;
        self.buffer.clear();
        self.fill().await?;
        let first_byte = sent.elapsed().as_secs_f64();
        let (status, head, length) = loop {
            if let Some(head) = head(&self.buffer)? {
                break head;
            }
            self.fill().await?;
        };
        match length {
            Some(length) => {
                while self.buffer.len() < head + length {
                    self.fill().await?;
                }
            }
            None => {
                while !self.buffer.ends_with(LAST_CHUNK) {
                    self.fill().await?;
                }
            }
        }
        self.head = head;
        Ok(Answer { status, bytes: self.buffer.len() - head, first_byte })
    }

    /// The body of the last answer, if it did not come in chunks.
    pub(crate) fn body(&self) -> &[u8] {
        &self.buffer[self.head..]
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        self.buffer.reserve(16 << 10);
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err("the server closed a connection".into());
        }
        Ok(())
    }
}

/// Status, bytes of the head, and bytes of the body unless it comes in chunks; none while the head is not all there.
fn head(bytes: &[u8]) -> Result<Option<(u16, usize, Option<usize>)>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes)? else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let header = |name: &str| response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    let length = match header("content-length") {
        Some(length) => Some(std::str::from_utf8(length.value)?.parse()?),
        None if header("transfer-encoding").is_some() => None,
        None => Some(0),
    };
    Ok(Some((status, head, length)))
}

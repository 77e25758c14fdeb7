//! A network between a server and PostgreSQL that can be made to stand still.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections while nothing stops it.
pub(super) struct Proxy {
    pub(super) port: u16,
    flows: watch::Sender<bool>,
}

impl Proxy {
    /// Before the PostgreSQL at this port.
    pub(super) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (flows, flowing) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let Ok(to) = TcpStream::connect(("127.0.0.1", to)).await else { continue };
                let ((from_read, from_write), (to_read, to_write)) = (from.into_split(), to.into_split());
                tokio::spawn(forward(from_read, to_write, flowing.clone()));
                tokio::spawn(forward(to_read, from_write, flowing.clone()));
            }
        });
        Self { port, flows }
    }

    /// From now on bytes are taken, and go nowhere: nobody is told.
    pub(super) fn stand_still(&self) {
        self.flows.send_replace(false);
    }

    /// What was held back goes on.
    pub(super) fn flow(&self) {
        self.flows.send_replace(true);
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut flowing: watch::Receiver<bool>) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if flowing.wait_for(|flows| *flows).await.is_err() || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

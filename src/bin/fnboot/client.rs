//! The platform's agent: the HTTP client that keeps its connections to an instance open and uses them
//! again. A pool of a library's own costs seven crates more than these lines.

use crate::http::HEADERS_MAX;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::timeout;

/// An idle connection on which a request is still being written, because the program answered early, is
/// left for another.
const READY_TIMEOUT: Duration = Duration::from_millis(5);

pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    /// The program may close it at any time.
    pub(crate) is_reused: bool,
}

/// Connections to one instance.
pub(crate) struct Client {
    address: SocketAddr,
    /// The one used last is used next.
    idle: RefCell<Vec<Connection>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let idle = RefCell::default();
        Self { address, idle }
    }

    /// A connection that takes a request now. A new one only if none is idle: a program may well serve
    /// one connection at a time, and the platform calls it all the same.
    pub(crate) async fn take(&self) -> Result<Connection, String> {
        let idle = || self.idle.borrow_mut().pop();
        while let Some(mut connection) = idle() {
            connection.is_reused = true;
            // The program may have closed it.
            let ready = timeout(READY_TIMEOUT, connection.sender.ready()).await;
            if ready.is_ok_and(|ready| ready.is_ok()) {
                return Ok(connection);
            }
        }
        self.connect().await
    }

    /// Takes a connection back whose answer has been read.
    pub(crate) fn give_back(&self, connection: Connection) {
        self.idle.borrow_mut().push(connection);
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Result<Connection, String> {
        let connection = self.handshake().await;
        connection.map_err(|error| format!("it takes no connection: {error}"))
    }

    async fn handshake(&self) -> Result<Connection, Box<dyn Error>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::Builder::new()
            // Go writes `X-Fc-Request-Id`, and so does FC.
            .title_case_headers(true)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        spawn_local(async move {
            // Whoever waits for an answer on this connection is told by `send_request`.
            let _ = connection.await;
        });
        sender.ready().await?;
        Ok(Connection {
            sender,
            is_reused: false,
        })
    }
}

/// Whether a connection ended before anything of an answer came.
pub(crate) fn is_lost(error: &hyper::Error) -> bool {
    error.is_canceled() || error.is_closed() || error.is_incomplete_message()
}

/// What was wrong with an answer.
pub(crate) fn explain(error: &hyper::Error) -> String {
    let source = error.source().map(|source| format!(": {source}"));
    let source = source.unwrap_or_default();
    format!("its answer is not HTTP or was cut: {error}{source}")
}

//! FC's agent: the HTTP client that keeps its connections to an instance open and uses them again.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

/// More than fit into the gateway's limit of bytes, so that it is the gateway that refuses.
const HEADERS_MAX: usize = 4096;

type Connection = SendRequest<Full<Bytes>>;

/// Connections to one instance.
pub(crate) struct Client {
    address: SocketAddr,
    /// Idle, or busy with the rest of an answer. The one used last is used next.
    connections: RefCell<Vec<Connection>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connections: RefCell::default(),
        }
    }

    /// Makes sure that the next request finds a connection, so that a call's time is the call's.
    pub(crate) async fn connect_ahead(&self) -> Result<(), Broken> {
        let connection = self.connection().await?;
        self.connections.borrow_mut().push(connection);
        Ok(())
    }

    /// Sends a request; returns once the answer's head is there.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Broken> {
        let mut connection = self.connection().await?;
        let response = connection.send_request(request).await?;
        // It counts as idle only once the body has been read.
        self.connections.borrow_mut().push(connection);
        Ok(response)
    }

    async fn connection(&self) -> Result<Connection, Broken> {
        if let Some(connection) = self.take_idle() {
            return Ok(connection);
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::Builder::new()
            // Go writes `X-Fc-Request-Id`, and so does FC.
            .title_case_headers(true)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        spawn_local(async move {
            // Whoever waits on this connection is told by `send`.
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| !connection.is_closed());
        let index = connections.iter().rposition(Connection::is_ready)?;
        Some(connections.remove(index))
    }
}

/// The program did not answer, or not in HTTP.
#[derive(Debug)]
pub(crate) enum Broken {
    Connect(io::Error),
    Http(hyper::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Connect(error)
    }
}

impl From<hyper::Error> for Broken {
    fn from(error: hyper::Error) -> Self {
        Self::Http(error)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Http(error) => match std::error::Error::source(error) {
                Some(source) => write!(f, "{error}: {source}"),
                None => write!(f, "{error}"),
            },
        }
    }
}

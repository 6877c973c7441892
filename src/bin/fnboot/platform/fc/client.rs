//! FC's agent: the HTTP client that keeps its connections to an instance open and uses them again.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

/// More than fit into the gateway's limit of bytes, so that it is the gateway that refuses.
const HEADERS_MAX: usize = 4096;

pub(crate) type Connection = SendRequest<Full<Bytes>>;

/// Connections to one instance.
pub(crate) struct Client {
    address: SocketAddr,
    /// The one used last is used next.
    idle: RefCell<Vec<Connection>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            idle: RefCell::default(),
        }
    }

    /// A connection that takes a request now. A new one only if none is idle: a program may well serve
    /// one connection at a time, and FC calls it all the same.
    pub(crate) async fn take(&self) -> Result<Connection, Broken> {
        loop {
            let Some(mut connection) = self.pop() else {
                break;
            };
            // The program may have closed it.
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let mut connection = self.connect().await?;
        connection.ready().await?;
        Ok(connection)
    }

    /// Takes a connection back whose answer has been read, or dropped.
    pub(crate) fn give_back(&self, connection: Connection) {
        self.idle.borrow_mut().push(connection);
    }

    fn pop(&self) -> Option<Connection> {
        self.idle.borrow_mut().pop()
    }

    async fn connect(&self) -> Result<Connection, Broken> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::Builder::new()
            // Go writes `X-Fc-Request-Id`, and so does FC.
            .title_case_headers(true)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        spawn_local(async move {
            // Whoever waits for an answer on this connection is told by `send_request`.
            let _ = connection.await;
        });
        Ok(sender)
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

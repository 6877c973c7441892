//! An echo on hyper 1.x: one thread, `TCP_NODELAY`, the whole event before the answer, as a
//! function needs it.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

fn main() -> std::io::Result<()> {
    let port = std::env::var("FC_SERVER_PORT")
        .ok()
        .and_then(|port| port.parse().ok());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(serve(port.unwrap_or(9000)))
}

async fn serve(port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(echo));
            // A client that goes away ends its connection, and that is all.
            let _ = connection.await;
        });
    }
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let event = match request.into_body().collect().await {
        Ok(event) => event.to_bytes(),
        Err(_) => Bytes::new(),
    };
    Ok(Response::new(Full::new(event)))
}

//! A function on AWS's own Rust runtime, for `tests/runtimes`. What it does is the path of its HTTP request, or of its
//! event: `/fail`, `/panic`, `/die`, `/stream`, which answers in three pieces; anything else is an answer with the path in it,
//! or the event itself. At SIGTERM it says good-bye.

use std::time::Duration;

use lambda_runtime::streaming::{Body, Response, channel};
use lambda_runtime::{
    Error, FunctionResponse, LambdaEvent, MetadataPrelude, run, service_fn,
    spawn_graceful_shutdown_handler,
};
use serde_json::{Value, json};

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        spawn_graceful_shutdown_handler(|| async { eprintln!("good-bye") }).await;
        run(service_fn(perform)).await
    })
}

async fn perform(event: LambdaEvent<Value>) -> Result<FunctionResponse<Value, Body>, Error> {
    let (event, id) = (event.payload, event.context.request_id);
    eprintln!("an event with id {id}");
    let path = event["rawPath"].as_str().or(event["path"].as_str());
    let answer = match path {
        Some("/fail") => return Err("it failed".into()),
        Some("/panic") => panic!("a bad event"),
        Some("/die") => std::process::exit(3),
        Some("/stream") => return Ok(FunctionResponse::StreamingResponse(stream()?)),
        Some(path) if event["rawPath"].is_string() => {
            json!({"statusCode": 201, "headers": {"x-by": "rust"}, "body": path})
        }
        _ => event,
    };
    Ok(FunctionResponse::BufferedResponse(answer))
}

fn stream() -> Result<Response<Body>, Error> {
    let (mut sender, stream) = channel();
    tokio::spawn(async move {
        for piece in ["one ", "two ", "three"] {
            // A client that has gone ends it.
            if sender.send_data(piece.into()).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut metadata_prelude = MetadataPrelude {
        status_code: 202.try_into()?,
        ..MetadataPrelude::default()
    };
    let headers = &mut metadata_prelude.headers;
    headers.insert("x-by", "rust".try_into()?);
    Ok(Response {
        metadata_prelude,
        stream,
    })
}

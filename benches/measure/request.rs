//! Calls as Function Compute makes them.

use super::Outcome;

/// A temporary credential's token has about this many bytes.
const TOKEN_BYTES: usize = 560;

/// Event of `bytes` bytes; 11 are the classic one.
pub(crate) fn event(bytes: usize) -> Vec<u8> {
    b"Hello World".iter().copied().cycle().take(bytes).collect()
}

/// The header fields of a call, `Host` and `Content-Length` apart: the 23 of the platform, and what
/// its HTTP client adds.
pub(crate) fn fields() -> Vec<(&'static str, String)> {
    let token: String = "CAISxwJ1q6Ft5B2yfSjIr5fTL"
        .chars()
        .cycle()
        .take(TOKEN_BYTES)
        .collect();
    let fields = [
        ("User-Agent", "Go-http-client/1.1"),
        ("Accept-Encoding", "gzip"),
        ("Content-Type", "application/octet-stream"),
        ("X-Fc-Access-Key-Id", "STS.NTvGwqLq7PQzWcLhXyYt8mRdA"),
        (
            "X-Fc-Access-Key-Secret",
            "5pUWkQwzU9X1n8Q4mYbVtG7hJ2sKdLfE3rTyAaZcXvBn",
        ),
        ("X-Fc-Account-Id", "1234567890123456"),
        ("X-Fc-Api-Server-Ip", ""),
        ("X-Fc-Client-Ip", ""),
        ("X-Fc-Control-Path", "/invoke"),
        ("X-Fc-Eagleeye-Rpcid", ""),
        ("X-Fc-Function-Handler", "index.handler"),
        ("X-Fc-Function-Memory", "512"),
        ("X-Fc-Function-Name", "hello"),
        ("X-Fc-Function-Timeout", "60"),
        ("X-Fc-Qualifier", "LATEST"),
        ("X-Fc-Region", "cn-hangzhou"),
        ("X-Fc-Request-Id", "1-67a59f35-150c1267-f381ba1c085c"),
        ("X-Fc-Retry-Count", "0"),
        ("X-Fc-Service-Logproject", "serverless-cn-hangzhou-9a8b7c6d"),
        ("X-Fc-Service-Logstore", "default-logs"),
        ("X-Fc-Service-Name", ""),
        ("X-Fc-Tracing-Jaeger-Endpoint", ""),
        ("X-Fc-Tracing-Opentracing-Span-Baggages", ""),
        ("X-Fc-Tracing-Opentracing-Span-Context", ""),
        ("X-Fc-Version-Id", ""),
    ];
    let mut fields: Vec<_> = fields.map(|(name, value)| (name, value.to_owned())).into();
    fields.push(("X-Fc-Security-Token", token));
    fields
}

/// A whole call of an event function.
pub(crate) fn call(event: &[u8]) -> Vec<u8> {
    let mut call = b"POST /invoke HTTP/1.1\r\nHost: 21.0.3.3:9000\r\n".to_vec();
    for (name, value) in fields() {
        call.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    call.extend_from_slice(format!("Content-Length: {}\r\n\r\n", event.len()).as_bytes());
    call.extend_from_slice(event);
    call
}

/// The body of an answer once it is whole.
///
/// # Errors
/// The answer is not HTTP, or its status is not 200.
pub(crate) fn answered(answer: &[u8]) -> Outcome<Option<Vec<u8>>> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head_bytes) =
        head.parse(answer).map_err(|error| error.to_string())?
    else {
        return Ok(None);
    };
    if head.code != Some(200) {
        return Err(format!("answered with status {}", head.code.unwrap_or(0)).into());
    }
    let body = &answer[head_bytes..];
    let length = head
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"));
    match length {
        Some(length) => {
            let body_bytes: usize = std::str::from_utf8(length.value)?.parse()?;
            Ok(body.get(..body_bytes).map(<[u8]>::to_vec))
        }
        None => unchunked(body),
    }
}

/// A chunked body once it is whole.
fn unchunked(mut rest: &[u8]) -> Outcome<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(rest).map_err(|_| "a chunk without a size")?;
        let httparse::Status::Complete((size_line_bytes, chunk_bytes)) = size else {
            return Ok(None);
        };
        let end = size_line_bytes + usize::try_from(chunk_bytes)?;
        let Some(after) = rest.get(end + 2..) else {
            return Ok(None);
        };
        if chunk_bytes == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(&rest[size_line_bytes..end]);
        rest = after;
    }
}

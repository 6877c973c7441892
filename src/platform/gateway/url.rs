//! placeholder
use super::Shape;
use crate::bytes::Writer;
use crate::handler::{Error, Request, Response};
pub struct Told<'a> {
    pub request_id: &'a [u8],
    pub source_ip: &'a [u8],
    pub now_ms: u64,
}
pub fn event_room(request: &Request<'_>) -> usize {
    request.body().len()
}
pub fn put_event(_: Shape, request: &Request<'_>, _: &Told<'_>, into: &mut Writer<'_>) {
    into.put(request.body())
}
pub fn answer_room(_: &[u8]) -> usize {
    1
}
pub fn read_answer<'a>(
    text: &'a [u8],
    _: &'a mut [u8],
    response: &mut Response<'a>,
) -> Result<(), Error> {
    response.body = text;
    Ok(())
}
pub fn prelude_len(body: &[u8]) -> Option<usize> {
    body.windows(8).position(|w| w == [0; 8]).map(|at| at + 8)
}
pub fn read_prelude<'a>(_: &'a [u8], _: &'a mut [u8], _: &mut Response<'a>) -> Result<(), Error> {
    Ok(())
}
pub fn decode_base64(text: &mut [u8]) -> Option<&[u8]> {
    Some(text)
}

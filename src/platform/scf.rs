//! Tencent Cloud SCF: events are polled from a runtime API; web functions are pushed over HTTP.
//!
//! Source: SCF documents "Custom Runtime" and "Web functions".

/// What every path of the API begins with.
pub const PREFIX: &[u8] = b"/runtime/";

/// The body that says the function can take events: an empty one is not taken by every client's
/// server, and a space means nothing.
pub const READY: &[u8] = b" ";

//! AWS Lambda: runtime API 2018-06-01, the extensions API as far as a program needs it, `Invoke`, and a
//! function URL.

mod contract;
mod dialect;
pub(crate) mod gateway;
mod stream;
mod url;

/// Lambda's names, numbers and texts.
pub(crate) enum Lambda {}

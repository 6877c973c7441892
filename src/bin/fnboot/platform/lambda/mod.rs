//! AWS Lambda: runtime API 2018-06-01, the extensions API as far as a program needs it, `Invoke`.

mod contract;
mod dialect;
pub(crate) mod gateway;

/// Lambda's names, numbers and texts.
pub(crate) enum Lambda {}

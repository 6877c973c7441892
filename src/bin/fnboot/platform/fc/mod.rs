//! Alibaba Cloud Function Compute: pushes events to an HTTP server that the program runs.

pub(crate) mod client;
pub(crate) mod contract;
pub(crate) mod failure;
pub(crate) mod id;
pub(crate) mod instance;
pub(crate) mod invoke;

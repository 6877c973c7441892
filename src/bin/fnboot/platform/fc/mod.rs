//! Alibaba Cloud Function Compute: pushes events to an HTTP server that the program runs.

mod client;
mod contract;
mod failure;
pub(crate) mod gateway;
mod id;
mod instance;
pub(crate) mod invoke;
mod reply;
mod route;

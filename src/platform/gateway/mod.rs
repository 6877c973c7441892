//! HTTP requests that come as events: a gateway in front of a function makes JSON of a request, and a response
//! of the JSON that it gets back. [`event`] is the one direction, [`answer`] the other.
//!
//! ```text
//!   client ── request ──▶ gateway ── JSON ──▶ event::Event ──▶ Request ──▶ Handler::http
//!   client ◀─ response ── gateway ◀── JSON ── answer ◀───────── Response ◀────────┘
//! ```
//!
//! A program that was written for a gateway's events is served where there is no gateway: `url_event` makes such an
//! event of a request, `url_answer` the response of its answer. Both are behind the feature `worker`.
//!
//! Nothing is guessed: an event is a request only if it has what that gateway's events have and no other's
//! does. A request comes out as its client has sent it, as far as the gateway tells, and an answer has the
//! shape of its request, because a gateway that was not told to read several values of a header sees none.
//!
//! Sources: AWS's guides "Set up Lambda proxy integrations in API Gateway", "Create AWS Lambda proxy
//! integrations for HTTP APIs", "Invoking Lambda function URLs", "Process Application Load Balancer requests
//! with Lambda"; SCF's "API Gateway Trigger" and "Function URL Overview"; for what gateways do to a path and
//! a query before, and what else is behind these pages, the issues of those who translate such events.

pub mod answer;
pub mod event;
#[cfg(feature = "worker")]
pub mod url_answer;
#[cfg(feature = "worker")]
pub mod url_event;

/// Whose events have the form, and so the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// API Gateway's REST APIs, and HTTP APIs with payload format 1.0.
    Rest,
    /// HTTP APIs with payload format 2.0, and function URLs.
    Http,
    /// A load balancer whose target group has one value for a header.
    Alb,
    /// The same with several values, which is a setting of the group.
    AlbMulti,
    /// SCF's API gateway, and what is like it.
    Scf,
    /// SCF's function URLs.
    ScfUrl,
}

impl Shape {
    /// All of them, each at its own number.
    pub const ALL: [Self; 6] = [
        Self::Rest,
        Self::Http,
        Self::Alb,
        Self::AlbMulti,
        Self::Scf,
        Self::ScfUrl,
    ];
}

//! The platforms that the tool plays, one folder each. Other modules ask the trait `Dialect`.
//!
//! ```text
//! dialect    what differs between platforms, as a trait
//! contract   what a platform promises a program, as tables
//! fc         called over HTTP: the tool is a client of the program
//! scf        polled, or as a web function called over HTTP
//! lambda     polled: the tool is the program's server, which is `runtime_api`
//! ```
//! `fc`, `lambda` and `scf` hold a dialect and a gateway, which is what callers of the platform talk to.

pub(crate) mod contract;
pub(crate) mod dialect;
pub(crate) mod fc;
pub(crate) mod lambda;
pub(crate) mod scf;

use crate::function::Platform;
use dialect::Dialect;

/// How a platform speaks.
pub(crate) fn of(platform: Platform) -> &'static dyn Dialect {
    match platform {
        Platform::Fc => &fc::Fc,
        Platform::Lambda => &lambda::Lambda,
        Platform::Scf => &scf::Scf { is_web: false },
        Platform::ScfWeb => &scf::Scf { is_web: true },
    }
}

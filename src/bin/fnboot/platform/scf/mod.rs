//! Tencent SCF: the runtime API of a custom runtime's event function.

mod contract;
mod dialect;
pub(crate) mod gateway;

/// SCF's names, numbers and texts.
pub(crate) enum Scf {}

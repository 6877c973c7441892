//! The local tool.
fn main() {}

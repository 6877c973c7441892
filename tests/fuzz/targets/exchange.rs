//! Whole streams, cut anywhere.
#![no_main]

#[path = "../../it/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::fuzz("exchange", bytes));

//! Responses of a platform's API, against the oracle of the grammar, and cut anywhere.
#![no_main]

#[path = "../../it/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::fuzz("response", bytes));

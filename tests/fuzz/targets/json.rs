//! JSON, against another parser.
#![no_main]

#[path = "../../it/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::fuzz("json", bytes));

//! An event function with std: JSON in, JSON out, `?` on whatever may fail.
//!
//! ```text
//! make example NAME=json
//! make invoke PROGRAM=pkg/json/bootstrap EVENT='{"name":"Ada"}'
//! ```
use fnboot::{Context, Error, Handler, info};
use serde_json::{Value, json};

/// Keeps the last answer: what a handler answers is borrowed, from the event or from here.
#[derive(Default)]
struct Greet {
    answer: Vec<u8>,
}

impl Handler for Greet {
    fn invoke<'a>(&'a mut self, event: &'a [u8], cx: &Context<'_>) -> Result<&'a [u8], Error> {
        let event: Value = serde_json::from_slice(event)?;
        let Some(name) = event["name"].as_str() else {
            return Err(Error::new("MissingName", "the event has no text \"name\""));
        };
        info!(cx, "greeting {name:?}");
        self.answer = serde_json::to_vec(&json!({ "greeting": format!("Hello, {name}!") }))?;
        Ok(&self.answer)
    }
}

fn main() {
    fnboot::run(Greet::default())
}

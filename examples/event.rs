//! An event function without std: bytes in, the same in upper case out.
//!
//! ```text
//! make example NAME=event
//! make invoke PROGRAM=pkg/event/bootstrap EVENT='Hello World'
//! ```
#![no_std]
#![no_main]

use fnboot::{Context, Error, Handler, info};

const EVENT_BYTES_MAX: usize = 4096;

/// Lives as long as the process, so an answer that is not a part of the event is kept here.
struct Shout {
    answer: [u8; EVENT_BYTES_MAX],
}

impl Handler for Shout {
    fn invoke<'a>(&'a mut self, event: &'a [u8], cx: &Context<'_>) -> Result<&'a [u8], Error> {
        let Some(answer) = self.answer.get_mut(..event.len()) else {
            return Err(Error::new(
                "EventTooLong",
                format_args!("{} bytes, at most {EVENT_BYTES_MAX}", event.len()),
            ));
        };
        answer.copy_from_slice(event);
        answer.make_ascii_uppercase();
        info!(cx, "{} bytes", event.len());
        Ok(answer)
    }
}

fnboot::main!(Shout {
    answer: [0; EVENT_BYTES_MAX],
});

//! A function with std that waits for a slow service, and serves other calls meanwhile: each call is put off,
//! a thread of its own waits, and its answer is sent when it is there.
//!
//! ```text
//! make example NAME=concurrent
//! make invoke PROGRAM=pkg/concurrent/bootstrap EVENT='Hello World'
//! make invoke PROGRAM=pkg/concurrent/bootstrap HTTP='POST /' EVENT='Hello World'
//! ```
use std::thread;
use std::time::Duration;

use fnboot::{Answers, Context, Error, Handler};

struct Concurrent {
    answers: Answers,
}

impl Handler for Concurrent {
    const DEFERS: bool = true;

    /// An HTTP request comes here, too, with its body.
    fn invoke<'a>(&'a mut self, event: &'a [u8], cx: &Context<'_>) -> Result<&'a [u8], Error> {
        let (call, event, sender) = (cx.defer(), event.to_vec(), self.answers.sender());
        // With an async runtime: `runtime.spawn(async move { sender.send(call, ask(event).await) })`.
        thread::spawn(move || sender.send(call, ask(&event)));
        Ok(b"") // Not the answer, which comes later.
    }

    fn waker(&mut self) -> Option<i32> {
        self.answers.waker()
    }

    fn woken(&mut self) -> Option<u64> {
        self.answers.woken()
    }

    fn resume<'a>(&'a mut self, call: u64, _: &Context<'_>) -> Result<&'a [u8], Error> {
        Ok(self.answers.take(call)?)
    }
}

/// What a database or another function would be: it takes a tenth of a second.
fn ask(event: &[u8]) -> Result<Vec<u8>, Error> {
    if event.is_empty() {
        return Err(Error::new("EmptyEvent", "there is nothing to ask"));
    }
    thread::sleep(Duration::from_millis(100));
    Ok(event.to_ascii_uppercase())
}

fn main() -> std::io::Result<()> {
    let answers = Answers::new()?;
    fnboot::run(Concurrent { answers })
}

//! A handler that panics.
//!
//! With std and unwinding, that call fails and the process lives: one bad event must not end the
//! calls beside it. Without, the panic handler of [`main!`](crate::main!) has the last word.

#[cfg(not(feature = "std"))]
pub use without_std::{call, prepare};

#[cfg(feature = "std")]
pub use with_std::{call, prepare};

#[cfg(not(feature = "std"))]
mod without_std {
    use crate::handler::Error;

    /// Nothing to prepare.
    pub fn prepare() {}

    /// Calls the handler.
    pub fn call<T>(handler: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        handler()
    }
}

#[cfg(feature = "std")]
mod with_std {
    use std::any::Any;
    use std::cell::RefCell;
    use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
    use std::string::{String, ToString};

    use crate::handler::Error;
    use crate::log;
    use crate::runtime::fatal;

    std::thread_local! {
        /// Where this thread panicked last: only the hook is told.
        static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
    }

    /// Lets panics remember their place beside what they print, which is one line where the log is JSON:
    /// std's three lines are none.
    pub fn prepare() {
        let print = panic::take_hook();
        panic::set_hook(std::boxed::Box::new(move |info: &PanicHookInfo<'_>| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            if log::is_json() {
                fatal::caught(&Error::at("Panic", message(info.payload()), &place));
            } else {
                print(info);
            }
            PLACE.with(|last| last.replace(place));
        }));
    }

    /// Calls the handler; a panic in it is an error of type `Panic`.
    ///
    /// Whether the handler's own state survives a panic is the handler's concern, as it is with
    /// any lock: it is called again.
    pub fn call<T>(handler: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        panic::catch_unwind(AssertUnwindSafe(handler)).unwrap_or_else(|payload| {
            let place = PLACE.with(RefCell::take);
            Err(Error::at("Panic", message(payload.as_ref()), place))
        })
    }

    /// What was given to `panic!`, which is nearly always text.
    fn message(payload: &(dyn Any + Send)) -> &str {
        if let Some(text) = payload.downcast_ref::<&'static str>() {
            return text;
        }
        payload
            .downcast_ref::<String>()
            .map_or("panic", String::as_str)
    }
}

//! fnboot: turns a function into a cloud function. (Under construction.)
#![no_std]
#[cfg(any(test, feature = "std"))]
extern crate std;

mod bytes;
mod calendar;
mod handler;
pub mod http;
mod limits;
mod log;
mod net;
mod platform;
mod runtime;
mod sys;

pub use handler::{Context, Credentials, Error, Handler, Platform, Request, Response};
pub use log::Level;
#[doc(hidden)]
pub use log::entry as log_entry;
#[doc(hidden)]
pub use runtime::panicked;
pub use runtime::run;
#[doc(hidden)]
pub use sys::env::Args;

/// Entry point and panic handler of a program without std.
#[macro_export]
macro_rules! main {
    ($handler:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn main(_: i32, _: *const *const ::core::ffi::c_char) -> i32 {
            $crate::run($handler)
        }

        #[panic_handler]
        #[inline(always)]
        fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
            $crate::panicked(info.location())
        }
    };
}

//! What stands at the entry of a user's program: the names by which the linker finds it. It is here
//! because a name that is not mangled is unsafe: no other function of the program may have it.

/// Entry point and panic handler of a program without std.
///
/// The expression is the handler, evaluated once, before the program listens. The whole program:
///
/// ```no_run
/// #![no_std]
/// #![no_main]
/// use fnboot::{Context, Error, Handler};
///
/// struct Hello;
///
/// impl Handler for Hello {
///     fn invoke<'a>(&'a mut self, event: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {
///         Ok(event)
///     }
/// }
///
/// fnboot::main!(Hello);
/// ```
///
/// A panic ends the program, after one line that says where it was. Such a program needs
/// `panic = "abort"` in its profiles. One that uses std calls [`run`](crate::run) instead.
#[macro_export]
macro_rules! main {
    ($handler:expr) => {
        // SAFETY: the linker takes no second `main` beside it.
        #[unsafe(no_mangle)]
        extern "C" fn main(_: i32, _: *const *const ::core::ffi::c_char) -> i32 {
            $crate::run($handler)
        }

        $crate::panic_handler!();
    };
}

/// What a program without std lacks, for [`main!`].
///
/// A program that unwinds cannot do without std (`cargo test` builds every program so, whatever
/// its profile says): it is linked in and brings all this.
#[cfg(not(feature = "std"))]
#[doc(hidden)]
#[macro_export]
macro_rules! panic_handler {
    () => {
        #[cfg(panic = "unwind")]
        extern crate std;

        #[cfg(panic = "abort")]
        #[panic_handler]
        #[inline(always)]
        fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
            $crate::panicked(info.location())
        }

        // The precompiled core names it in a debug build, though nothing unwinds.
        #[cfg(panic = "abort")]
        // SAFETY: only std has another, and it is not there.
        #[unsafe(no_mangle)]
        extern "C" fn rust_eh_personality() {}
    };
}

/// What a program without std lacks, for [`main!`]: nothing, as fnboot itself needs std.
#[cfg(feature = "std")]
#[doc(hidden)]
#[macro_export]
macro_rules! panic_handler {
    () => {};
}

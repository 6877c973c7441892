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
/// `panic = "abort"` in its profiles. One that uses std has the feature `std` and calls
/// `fnboot::run` instead.
///
/// A handler made by an expression is moved over the stack, so it has at most 64 KiB. A larger one
/// is a static: what it holds is there before the program runs and never moves, and where it is
/// zeros it is not in the file either.
///
/// ```no_run
/// #![no_std]
/// #![no_main]
/// use fnboot::{Context, Error, Handler};
///
/// struct Collect {
///     len: usize,
///     events: [u8; 4 << 20],
/// }
///
/// impl Handler for Collect {
///     fn invoke<'a>(&'a mut self, event: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {
///         let place = self.events.get_mut(self.len..).and_then(|rest| rest.get_mut(..event.len()));
///         place.ok_or_else(|| Error::new("Full", "4 MiB of events"))?.copy_from_slice(event);
///         self.len += event.len();
///         Ok(&self.events[..self.len])
///     }
/// }
///
/// fnboot::main!(static COLLECT: Collect = Collect { len: 0, events: [0; 4 << 20] });
/// ```
#[macro_export]
macro_rules! main {
    (static $name:ident: $handler:ty = $value:expr) => {
        static $name: $crate::Reserved<$handler> = $crate::Reserved::new($value);

        $crate::main!(@ args => $crate::start_in_place(args, &$name));
    };
    (@ $args:ident => $start:expr) => {
        // SAFETY: the linker takes no second `main` beside it.
        #[unsafe(no_mangle)]
        extern "C" fn main(argc: i32, argv: *const *const ::core::ffi::c_char) -> i32 {
            // SAFETY: this is what `main` was called with.
            let $args = unsafe { $crate::Args::new(argc, argv) };
            $start
        }

        $crate::panic_handler!();
    };
    ($handler:expr) => {
        $crate::main!(@ args => $crate::start(args, $handler));
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

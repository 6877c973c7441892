//! `bootstrap`: the file that a platform starts.
#![cfg_attr(not(feature = "std"), no_std, no_main)]

/// What the C library, or [`fnboot`]'s own start, calls.
#[cfg(not(feature = "std"))]
#[allow(unsafe_code, reason = "the C entry point and its arguments")]
// SAFETY: this is the program's one `main`.
#[unsafe(no_mangle)]
extern "C" fn main(argc: i32, argv: *const *const core::ffi::c_char) -> i32 {
    // SAFETY: as the entry point is given them.
    fnboot::bootstrap(unsafe { fnboot::Args::new(argc, argv) })
}

#[cfg(not(feature = "std"))]
#[panic_handler]
#[inline(always)]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    fnboot::panicked(info.location())
}

/// With std, as tests build it for the host, there are no arguments.
#[cfg(feature = "std")]
fn main() {
    fnboot::bootstrap(fnboot::Args::NONE)
}

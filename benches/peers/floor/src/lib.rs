//! What the floor's programs share: the start of a C program and a listening socket.
//!
//! These programs parse nothing, check next to nothing and stop at the first surprise. They are
//! what the kernel costs, not servers to use.

#![no_std]

use core::ffi::{c_char, c_int, c_void};
use core::mem::size_of;

/// The descriptor of a stream socket that listens on `$FC_SERVER_PORT`, else 9000.
///
/// `flags` is 0 or `SOCK_NONBLOCK`. Ends the process where that cannot be had.
#[must_use]
pub fn listen(flags: c_int) -> c_int {
    // SAFETY: socket(2) takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | flags, 0) };
    set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR);
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: libc::INADDR_ANY,
        },
        sin_zero: [0; 8],
    };
    // SAFETY: the address is a live local of exactly the length that is passed.
    let bound = unsafe {
        libc::bind(
            fd,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_in>() as u32,
        )
    };
    // SAFETY: listen(2) takes no pointers.
    let listening = unsafe { libc::listen(fd, 1024) };
    if bound != 0 || listening != 0 {
        exit(1);
    }
    fd
}

/// `setsockopt(2)`: switches one option on.
pub fn set_option(fd: c_int, level: c_int, option: c_int) {
    let on: c_int = 1;
    let on_bytes = size_of::<c_int>() as u32;
    // SAFETY: the value is a live local of exactly the length that is passed.
    unsafe {
        libc::setsockopt(
            fd,
            level,
            option,
            (&raw const on).cast::<c_void>(),
            on_bytes,
        )
    };
}

/// `_exit(2)`.
pub fn exit(status: c_int) -> ! {
    // SAFETY: _exit(2) takes no pointers and runs no handlers.
    unsafe { libc::_exit(status) }
}

fn port() -> u16 {
    // SAFETY: the name is a C string, and this program has one thread.
    let value: *const c_char = unsafe { libc::getenv(c"FC_SERVER_PORT".as_ptr()) };
    if value.is_null() {
        return 9000;
    }
    // SAFETY: getenv(3) gave a C string, which lives as long as the process.
    let number = unsafe { libc::atoi(value) };
    number as u16
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}

//! The blocking floor: accept, read, write. The least a process can do between `execve` and an
//! answer, so it is what cold starts are measured against, linked in two ways.

#![no_std]
#![no_main]

use core::ffi::{c_char, c_int};
use core::ptr::null_mut;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nHello World";

/// The C entry point.
// SAFETY: the C runtime calls the one symbol of this name, with these arguments.
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    let listener = floor::listen(0);
    let mut request = [0_u8; 4096];
    loop {
        // SAFETY: accept(2) may be told not to write an address.
        let fd = unsafe { libc::accept(listener, null_mut(), null_mut()) };
        loop {
            // SAFETY: pointer and length are of one live, exclusively borrowed array.
            let got = unsafe { libc::read(fd, request.as_mut_ptr().cast(), request.len()) };
            if got <= 0 {
                break;
            }
            // SAFETY: pointer and length are of one static slice.
            unsafe { libc::write(fd, ANSWER.as_ptr().cast(), ANSWER.len()) };
        }
        // SAFETY: accept(2) gave this descriptor, and nothing else holds it.
        unsafe { libc::close(fd) };
    }
}

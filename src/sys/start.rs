//! Where the kernel enters the program, if it is linked with `-e fnboot_start`.
//!
//! The C library's own start sets up what a program without threads, `errno` and `stdio` never
//! uses: two system calls, three pages and 3 KiB. This one does what remains: it applies
//! the program's relocations to itself, makes what was relocated read-only, and calls `main`. A
//! program linked in the ordinary way starts in the ordinary way, and this is not part of it.

use core::ffi::{c_char, c_int};

use super::call::call3;
use super::env;
use super::memory;
use super::process;

unsafe extern "C" {
    /// The program's own, as [`main!`](crate::main!) defines it.
    fn main(argc: c_int, argv: *const *const c_char) -> c_int;
}

/// The entry point: passes `begin` what compiled code cannot obtain: the initial stack pointer, and
/// from the linker the program's first byte in memory and its layout.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn fnboot_start() -> ! {
    core::arch::naked_asm!(
        "xor ebp, ebp",
        "mov rdi, rsp",
        "lea rsi, [rip + __ehdr_start]",
        "lea rdx, [rip + fnboot_layout]",
        "and rsp, -16",
        "call {begin}",
        begin = sym begin,
    )
}

/// The entry point, as above.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn fnboot_start() -> ! {
    core::arch::naked_asm!(
        "mov x29, #0",
        "mov x30, #0",
        "mov x0, sp",
        "adrp x1, __ehdr_start",
        "add x1, x1, :lo12:__ehdr_start",
        "adrp x2, fnboot_layout",
        "add x2, x2, :lo12:fnboot_layout",
        "b {begin}",
        begin = sym begin,
    )
}

/// What the linker's script (`layout.ld`) says of the program, as distances from its first byte.
#[repr(C)]
struct Layout {
    /// From where to where the list of relocations lies.
    list: [u32; 2],
    /// From where to where nothing is written any more after them.
    relro: [u32; 2],
}

/// What `layout.ld` aligns the end of the relocated words to.
const PAGE_BYTES: usize = 4096;

/// The initial stack holds the count of arguments, the arguments, a null, the environment, a null,
/// the auxiliary vector.
///
/// # Safety
/// `stack` is the stack as the kernel left it, `base` and `layout` are the program's.
unsafe extern "C" fn begin(stack: *const usize, base: *mut usize, layout: &Layout) -> ! {
    // SAFETY: the caller's promise, and nothing has been relocated yet.
    unsafe { relocate(base, layout) };
    // SAFETY: the caller's promise: the first word is there.
    let count = unsafe { *stack };
    // SAFETY: and so are `count` arguments behind it.
    let arguments = unsafe { stack.add(1) };
    // SAFETY: and a null, behind which the environment begins.
    let environment = unsafe { arguments.add(count + 1) };
    // SAFETY: so Linux starts a program.
    unsafe { env::remember(environment.cast()) };
    if memory::page_bytes() == PAGE_BYTES {
        let [start, end] = layout.relro;
        protect(base.addr() + start as usize, base.addr() + end as usize);
    }
    // SAFETY: what a C program's `main` is given.
    let status = unsafe { main(count as c_int, arguments.cast()) };
    process::exit(status)
}

/// Adds the address at which the program lies to every word that holds one.
///
/// All words are in one list of the form RELR (the linker's `pack-relative-relocs`); the linker refuses
/// a program that needs another relocation (`layout.ld`). A word may lie anywhere, as in a packed
/// struct. Until this is done no address in a table may be used.
///
/// # Safety
/// `base` and `layout` are those of the running program, and this is the first thing that it does.
unsafe fn relocate(base: *mut usize, layout: &Layout) {
    let [from, to] = layout.list;
    let mut next = 0;
    for index in from as usize / WORD_BYTES..to as usize / WORD_BYTES {
        // SAFETY: the list is part of the program.
        let entry = unsafe { base.add(index) };
        // SAFETY: as the linker says, and nobody writes to it.
        let entry = unsafe { *entry };
        // An even entry is the place of a word. An odd one tells of each of the 63 words behind
        // those that the entries before it were about whether it is one.
        let (mut place, mut bits, count) = match entry & 1 {
            0 => (entry, 1, 1),
            _ => (next, entry >> 1, 63),
        };
        next = place + count * WORD_BYTES;
        while bits > 0 {
            if bits & 1 == 1 {
                // SAFETY: the word is part of the program.
                let word = unsafe { base.byte_add(place) };
                // SAFETY: as the linker says.
                let address = unsafe { word.read_unaligned() } + base.addr();
                // SAFETY: as the linker says; the pages are still writable.
                unsafe { word.write_unaligned(address) };
            }
            bits >>= 1;
            place += WORD_BYTES;
        }
    }
}

const WORD_BYTES: usize = size_of::<usize>();

/// `mprotect(2)`: from now on nobody writes to the pages that end here. With larger pages than
/// [`PAGE_BYTES`] (arm64) the kernel would protect what comes behind them, too: there they stay as they
/// are.
fn protect(start: usize, end: usize) {
    let first = start / PAGE_BYTES * PAGE_BYTES;
    // An error is ignored: the pages then stay as they are, and the program works.
    // SAFETY: the linker put nothing into these pages that is written after relocation.
    unsafe {
        call3(
            libc::SYS_mprotect,
            first,
            end - first,
            libc::PROT_READ as usize,
        )
    };
}

//! Where the kernel enters the program, if it is linked with `-e fnboot_start`.
//!
//! The C library's own start sets up what a program without threads, `errno` and `stdio` never
//! uses: two system calls, three pages and three kilobytes. This one does what remains: it applies
//! the program's relocations to itself, makes what was relocated read-only, and calls `main`. A
//! program linked in the ordinary way starts in the ordinary way, and this is not part of it.

use core::ffi::{c_char, c_int};

use super::call::call3;
use super::env;
use super::process;

unsafe extern "C" {
    /// The program's own, as [`main!`](crate::main!) defines it.
    fn main(argc: c_int, argv: *const *const c_char) -> c_int;
}

/// The entry point: passes on what a function could not find, the initial stack and (from the
/// linker) the first byte of the program in memory.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn fnboot_start() -> ! {
    core::arch::naked_asm!(
        "xor ebp, ebp",
        "mov rdi, rsp",
        "lea rsi, [rip + __ehdr_start]",
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
        "b {begin}",
        begin = sym begin,
    )
}

/// `Elf64_Ehdr`, as far as it is of interest.
#[repr(C)]
struct Header {
    ident: [u8; 32],
    segments_offset: usize,
    sections_offset: usize,
    flags: u32,
    header_bytes: u16,
    segment_bytes: u16,
    segment_count: u16,
}

/// `Elf64_Phdr`.
#[repr(C)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: usize,
    address: usize,
    physical: usize,
    file_bytes: usize,
    memory_bytes: usize,
    align: usize,
}

/// `Elf64_Dyn`.
#[repr(C)]
struct Dynamic {
    tag: usize,
    value: usize,
}

const PT_DYNAMIC: u32 = 2;
const PT_GNU_RELRO: u32 = 0x6474_e552;
const DT_RELR: usize = 36;
const DT_RELRSZ: usize = 35;
const PAGE_BYTES: usize = 4096;

/// The initial stack holds the count of arguments, the arguments, a null, the environment, a null.
///
/// # Safety
/// `stack` is the stack as the kernel left it, `header` the program's.
unsafe extern "C" fn begin(stack: *const usize, header: *const Header) -> ! {
    // SAFETY: the caller's promise, and nothing has been relocated yet.
    unsafe { relocate(header) };
    // SAFETY: the caller's promise: the first word is there.
    let count = unsafe { *stack };
    // SAFETY: and so are `count` arguments behind it.
    let arguments = unsafe { stack.add(1) };
    // SAFETY: and a null, behind which the environment begins.
    let environment = unsafe { arguments.add(count + 1) };
    // SAFETY: it ends with a null, stays for ever, and no other thread is there to read it.
    unsafe { env::set(environment.cast()) };
    // SAFETY: what a C program's `main` is given.
    let status = unsafe { main(count as c_int, arguments.cast()) };
    process::exit(status)
}

/// Adds the address at which the program lies to every word that holds one, then makes the pages
/// that only had to be written for that read-only.
///
/// All words are in one list of the form RELR (the linker's `pack-relative-relocs`); nothing else
/// needs relocation in a program that is linked statically. Until this is done no address in a table
/// may be used.
///
/// # Safety
/// `header` is that of the running program, and this is the first thing that it does.
#[inline(always)]
unsafe fn relocate(header: *const Header) {
    let base = header.cast::<u8>();
    // SAFETY: the header is mapped, with its segments behind it, for as long as the program runs.
    let (segments, count) = unsafe {
        (
            base.add((*header).segments_offset).cast::<Segment>(),
            (*header).segment_count,
        )
    };
    for index in 0..usize::from(count) {
        // SAFETY: `index` is below the count of segments.
        let segment = unsafe { &*segments.add(index) };
        // SAFETY: the address of a segment, counted from where the program lies.
        let start = unsafe { base.add(segment.address) };
        match segment.kind {
            // SAFETY: the linker put the list where it says, before any word was relocated.
            PT_DYNAMIC => unsafe { apply(base, start.cast()) },
            PT_GNU_RELRO => protect(start.addr(), segment.memory_bytes),
            _ => {}
        }
    }
}

/// Applies the list that the dynamic section names.
///
/// # Safety
/// `dynamic` is the section of the program at `base`, which is not yet relocated.
#[inline(always)]
unsafe fn apply(base: *const u8, mut dynamic: *const Dynamic) {
    let (mut list, mut bytes) = (0, 0);
    loop {
        // SAFETY: the section ends with a zero tag, behind which nothing is read.
        let Dynamic { tag, value } = unsafe { dynamic.read() };
        match tag {
            0 => break,
            DT_RELR => list = value,
            DT_RELRSZ => bytes = value,
            _ => {}
        }
        // SAFETY: this was not the last entry.
        dynamic = unsafe { dynamic.add(1) };
    }
    let mut word = base.cast_mut().cast::<usize>();
    for index in 0..bytes / size_of::<usize>() {
        // SAFETY: the list is as long as the section says.
        let entry = unsafe { base.add(list).cast::<usize>().add(index).read() };
        if entry & 1 == 0 {
            // SAFETY: an even entry is the place of a word to relocate.
            word = unsafe { base.cast_mut().add(entry).cast() };
            // SAFETY: as the linker says; the pages are still writable.
            unsafe { *word = (*word).wrapping_add(base.addr()) };
            // SAFETY: stays within the segment, or one behind it.
            word = unsafe { word.add(1) };
            continue;
        }
        // An odd entry tells of each of the next 63 words whether it is one.
        let mut bits = entry >> 1;
        let mut next = word;
        while bits != 0 {
            if bits & 1 == 1 {
                // SAFETY: as the linker says; the pages are still writable.
                unsafe { *next = (*next).wrapping_add(base.addr()) };
            }
            bits >>= 1;
            next = next.wrapping_add(1);
        }
        word = word.wrapping_add(63);
    }
}

/// `mprotect(2)`: from now on nobody writes to these pages.
fn protect(start: usize, bytes: usize) {
    let first = start / PAGE_BYTES * PAGE_BYTES;
    let end = (start + bytes) / PAGE_BYTES * PAGE_BYTES;
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

//! What the linker is told beside the defaults.

use std::path::Path;
use std::{env, fs, io};

/// Sections of other people's objects that nothing reads: unwind tables, version notes, and the
/// hooks of a start that the program does not use.
const SCRIPT: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.comment) *(.init) *(.fini) \
    *(.init_array*) *(.fini_array*) } } INSERT AFTER .rodata;";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    for arch in ["X86_64", "AARCH64"] {
        println!("cargo:rerun-if-env-changed=CARGO_TARGET_{arch}_UNKNOWN_LINUX_MUSL_LINKER");
    }
    if env::var_os("CARGO_FEATURE_STD").is_some() {
        return Ok(());
    }
    if !is("CARGO_CFG_TARGET_ENV", "musl") || !is_lld() {
        return Ok(());
    }
    let script = Path::new(&env::var("OUT_DIR").unwrap_or_default()).join("discard.ld");
    fs::write(&script, SCRIPT)?;
    let script = format!("-T{}", script.display());
    for argument in [
        "-efnboot_start",
        "-znoseparate-code",
        "-znosectionheader",
        "-zpack-relative-relocs",
        "--build-id=none",
        "--no-eh-frame-hdr",
        &script,
    ] {
        println!("cargo:rustc-link-arg-bin=bootstrap={argument}");
    }
    Ok(())
}

fn is_lld() -> bool {
    env::var("RUSTC_LINKER").is_ok_and(|linker| linker.ends_with("lld"))
}

fn is(name: &str, value: &str) -> bool {
    env::var(name).is_ok_and(|found| found == value)
}

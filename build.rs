//! What the linker is told beside the defaults.

use std::path::Path;
use std::{env, fs, io};

/// The program in memory: one segment that is read and executed, one that is written and then
/// protected, and one of zeros. Each segment costs a mapping and a page fault at every start. What
/// other people's objects bring for a start that the program does not use is left out.
const SCRIPT: &str = "
PHDRS {
  code PT_LOAD FILEHDR PHDRS FLAGS(5);
  data PT_LOAD FLAGS(6);
  dynamic PT_DYNAMIC FLAGS(4);
  relro PT_GNU_RELRO FLAGS(4);
  stack PT_GNU_STACK FLAGS(6);
}
SECTIONS {
  /DISCARD/ : { *crt*.o(*) *(.eh_frame .comment .init .fini .init_array* .fini_array*) \
      *(.hash .gnu.hash .dynsym .dynstr) }
  . = SIZEOF_HEADERS;
  .relr.dyn : { list_start = .; *(.relr.dyn) list_end = .; } :code
  .text : {
    fnboot_layout = .;
    LONG(list_start) LONG(list_end) LONG(relro_start) LONG(relro_end)
    *(.rodata .rodata.*) *(.text .text.*)
  } :code
  room = 4096 - SIZEOF(.dynamic) - SIZEOF(.data.rel.ro);
  . = ALIGN(4096) + (. % 4096 > room ? 0 : . % 4096);
  relro_start = .;
  .dynamic : { *(.dynamic) } :data :relro :dynamic
  .data.rel.ro : { *(.data.rel.ro .data.rel.ro.*) *(.got .got.plt) } :data :relro
  . = ALIGN(4096);
  relro_end = .;
  .data : { *(.data .data.*) } :data
  .bss : { *(.bss.__environ) *(.bss .bss.*) } :data
}
";

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
    let arguments = [
        "-efnboot_start",
        "-znoseparate-code",
        "-znosectionheader",
        "-zpack-relative-relocs",
        "--build-id=none",
        "--no-eh-frame-hdr",
        &script,
    ];
    for argument in arguments {
        println!("cargo:rustc-link-arg-bin=bootstrap={argument}");
    }
    // For the build scripts of functions in crates of their own: `DEP_FNBOOT_LINK_ARGS`.
    println!("cargo:link_args={}", arguments.join(" "));
    Ok(())
}

fn is_lld() -> bool {
    env::var("RUSTC_LINKER").is_ok_and(|linker| linker.ends_with("lld"))
}

fn is(name: &str, value: &str) -> bool {
    env::var(name).is_ok_and(|found| found == value)
}

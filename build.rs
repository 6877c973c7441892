//! What the linker is told beside the defaults.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/sys/layout.ld");
    for arch in ["X86_64", "AARCH64"] {
        println!("cargo:rerun-if-env-changed=CARGO_TARGET_{arch}_UNKNOWN_LINUX_MUSL_LINKER");
    }
    let folder = env::var("OUT_DIR").unwrap_or_default();
    shims(Path::new(&folder))?;
    if env::var_os("CARGO_FEATURE_STD").is_some() {
        return Ok(());
    }
    // Code that is not optimized calls functions by addresses that fnboot's start has yet to relocate.
    if !is("CARGO_CFG_TARGET_ENV", "musl") || !is_lld() || is("OPT_LEVEL", "0") {
        return Ok(());
    }
    // The linker looks for the script where it looks for libraries, which cargo hands on to whoever
    // depends on this crate: no argument holds a path, which may have a blank in it.
    fs::copy("src/sys/layout.ld", Path::new(&folder).join("fnboot.ld"))?;
    println!("cargo:rustc-link-search=native={folder}");
    let arguments = [
        "-Tfnboot.ld",
        "-efnboot_start",
        // Where the compiler does not say so by itself (arm64).
        "-pie",
        "--no-dynamic-linker",
        "-znoseparate-code",
        "-znosectionheader",
        "-zpack-relative-relocs",
        "--build-id=none",
        "--no-eh-frame-hdr",
    ];
    for argument in arguments {
        println!("cargo:rustc-link-arg-bin=bootstrap={argument}");
    }
    // For the build scripts of functions in crates of their own: `DEP_FNBOOT_LINK_ARGS`.
    println!("cargo:link_args={}", arguments.join(" "));
    Ok(())
}

/// Writes what fnboot runs in interpreters as it is embedded: without lines that are comments, and without the
/// blanks that lines begin with, of which Python needs one for each level.
fn shims(folder: &Path) -> io::Result<()> {
    println!("cargo:rerun-if-changed=src/program/shims");
    for entry in fs::read_dir("src/program/shims")? {
        let path = entry?.path();
        let mut shim = String::new();
        for line in fs::read_to_string(&path)?.lines() {
            let code = line.trim_start();
            if code.is_empty() || code.starts_with("# ") || code.starts_with("//") || code == "#" {
                continue;
            }
            let levels = (line.len() - code.len()) / 4;
            if path.extension().is_some_and(|extension| extension == "py") {
                shim.push_str(&" ".repeat(levels));
            }
            shim.push_str(code);
            shim.push('\n');
        }
        let name = path.file_name().unwrap_or_default();
        fs::write(folder.join(name), shim)?;
    }
    Ok(())
}

fn is_lld() -> bool {
    env::var("RUSTC_LINKER").is_ok_and(|linker| linker.ends_with("lld"))
}

fn is(name: &str, value: &str) -> bool {
    env::var(name).is_ok_and(|found| found == value)
}

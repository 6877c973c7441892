//! What the linker is told beside the defaults.

use std::path::Path;
use std::{env, fs, io};

#[path = "src/program/pack.rs"]
mod pack;
#[allow(dead_code, reason = "only the crate unpacks")]
#[path = "src/program/unpack.rs"]
mod unpack;

/// What ends each text.
const END: u8 = 0;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/sys/layout.ld");
    for arch in ["X86_64", "AARCH64"] {
        println!("cargo:rerun-if-env-changed=CARGO_TARGET_{arch}_UNKNOWN_LINUX_MUSL_LINKER");
    }
    let folder = env::var("OUT_DIR").unwrap_or_default();
    if env::var_os("CARGO_FEATURE_FUNCTION").is_some() {
        texts(Path::new(&folder))?;
    }
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

/// Writes the texts of the stock program as they are embedded, in the order in which they are numbered.
fn texts(folder: &Path) -> io::Result<()> {
    println!("cargo:rerun-if-changed=src/program/shims");
    for path in ["src/program/pack.rs", "src/program/unpack.rs"] {
        println!("cargo:rerun-if-changed={path}");
    }
    let mut texts = Vec::new();
    for name in ["bash.sh", "php.php", "python.py", "node.js", "usage.txt"] {
        let text = fs::read_to_string(Path::new("src/program/shims").join(name))?;
        let text = if name == "usage.txt" {
            text
        } else {
            code(&text, name.ends_with("py"))
        };
        texts.extend_from_slice(text.as_bytes());
        texts.push(END);
    }
    if !texts.is_ascii() {
        return Err(io::Error::other("a text has a letter that is not ASCII"));
    }
    let packed = pack::pack(&texts);
    let lens = format!(
        "/// How long all texts are.\nconst TEXTS_BYTES: usize = {};\n\
        /// How long they are packed.\nconst PACKED_BYTES: usize = {};\n",
        texts.len(),
        packed.len(),
    );
    fs::write(folder.join("texts.rs"), lens)?;
    fs::write(folder.join("texts"), packed)
}

/// A shim without lines that are comments, or that tell what a function is in Python, and without the blanks that
/// lines begin with, of which Python needs one for each level.
fn code(text: &str, is_python: bool) -> String {
    let mut shim = String::new();
    for line in text.lines() {
        let code = line.trim_start();
        let is_comment = code.starts_with("# ") || code.starts_with("//") || code == "#";
        let is_doc = code.starts_with("\"\"\"") && code.ends_with("\"\"\"") && code.len() > 5;
        if code.is_empty() || is_comment || is_doc {
            continue;
        }
        let levels = (line.len() - code.len()) / 4;
        shim.push_str(&" ".repeat(if is_python { levels } else { 0 }));
        shim.push_str(code);
        shim.push('\n');
    }
    shim
}

fn is_lld() -> bool {
    env::var("RUSTC_LINKER").is_ok_and(|linker| linker.ends_with("lld"))
}

fn is(name: &str, value: &str) -> bool {
    env::var(name).is_ok_and(|found| found == value)
}

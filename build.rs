//! What the linker is told beside the defaults.
use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for target in ["X86_64", "AARCH64"] {
        println!("cargo:rerun-if-env-changed=CARGO_TARGET_{target}_UNKNOWN_LINUX_MUSL_LINKER");
    }
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if !is("CARGO_CFG_TARGET_ENV", "musl") {
        return;
    }
    let is_lld = env::var("RUSTC_LINKER").is_ok_and(|linker| linker.ends_with("lld"));
    let arguments = [
        "-z",
        "noseparate-code",
        "--build-id=none",
        "--no-eh-frame-hdr",
        "-z",
        "pack-relative-relocs",
        "--hash-style=gnu",
    ];
    for argument in arguments {
        let prefix = if is_lld { "" } else { "-Wl," };
        println!("cargo:rustc-link-arg-bins={prefix}{argument}");
    }
}

//! Functions in crates of their own, built with cargo as the README says: they work, or they do not
//! compile or link, with a message that says what to do.
//!
//! The crates, what is built of them, and fnboot itself lie in folders with a blank in their names, and
//! with `crt`, which the C start's objects have in theirs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use rustix::process::Signal;

use crate::arm64;
use crate::gates::assert_hardened;
use crate::harness::{PING, Program, Server, post, tool};

/// All crates for one machine are built in one place, where each would find the other's `bootstrap`.
static BUILDING: [Mutex<()>; 2] = [const { Mutex::new(()) }; 2];

/// What a crate is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arch {
    X86_64,
    Aarch64,
}

impl Arch {
    fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-musl",
            Self::Aarch64 => "aarch64-unknown-linux-musl",
        }
    }

    /// A program that was built for it, as a user without privileges starts it.
    fn program(self, path: &Path) -> Program {
        match self {
            Self::X86_64 => Program::at(path.to_owned()),
            Self::Aarch64 => arm64::program(path),
        }
    }
}

/// A block of the README: the first in that language that has `part` in it.
#[track_caller]
fn block(language: &str, part: &str) -> String {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = fs::read_to_string(readme).expect("README.md");
    let fence = format!("\n```{language}\n");
    let mut blocks = readme.split(&fence).skip(1);
    let found = blocks.find_map(|rest| {
        let (text, _) = rest.split_once("```")?;
        text.contains(part).then(|| text.to_owned())
    });
    found.unwrap_or_else(|| panic!("no block of {language} with {part:?} in README.md"))
}

/// A crate of a user's.
struct Crate {
    folder: PathBuf,
}

impl Crate {
    /// The README's own, with another `src/main.rs`.
    fn new(name: &str, main: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("own crt crates");
        let own = Self {
            folder: folder.join(name),
        };
        fs::create_dir_all(own.folder.join("src")).expect("a folder");
        let root = env!("CARGO_MANIFEST_DIR");
        let path = folder.join("fn boot");
        // Another test may have made it.
        let _ = symlink(root, &path);
        assert!(path.join("build.rs").is_file(), "{}", path.display());
        let manifest = block("toml", "[package]").replace("../fnboot", "../fn boot");
        // By its name alone cargo tells one from the others.
        let manifest = manifest.replace("\"hello\"", &format!("\"{name}\""));
        own.write("Cargo.toml", &format!("{manifest}\n[workspace]\n"));
        own.write("build.rs", &block("rust", "DEP_FNBOOT_LINK_ARGS"));
        own.write("src/main.rs", main);
        // The versions that are here already: nothing is asked of the network.
        let lock = fs::read_to_string(format!("{root}/Cargo.lock")).expect("Cargo.lock");
        own.write("Cargo.lock", &lock);
        own
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        // What is the same is not built again.
        if fs::read_to_string(&path).ok().as_deref() != Some(text) {
            fs::write(path, text).expect("write");
        }
    }

    /// Without the README's build script.
    fn without_build_script(self) -> Self {
        self.write("build.rs", "fn main() {}\n");
        self
    }

    /// With `from` replaced in its manifest.
    fn manifest(self, from: &str, to: &str) -> Self {
        let text = fs::read_to_string(self.folder.join("Cargo.toml")).expect("Cargo.toml");
        assert!(text.contains(from), "{text}");
        self.write("Cargo.toml", &text.replace(from, to));
        self
    }

    /// With the feature that programs with std take.
    fn with_std(self) -> Self {
        self.manifest("\" } # or git", "\", features = [\"std\"] } # or git")
    }

    /// As the README says: cargo, and the linker that comes with Rust.
    fn cargo(&self, arch: Arch) -> (PathBuf, Output) {
        self.cargo_with(arch, &["--release"])
    }

    fn cargo_with(&self, arch: Arch, profile: &[&str]) -> (PathBuf, Output) {
        let parent = self.folder.parent().expect("a folder");
        let target_dir = parent.join("target").join(arch.target());
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(&self.folder).env_remove("RUSTFLAGS");
        for arch in ["X86_64", "AARCH64"] {
            let name = format!("CARGO_TARGET_{arch}_UNKNOWN_LINUX_MUSL_");
            cargo.env(format!("{name}LINKER"), "rust-lld");
            cargo.env_remove(format!("{name}RUSTFLAGS"));
        }
        cargo.env("CARGO_TARGET_DIR", &target_dir);
        let building = BUILDING[arch as usize].lock();
        let _building = building.unwrap_or_else(PoisonError::into_inner);
        cargo.args(["build", "--offline", "--target", arch.target()]);
        cargo.args(profile);
        let output = cargo.output().expect("cargo");
        let profile = if profile.is_empty() {
            "debug"
        } else {
            "release"
        };
        let built = target_dir
            .join(arch.target())
            .join(profile)
            .join("bootstrap");
        let kept = self.folder.join(format!("bootstrap-{}", arch.target()));
        if output.status.success() {
            fs::copy(&built, &kept).expect("what was built");
        }
        (kept, output)
    }

    /// Builds it, and starts it.
    #[track_caller]
    fn start(&self, arch: Arch) -> (PathBuf, Server) {
        let (path, output) = self.cargo(arch);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("warning"), "{said}");
        let server = arch.program(&path).start();
        (path, server)
    }

    /// It must not build, for a reason that says all this.
    #[track_caller]
    fn refused(&self, arch: Arch, parts: &[&str]) {
        let (_, output) = self.cargo(arch);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "it was built: {said}");
        for part in parts {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
    }
}

const BOTH: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

/// The first function of the README, with its manifest and its build script.
#[test]
fn the_readme_is_true() {
    let own = Crate::new("readme", &block("rust", "fnboot::main!(Hello)"));
    for arch in BOTH {
        let (path, mut server) = own.start(arch);
        let answer = server.call(
            post("/invoke", "x-fc-request-id: rid\r\n", "Hello World"),
            200,
        );
        assert_eq!(answer.text(), "Hello World", "{arch:?}");
        let log = server.stdout.wait_lines(3);
        assert!(log[1].ends_with(" rid [INFO] 11 bytes"), "{log:?}");
        // Linked as fnboot's own: with the C start it would be 58 KiB and more.
        let bytes = fs::metadata(&path).expect("a file").len();
        assert!(bytes < 54 * 1024, "{arch:?}: {bytes} bytes");
        assert_hardened(&path);
        if arch == Arch::X86_64 {
            let mut command = Command::new(tool());
            let called = command
                .args(["invoke", "-e", "Hello World"])
                .arg(&path)
                .output();
            assert_eq!(called.expect("the local tool").stdout, b"Hello World");
        }
    }
}

/// The same while it is being written.
#[test]
fn a_debug_build_works() {
    let own = Crate::new("debug", &block("rust", "fnboot::main!(Hello)"));
    for arch in BOTH {
        let (path, output) = own.cargo_with(arch, &[]);
        assert!(output.status.success(), "{output:?}");
        let mut server = arch.program(&path).start();
        assert_eq!(server.call(PING, 200).text(), "ping", "{arch:?}");
    }
}

/// Pointers anywhere, and more of them than one page holds, are relocated or refused.
#[test]
fn packed_pointers_are_relocated_or_refused() {
    let main = |packed: u8, first: &str| {
        format!(
            r#"
            #![no_std]
            #![no_main]
            use fnboot::{{Context, Error, Handler}};

            #[repr(C, packed({packed}))]
            struct Packed {{
                first: {first},
                text: &'static [u8; 4],
            }}

            static TEXTS: [Packed; 1000] =
                [const {{ Packed {{ first: 7, text: b"text" }} }}; 1000];

            struct Texts;

            impl Handler for Texts {{
                fn invoke<'a>(&'a mut self, event: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {{
                    let texts = core::hint::black_box(&TEXTS);
                    let all = texts.iter().filter(|one| {{ one.first }} == 7 && *{{ one.text }} == *b"text");
                    Ok(if all.count() == 1000 {{ event }} else {{ b"?" }})
                }}
            }}

            fnboot::main!(Texts);
            "#
        )
    };
    for (packed, first) in [(2, "u16"), (4, "u32"), (8, "u64")] {
        let own = Crate::new(&format!("packed-{packed}"), &main(packed, first));
        for arch in BOTH {
            let (_, mut server) = own.start(arch);
            assert_eq!(server.call(PING, 200).text(), "ping", "{packed} {arch:?}");
        }
    }
    let own = Crate::new("packed-1", &main(1, "u8"));
    for arch in BOTH {
        own.refused(arch, &UNDONE);
    }
}

/// The same without the build script, which starts as C programs do.
#[test]
fn a_build_script_is_not_needed() {
    let own = Crate::new("plain", &block("rust", "fnboot::main!(Hello)")).without_build_script();
    for arch in BOTH {
        let (_, mut server) = own.start(arch);
        assert_eq!(server.call(PING, 200).text(), "ping", "{arch:?}");
    }
}

/// A handler that does this with the C library, and answers with a digit.
fn calls_libc(what: &str) -> String {
    format!(
        r"
        #![no_std]
        #![no_main]
        use fnboot::{{Context, Error, Handler}};

        struct Call([u8; 1]);

        impl Handler for Call {{
            fn invoke<'a>(&'a mut self, event: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {{
                let event = core::hint::black_box(event.as_ptr());
                self.0 = [b'0' + unsafe {{ {what} }} as u8];
                Ok(&self.0)
            }}
        }}

        fnboot::main!(Call([0]));
        "
    )
}

/// What opening a file that is not there leaves in `errno`.
const ERRNO: &str = r#"
    let _ = event;
    libc::open(c"/no/such/file".as_ptr(), libc::O_RDONLY);
    *libc::__errno_location()
"#;

/// fnboot's own start sets up nothing of the C library: its functions would crash, or answer wrongly.
#[test]
fn the_c_library_takes_its_own_start() {
    let dependency = "[dependencies]\nlibc = { version = \"0.2\", default-features = false }";
    let own = |name: &str, main: &str| {
        Crate::new(name, &calls_libc(main)).manifest("[dependencies]", dependency)
    };
    for (name, what) in [
        ("errno", ERRNO),
        ("strerror", "*libc::strerror(i32::from(*event))"),
        (
            "strtol",
            "libc::strtol(event.cast(), core::ptr::null_mut(), 10)",
        ),
        ("getenv", "*libc::getenv(event.cast())"),
        ("malloc", "libc::malloc(usize::from(*event)) as usize"),
        ("getpid", "{ let _ = event; libc::getpid() }"),
    ] {
        let own = own(name, what);
        for arch in BOTH {
            own.refused(arch, &UNDONE);
        }
    }
    let pure = own("pure", "libc::strlen(event.cast()).min(7)");
    let plain = own("errno-plain", ERRNO).without_build_script();
    for arch in BOTH {
        let (_, mut server) = pure.start(arch);
        // The event, and whatever lies behind it.
        assert!(
            "01234567".contains(&server.call(PING, 200).text()),
            "{arch:?}"
        );
        let (_, mut server) = plain.start(arch);
        // `ENOENT`
        assert_eq!(server.call(PING, 200).text(), "2", "{arch:?}");
    }
}

/// What the linker says of a program that fnboot's own start does not do for.
const UNDONE: [&str; 2] = [
    "something here calls the C library, has constructors, thread-local variables or packed pointers",
    "Without the link arguments of DEP_FNBOOT_LINK_ARGS",
];

/// Nor does it run constructors, or set up thread-local variables.
#[test]
fn constructors_and_thread_locals_take_the_c_start() {
    let hello = block("rust", "fnboot::main!(Hello)");
    let constructor = r#"
        extern "C" fn construct() {}

        #[used]
        #[unsafe(link_section = ".init_array")]
        static CONSTRUCT: extern "C" fn() = construct;
    "#;
    let own = Crate::new("constructor", &(hello.clone() + constructor));
    for arch in BOTH {
        own.refused(arch, &UNDONE);
    }
    let thread_local = r#"
        core::arch::global_asm!(
            ".section .tbss,\"awT\",@nobits", ".globl local", "local: .zero 8", ".text",
            ".globl get", "get: mov rax, qword ptr fs:[local@tpoff]", "ret",
        );
        unsafe extern "C" {
            fn get() -> u64;
        }

        #[used]
        static GET: unsafe extern "C" fn() -> u64 = get;
    "#;
    Crate::new("thread-local", &(hello + thread_local)).refused(Arch::X86_64, &UNDONE);
}

/// The feature decides how the program starts and reads its environment.
#[test]
fn std_takes_its_feature() {
    let main = r"
        use fnboot::{Context, Error, Handler};

        struct Hello(Vec<u8>);

        impl Handler for Hello {
            fn invoke<'a>(&'a mut self, event: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {
                self.0 = event.to_ascii_uppercase();
                Ok(&self.0)
            }
        }

        fn main() {
            fnboot::run(Hello(Vec::new()))
        }
    ";
    let own = Crate::new("std", main);
    own.refused(Arch::X86_64, &["`run`", "`std` feature"]);
    let own = own.with_std();
    let (_, mut server) = own.start(Arch::X86_64);
    assert_eq!(server.call(PING, 200).text(), "PING");
}

/// A handler is moved over the stack, if it is small; a large one has its place.
#[test]
fn large_handlers_stay_in_their_place() {
    let main = |main: &str| {
        format!(
            r"
            #![no_std]
            #![no_main]
            use fnboot::{{Context, Error, Handler}};

            struct Large<const LEN: usize>([u8; LEN]);

            impl<const LEN: usize> Handler for Large<LEN> {{
                fn invoke<'a>(&'a mut self, event: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {{
                    self.0[LEN - event.len()..].copy_from_slice(event);
                    Ok(&self.0[LEN - event.len()..])
                }}
            }}

            {main}
            "
        )
    };
    let small = Crate::new("small", &main("fnboot::main!(Large([0; 1 << 16]));"));
    let (_, mut server) = small.start(Arch::X86_64);
    assert_eq!(server.call(PING, 200).text(), "ping");
    let large = Crate::new("large", &main("fnboot::main!(Large([0; (1 << 16) + 1]));"));
    large.refused(
        Arch::X86_64,
        &[
            "a handler of more than 64 KiB",
            "fnboot::main!(static NAME: Type = value)",
        ],
    );
    // Larger than any stack.
    let text = "fnboot::main!(static LARGE: Large<{ 64 << 20 }> = Large([0; 64 << 20]));";
    let own = Crate::new("static", &main(text));
    for arch in BOTH {
        let (path, mut server) = own.start(arch);
        assert_eq!(server.call(PING, 200).text(), "ping", "{arch:?}");
        let bytes = fs::metadata(&path).expect("a file").len();
        assert!(
            bytes < 64 * 1024,
            "{arch:?}: zeros in the file: {bytes} bytes"
        );
        if arch == Arch::X86_64 {
            let peak_kib = server.status_kib("VmHWM");
            assert!(peak_kib < 256, "touched: {peak_kib} KiB");
        }
    }
}

/// What the context tells of the environment is what the program was started with, whatever a safe
/// function of std does with it meanwhile.
#[test]
fn the_environment_may_change() {
    let main = r#"
        use fnboot::{Context, Error, Handler};

        struct Named(String);

        impl Handler for Named {
            fn invoke<'a>(&'a mut self, _: &'a [u8], cx: &Context<'_>) -> Result<&'a [u8], Error> {
                let name = cx.credentials().ok_or_else(|| Error::new("NoKeys", "none"))?.access_key_id;
                for round in 0..100 {
                    std::env::set_var("ALIBABA_CLOUD_ACCESS_KEY_ID", "x".repeat(round));
                    std::env::remove_var("ALIBABA_CLOUD_ACCESS_KEY_ID");
                }
                // What is freed is handed out again, and would be written over.
                let garbage: Vec<String> = (1..100).map(|len| "y".repeat(len)).collect();
                self.0 = format!("{name} {}", garbage.len());
                Ok(self.0.as_bytes())
            }
        }

        fn main() {
            fnboot::run(Named(String::new()))
        }
    "#;
    let own = Crate::new("environment", main)
        .with_std()
        .manifest("edition = \"2024\"", "edition = \"2021\"");
    let (path, output) = own.cargo(Arch::X86_64);
    assert!(output.status.success(), "{output:?}");
    let mut server = Program::at(path)
        .env("ALIBABA_CLOUD_ACCESS_KEY_ID", "the id")
        .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")
        .start();
    for _ in 0..3 {
        assert_eq!(server.call(PING, 200).text(), "the id 99");
    }
}

/// The kernel gives a signal to any thread, here rather to the first one: it ends the process all the
/// same, in the middle of a wait.
#[test]
fn signals_find_the_thread_that_waits() {
    let main = r#"
        use fnboot::{Context, Error, Handler};

        struct Pong;

        impl Handler for Pong {
            fn invoke<'a>(&'a mut self, _: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {
                Ok(b"pong")
            }
        }

        fn main() {
            std::thread::spawn(|| fnboot::run(Pong));
            loop {
                std::thread::park();
            }
        }
    "#;
    let own = Crate::new("threads", main).with_std();
    for signal in [Signal::TERM, Signal::INT] {
        let (_, mut server) = own.start(Arch::X86_64);
        let mut client = server.connect();
        assert_eq!(client.send(PING).expect(200).text(), "pong");
        server.signal(signal);
        server.expect_exit(0);
        client.expect_close();
    }
}

//! `fnboot package` on folders, and what it made of them, unpacked and started.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use zip::ZipArchive;

use crate::harness::{
    Case, Folder, assert_built, assert_same, bootstrap, bootstrap_arm64, tool, wait_for,
};

/// A folder of the test's own, with `code` in it; removed at its end.
struct Sources(Folder);

impl Sources {
    fn new() -> Self {
        let folder = Folder::new();
        fs::create_dir_all(folder.at("code")).expect("a folder");
        Self(folder)
    }

    /// The same with a program that the platform starts: it tells what `lib/data` leads to.
    fn with_program() -> Self {
        let folder = Self::new();
        folder.file("code/bootstrap", 0o755, "#!/bin/sh\ncat lib/data\n");
        folder.file("code/lib/v1/data", 0o600, "data\n");
        symlink("v1/data", folder.at("code/lib/data")).expect("a link");
        folder
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.at(name)
    }

    fn file(&self, name: &str, mode: u32, content: impl AsRef<[u8]>) {
        self.0.file(name, mode, content);
    }

    /// The tool in this folder, and what it shows; one that hangs is ended.
    fn run(&self, arguments: &str) -> (bool, String) {
        assert_built(&tool());
        let mut command = Command::new("timeout");
        command
            .arg("300")
            .arg(tool())
            .arg("package")
            .current_dir(&self.0.0);
        let output = command
            .args(arguments.split(' '))
            .output()
            .expect("the tool");
        let shown = String::from_utf8(output.stderr).expect("text");
        (output.status.success(), shown)
    }

    #[track_caller]
    fn packs(&self, arguments: &str) -> String {
        let (is_packed, shown) = self.run(arguments);
        assert!(is_packed, "{arguments}: {shown}");
        shown
    }

    /// The tool refuses with status 2 and these words, and makes no archive.
    #[track_caller]
    fn refuses(&self, arguments: &str, words: &[&str]) {
        let _case = Case((arguments, words));
        let (is_packed, shown) = self.run(arguments);
        assert!(
            !is_packed && !self.at("pkg/bootstrap.zip").exists(),
            "{shown}"
        );
        assert_eq!(shown.lines().count(), 1, "{shown}");
        for word in words {
            assert!(shown.contains(word), "{word:?} in {shown}");
        }
    }

    fn archive(&self) -> ZipArchive<File> {
        let file = File::open(self.at("pkg/bootstrap.zip")).expect("an archive");
        ZipArchive::new(file).expect("an archive")
    }

    /// Names and modes, in their order.
    fn entries(&self) -> Vec<(String, u32)> {
        let mut archive = self.archive();
        let mut entry = |index| {
            let file = archive.by_index(index).expect("an entry");
            (file.name().to_owned(), file.unix_mode().expect("a mode"))
        };
        (0..self.archive().len()).map(&mut entry).collect()
    }

    fn names(&self) -> Vec<String> {
        self.entries().into_iter().map(|(name, _)| name).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.at("pkg/bootstrap.zip")).expect("an archive")
    }
}

/// What the unpacked program writes to standard output, started there.
fn started(folder: &Sources, arguments: &[&str]) -> String {
    let unpacked = folder.at("unpacked");
    folder.archive().extract(&unpacked).expect("unpacked");
    let mut command = Command::new("./bootstrap");
    command.current_dir(unpacked).args(arguments);
    // What another thread is just starting has a copy of the file that was open for writing, until it is executed.
    let output = wait_for("a program that nobody writes to", || {
        match command.output() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
            output => Some(output.expect("the program")),
        }
    });
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn archives_repeat_and_keep_the_mode() {
    let folder = Sources::new();
    assert_built(&bootstrap());
    folder.file(
        "program",
        0o644,
        fs::read(bootstrap()).expect("the program"),
    );
    let shown = folder.packs("program");
    assert!(shown.contains("755  bootstrap (x86_64, static)"), "{shown}");
    let first = folder.bytes();
    folder.packs("program");
    assert_same(&folder.bytes(), &first);
    assert_eq!(folder.entries(), [("bootstrap".to_owned(), 0o100_755)]);
    assert!(started(&folder, &["--help"]).contains("FNBOOT"));
}

#[test]
fn folders_keep_links_modes_and_empty_folders() {
    let folder = Sources::with_program();
    folder.file("code/bin/tool", 0o700, "#!/bin/sh\n");
    folder.file("more/é", 0o644, "");
    fs::create_dir(folder.at("code/log")).expect("a folder");
    for (name, target) in [
        ("self", "."),
        ("a", "b"),
        ("b", "a"),
        ("up", "lib/../lib/v1"),
    ] {
        symlink(target, folder.at("code").join(name)).expect("a link");
    }
    folder.packs("--code code code/bootstrap more etc/extra=more/é");
    let want = [
        ("a", 0o120_777),
        ("b", 0o120_777),
        ("bin/tool", 0o100_755),
        ("bootstrap", 0o100_755),
        ("etc/extra", 0o100_644),
        ("lib/data", 0o120_777),
        ("lib/v1/data", 0o100_644),
        ("log/", 0o040_755),
        ("more/é", 0o100_644),
        ("self", 0o120_777),
        ("up", 0o120_777),
    ];
    assert_eq!(
        folder.entries(),
        want.map(|(name, mode)| (name.to_owned(), mode))
    );
    let mut target = String::new();
    let mut archive = folder.archive();
    archive
        .by_name("lib/data")
        .expect("a link")
        .read_to_string(&mut target)
        .expect("text");
    assert_eq!(target, "v1/data");
    assert_eq!(started(&folder, &[]), "data\n");
}

#[test]
fn links_that_lead_nowhere_are_refused() {
    for (target, words) in [
        (
            "/etc/passwd",
            ["lib/link", "/etc/passwd", "make it relative"],
        ),
        (
            "../../outside",
            ["lib/link", "outside of the package", "put the file itself"],
        ),
        ("../none", ["lib/link", "../none", "add it"]),
        (
            "data/x",
            ["lib/link", "not in the package", "leave the link out"],
        ),
    ] {
        let folder = Sources::with_program();
        folder.file("outside", 0o644, "");
        symlink(target, folder.at("code/lib/link")).expect("a link");
        folder.refuses("--code code", &words);
    }
}

/// None of them is opened: that would wait for ever.
#[test]
fn what_is_no_file_is_refused() {
    let folder = Sources::with_program();
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, folder.at("fifo"), FileType::Fifo, mode, 0).expect("a FIFO");
    folder.refuses("fifo", &["fifo", "cannot be packed"]);
    folder.refuses("--code code x=fifo", &["fifo", "cannot be packed"]);
    let _listener = UnixListener::bind(folder.at("code/socket")).expect("a socket");
    folder.refuses("--code code", &["code/socket", "cannot be packed"]);
    fs::remove_file(folder.at("code/socket")).expect("remove");
    fs::rename(folder.at("fifo"), folder.at("code/fifo")).expect("a FIFO");
    folder.refuses("--code code", &["code/fifo", "cannot be packed"]);
}

#[test]
fn names_that_cannot_be_packed_are_refused() {
    let folder = Sources::with_program();
    for (arguments, words) in [
        (
            "--code code lib/v1/data=code/bootstrap",
            ["lib/v1/data", "given twice"],
        ),
        (
            "--code code lib/data/x=code/bootstrap",
            ["lib/data/x", "no folder"],
        ),
        (
            "--code code bootstrap/x=code/bootstrap",
            ["bootstrap/x", "no folder"],
        ),
        (
            "--code code ../x=code/bootstrap",
            ["../x", "not a name inside"],
        ),
        ("--code code/lib", ["bootstrap", "name the PROGRAM"]),
        ("--code none", ["none", "No such file"]),
        (
            "--code code --platform scf --web",
            ["scf_bootstrap", "name the PROGRAM"],
        ),
        ("code", ["code", "cannot be packed"]),
    ] {
        folder.refuses(arguments, &words);
    }
    fs::write(folder.at("code").join(OsStr::from_bytes(b"\xff")), "").expect("a file");
    folder.refuses("--code code", &["in UTF-8"]);
}

#[test]
fn the_program_may_lie_in_the_folder() {
    let folder = Sources::with_program();
    let names = ["bootstrap", "lib/data", "lib/v1/data"];
    folder.packs("--code code code/../code/bootstrap");
    assert_eq!(folder.names(), names);
    // The platform starts a link, and what it leads to is what is checked.
    fs::rename(folder.at("code/bootstrap"), folder.at("code/main")).expect("rename");
    symlink("main", folder.at("code/bootstrap")).expect("a link");
    fs::set_permissions(folder.at("code/main"), Permissions::from_mode(0o600)).expect("a mode");
    folder.packs("--code code code/main");
    assert_eq!(folder.entries()[3], ("main".to_owned(), 0o100_755));
    assert_eq!(started(&folder, &[]), "data\n");
    fs::remove_dir_all(folder.at("pkg")).expect("remove");
    folder.file("other", 0o755, "#!/bin/sh\n");
    folder.refuses(
        "--code code other",
        &["other", "code/bootstrap", "leave one out"],
    );
}

#[test]
fn an_archive_never_packs_itself() {
    let folder = Sources::with_program();
    symlink("code", folder.at("name")).expect("a link");
    folder.packs("--code code");
    let want = folder.bytes();
    for (output, code) in [
        ("code/out/x.zip", "code"),
        ("code/out/x.zip", "code"),
        ("code/out/x.zip", "name"),
        ("name/out/x.zip", "code"),
        ("code/link.zip", "code"),
    ] {
        if output.contains("link") {
            symlink("../far.zip", folder.at(output)).expect("a link");
            fs::remove_dir_all(folder.at("code/out")).expect("remove");
            fs::write(folder.at("far.zip"), "").expect("a file");
        }
        folder.packs(&format!("--output {output} --code {code}"));
        assert_same(&fs::read(folder.at(output)).expect("an archive"), &want);
    }
    assert!(folder.at("code/link.zip").is_symlink(), "a link stays one");
}

#[test]
fn a_failure_keeps_the_former_archive() {
    let folder = Sources::with_program();
    folder.packs("--code code");
    let former = folder.bytes();
    let listing = || fs::read_dir(folder.at("pkg")).expect("a folder").count();
    // No file may have more than 1,024 bytes: the archive is cut while it is written.
    folder.file("code/noise", 0o644, crate::harness::noise(40_000));
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" package --code code";
    let mut command = Command::new("/bin/bash");
    let output = command
        .args(["-c", script])
        .arg(tool())
        .current_dir(&folder.0.0)
        .output();
    let output = output.expect("the tool");
    assert!(!output.status.success(), "{output:?}");
    assert_same(&folder.bytes(), &former);
    assert_eq!(listing(), 1);
    // Nor is anything else than a file replaced: not `/dev/null`, and not this.
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, folder.at("fifo"), FileType::Fifo, mode, 0).expect("a FIFO");
    let (is_packed, shown) = folder.run("--output fifo code/bootstrap");
    assert!(!is_packed && shown.contains("not a file"), "{shown}");
    let kind = fs::symlink_metadata(folder.at("fifo")).expect("a FIFO");
    assert!(!kind.is_file());
}

/// The head of an ELF file (elf(5)), without segments.
fn elf(bits: u8, machine: u8) -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', bits, 1]);
    (file[16], file[18]) = (2, machine);
    file
}

#[test]
fn the_program_must_be_one_that_the_platform_starts() {
    for (content, arguments, words) in [
        (elf(2, 183), "", ["arm64", "FC has x86_64 only"]),
        (
            elf(2, 183),
            "--platform scf ",
            ["arm64", "SCF has x86_64 only"],
        ),
        (
            elf(2, 183),
            "--platform lambda --arch x86_64 ",
            ["for arm64", "not for x86_64"],
        ),
        (
            elf(2, 62),
            "--platform lambda --arch arm64 ",
            ["for x86_64", "not for arm64"],
        ),
        (elf(1, 3), "", ["32-bit", "i386"]),
        (elf(1, 62), "", ["bootstrap", "32-bit"]),
        (elf(2, 243), "", ["riscv", "bootstrap"]),
        (elf(2, 62)[..40].to_vec(), "", ["ELF", "cut off"]),
        (
            b"\xcf\xfa\xed\xfe\x07\0\0\x01".to_vec(),
            "",
            ["Mach-O", "macOS"],
        ),
        (b"MZ\x90\0".to_vec(), "", ["PE", "Windows"]),
        (
            b"#!/bin/sh\r\necho\r\n".to_vec(),
            "",
            ["CR LF", "end lines in LF"],
        ),
        (b"echo\n".to_vec(), "", ["neither", "#!/bin/sh"]),
        (
            b"\xef\xbb\xbf#!/bin/sh\n".to_vec(),
            "",
            ["byte order mark", "remove"],
        ),
        (b"#! \n".to_vec(), "", ["script", "without an interpreter"]),
        (b"".to_vec(), "", ["bootstrap", "empty"]),
    ] {
        let folder = Sources::new();
        folder.file("code/bootstrap", 0o755, content);
        folder.refuses(&format!("{arguments}code/bootstrap"), &words);
        folder.refuses(&format!("{arguments}--code code"), &words);
    }
}

#[test]
fn arm64_is_for_lambda() {
    let folder = Sources::new();
    folder.file("script", 0o644, "#!/bin/sh\n");
    folder.packs("--platform lambda --arch arm64 script");
    assert_built(&bootstrap_arm64());
    fs::copy(bootstrap_arm64(), folder.at("program")).expect("a copy");
    let shown = folder.packs("--platform lambda program");
    for words in [
        "bootstrap (arm64, static)",
        "function: Architectures: arm64",
    ] {
        assert!(shown.contains(words), "{shown}");
    }
}

#[test]
fn a_dynamically_linked_program_is_warned_of() {
    let folder = Sources::new();
    let mut file = elf(2, 62);
    // One segment, PT_INTERP, behind its header.
    (file[32], file[54], file[56]) = (64, 56, 1);
    let header: [u64; 7] = [3, 120, 0, 0, 11, 0, 0];
    file.extend(header.map(u64::to_le_bytes).concat());
    file.extend(b"/lib/ld.so\0");
    folder.file("program", 0o755, file);
    let shown = folder.packs("program");
    for words in [
        "warning",
        "FC must have /lib/ld.so",
        "(x86_64, by /lib/ld.so)",
    ] {
        assert!(shown.contains(words), "{shown}");
    }
}

#[test]
fn what_cannot_be_unpacked_there_is_refused() {
    let folder = Sources::with_program();
    let large = File::create(folder.at("code/large")).expect("a file");
    large.set_len(500 * 1024 * 1024).expect("a size");
    folder.refuses(
        "--platform lambda --code code",
        &["262143999", "container image"],
    );
    folder.refuses(
        "--platform scf --code code",
        &["524288000", "container image"],
    );
}

#[test]
fn what_the_platform_keeps_is_told() {
    let folder = Sources::with_program();
    let told = "--handler index.main --env KEY=s3cret --code code -- command it's";
    let script = "a start script, as bootstrap, with the arguments: command it's";
    for (platform, wanted) in [
        (
            "fc",
            &[
                r#"command: ["/code/bootstrap"]"#,
                r#"args: ["command", "it's"]"#,
                "environmentVariables: KEY",
            ][..],
        ),
        ("lambda", &[script, "environment variables: KEY"]),
        ("scf", &[script, "environment variables: KEY"]),
    ] {
        let shown = folder.packs(&format!("--platform {platform} {told}"));
        let lines = shown
            .lines()
            .skip_while(|line| !line.contains("bootstrap.zip"))
            .skip(1);
        let wanted = ["to be set on the function: handler: index.main"]
            .iter()
            .chain(wanted);
        assert!(lines.clone().count() == wanted.clone().count(), "{shown}");
        assert!(
            lines.zip(wanted).all(|(line, want)| line.ends_with(want)),
            "{shown}"
        );
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    assert!(!folder.packs("--code code").contains("to be set"));
}

/// A folder with a function in bash, and two programs that serve it: one to be started, and one to be packed,
/// which takes a moment only.
fn with_function() -> Sources {
    let folder = Sources::new();
    assert_built(&bootstrap());
    fs::copy(bootstrap(), folder.at("program")).expect("a copy");
    let said = b"FNBOOT: '$' has a quote without its end";
    folder.file("short", 0o755, [&elf(2, 62)[..], said].concat());
    folder.file("code/function.sh", 0o644, "handler() { echo \"<$1>\"; }\n");
    folder.file("code/lib/words", 0o755, "#!/bin/sh\nprintf '<%s>' \"$@\"\n");
    folder
}

/// The command that calls what was packed as the platform would that was told these settings.
fn as_told(folder: &Sources, platform: &str, told: &[&str]) -> Command {
    let mut command = Command::new(tool());
    command.args(["invoke", "--platform", platform, "-e", "1", "--code"]);
    command.arg(folder.at("code")).current_dir(&folder.0.0);
    let mut words: Vec<String> = Vec::new();
    for setting in told {
        match setting.split_once(": ").expect("a setting") {
            ("runtime", _) | ("customRuntimeConfig.command", r#"["/code/bootstrap"]"#) => {}
            ("handler", handler) => drop(command.args(["--handler", handler])),
            ("environment variables", variable) => drop(command.args(["--env", variable])),
            ("customRuntimeConfig.args", args) => words = serde_json::from_str(args).expect("JSON"),
            other => panic!("{other:?}"),
        }
    }
    command.arg("../program").arg("--").args(words);
    command
}

/// What must be set is told so that it can be copied, and with it the function works.
#[test]
fn a_program_that_serves_others_is_told_so_on_each_platform() {
    for (before, after, answer) in [
        ("", " -- function function.handler", "<1>\n"),
        ("", " -- function lib/words", "<>"),
        ("", " -- command ./lib/words it's a;b \\", "<it's><a;b><\\>"),
        ("--handler function.handler ", "", "<1>\n"),
    ] {
        for (platform, runtime) in [
            ("fc", "runtime: custom.debian12, or another custom one"),
            ("lambda", "runtime: provided.al2023"),
            ("scf", "runtime: CustomRuntime"),
        ] {
            let _case = Case((platform, before, after));
            let folder = with_function();
            let arguments = format!("--platform {platform} --code code {before}short{after}");
            let shown = folder.packs(&arguments);
            let told = shown.lines();
            let told = told.filter_map(|line| line.strip_prefix("to be set on the function: "));
            let told: Vec<_> = told.collect();
            assert_eq!(told[0], runtime, "{shown}");
            let output = as_told(&folder, platform, &told).output();
            let output = output.expect("the tool");
            let got = String::from_utf8_lossy(&output.stdout);
            assert_eq!(got, answer, "{told:?} {output:?}");
        }
    }
}

#[test]
fn a_function_that_is_not_in_the_package_is_refused() {
    let folder = with_function();
    folder.file("code/plain", 0o644, "#!/bin/sh\n");
    folder.file("code/crlf", 0o755, "#!/bin/sh\r\n");
    folder.file("code/package/index.py", 0o644, "");
    for (before, after, words) in [
        ("", " -- function none.handler", ["none.handler", "no file"]),
        ("", " -- function plain", ["plain", "chmod +x"]),
        ("", " -- function crlf.handler", ["crlf", "CR LF"]),
        ("", " -- command ./none", ["./none", "no file"]),
        ("", " -- command ./crlf", ["crlf", "CR LF"]),
        ("", " -- cgi ./none", ["./none", "no file"]),
        ("", " -- command lib/../none", ["none", "no file"]),
        ("--handler hello.handler ", "", ["hello.handler", "no file"]),
        (
            "--handler package.none.handler ",
            "",
            ["none.handler", "no file"],
        ),
    ] {
        for platform in ["fc", "lambda", "scf"] {
            let arguments = format!("--platform {platform} --code code {before}program{after}");
            folder.refuses(&arguments, &words);
        }
    }
    for (before, after) in [
        ("", ""),
        ("", " -- echo"),
        ("", " -- command cat"),
        ("", " -- command /opt/program"),
        ("", " -- function package.index.handler"),
        ("--handler bootstrap ", ""),
        ("--handler echo ", ""),
    ] {
        folder.packs(&format!(
            "--platform lambda --code code {before}short{after}"
        ));
    }
}

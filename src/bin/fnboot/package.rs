//! `fnboot package`: the archive that is uploaded.
//!
//! ```text
//! folder    what goes into the archive: files, links and empty folders, by name
//! program   whether the platform can start the program
//! function  what fnboot's own program is told to serve
//! archive   the bytes of the archive, and its file
//! ```
//! The same files give the same bytes: entries sorted, one timestamp, modes reduced to what matters.
//! What the platform would refuse or could not start is refused here, before anything is written.

mod archive;
mod folder;
mod function;
mod program;

use crate::function::{Function, Platform};
use crate::terminal::say;
use archive::{Archive, at};
use folder::Content;
use program::{Arch, Program};
use serde_json::Value;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const MIB: u64 = 1024 * 1024;

#[derive(Default)]
pub(crate) struct Options {
    /// The archive to write, where it is not `pkg/bootstrap.zip`.
    pub(crate) output: Option<PathBuf>,
    /// The program's name in the archive, where it is not the one that the platform starts.
    pub(crate) name: Option<String>,
    /// The machine that will run it, where it is not the program's.
    pub(crate) arch: Option<Arch>,
    /// More files or folders, as PATH or as NAME-IN-ARCHIVE=PATH.
    pub(crate) extra: Vec<String>,
    pub(crate) function: Function,
}

/// Packs what the options name.
///
/// # Errors
///
/// The platform could not take or start it, or a file cannot be read or written.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let platform = options.function.platform;
    // One name per archive: a second copy is fetched at every cold start.
    let name = options.name.as_deref().unwrap_or(platform.program_name());
    let name = &folder::inside(Path::new(name))?;
    let output = options.output.as_deref();
    let output = output.unwrap_or(Path::new("pkg/bootstrap.zip"));
    let mut entries = folder::collect(&options.function, &options.extra, output, name)?;
    let program = folder::started(&mut entries, name)?.read()?;
    let program = program::inspect(&program).map_err(at(name))?;
    program.check(platform, options.arch).map_err(at(name))?;
    if program.is_stock {
        function::check(&options.function, name, &entries)?;
    }
    let sizes = entries.values().map(|entry| entry.bytes);
    check_size(platform, UNPACKED, sizes)?;
    let mut archive = Archive::default();
    for (name, entry) in &entries {
        let content = entry.read()?;
        archive.add(name, entry.mode, &content).map_err(at(name))?;
    }
    let archive = archive.finish()?;
    check_size(platform, ARCHIVE, [archive.len() as u64])?;
    archive::write(output, &archive)?;
    for (name_inside, entry) in &entries {
        let note = match &entry.content {
            Content::Link(target) => format!(" -> {target}"),
            Content::File(_) if name_inside == name => format!(" ({program})"),
            _ => String::new(),
        };
        let (bytes, mode) = (entry.bytes, entry.mode & 0o777);
        let name = name_inside;
        say(format_args!("{bytes:>10} bytes  {mode:o}  {name}{note}"));
    }
    let (bytes, output) = (archive.len(), output.display());
    say(format_args!("{bytes:>10} bytes       {output}"));
    for setting in settings(options, name, &program) {
        say(format_args!("to be set on the function: {setting}"));
    }
    Ok(ExitCode::SUCCESS)
}

const ARCHIVE: &str = "the archive has";
const UNPACKED: &str = "what is unpacked has";

/// What may have how many bytes where, and what else there is: another way (`Ok`), or none for archives (`Err`).
type Limit<'a> = (Platform, &'a str, u64, Result<&'a str, &'a str>);

#[rustfmt::skip]
const LIMITS: [Limit<'static>; 6] = [
    // alibabacloud.com/help/functioncompute/fc-3-0/product-overview/limits-of-usage: both can be raised.
    (Platform::Fc, ARCHIVE, 500 * MIB, Ok("FC's quota must be raised")),
    (Platform::Fc, ARCHIVE, 100 * MIB, Ok("upload it by OSS, the console or `s`, not by the API in base64")),
    // docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html; "must be smaller than 262144000 bytes".
    (Platform::Lambda, UNPACKED, 250 * MIB - 1, Err("Lambda starts it from a container image only")),
    (Platform::Lambda, ARCHIVE, 50 * MIB, Ok("upload it by S3")),
    // cloud.tencent.com/document/product/583/11637, and 583/18581 for the API.
    (Platform::Scf, UNPACKED, 500 * MIB, Err("SCF starts it from a container image only")),
    (Platform::Scf, ARCHIVE, 20 * MIB, Ok("upload it by COS, not by the API")),
];

fn check_size(
    platform: Platform,
    what: &str,
    sizes: impl IntoIterator<Item = u64>,
) -> Result<(), String> {
    // Sparse files may have more than can be counted.
    let bytes = sizes.into_iter().fold(0, u64::saturating_add);
    let is_over = |(limited, measure, bytes_max, _): &&Limit| {
        limited.to_string() == platform.to_string() && *measure == what && bytes > *bytes_max
    };
    if let Some((.., bytes_max, remedy)) = LIMITS.iter().find(is_over) {
        let line = |remedy| format!("{what} {bytes} bytes, more than {bytes_max}: {remedy}");
        let line = line(remedy.map_err(line)?);
        say(format_args!("fnboot: warning: {line}"));
    }
    Ok(())
}

/// What the platform keeps beside the archive. Values of variables are secrets, as a rule.
fn settings(options: &Options, name: &str, program: &Program) -> Vec<String> {
    let function = &options.function;
    let is_fc = function.platform == Platform::Fc;
    let place = ["environment variables", "environmentVariables"][usize::from(is_fc)];
    let names = function.environment.iter();
    let names: Vec<_> = names.map(|(name, _)| name.to_string_lossy()).collect();
    let args = function.args.iter().map(|arg| arg.to_string_lossy());
    let args: Vec<String> = args.map(Into::into).collect();
    let has_args = !args.is_empty();
    let handler = function.handler.as_ref();
    let is_told = program.is_stock && (has_args || handler.is_some());
    let is_command = is_fc && (has_args || name != function.platform.program_name());
    let is_arm64 = program.arch.or(options.arch) == Some(Arch::Arm64);
    let settings = [
        // Who thinks of the function's language takes a runtime of that language, which starts no program.
        is_told.then(|| format!("runtime: {}", function.platform.runtime())),
        is_arm64.then(|| "Architectures: arm64".to_owned()),
        handler.map(|handler| format!("handler: {handler}")),
        is_command.then(|| format!("customRuntimeConfig.command: [\"/code/{name}\"]")),
        has_args.then(|| arguments(&args, function.platform, program)),
        (!names.is_empty()).then(|| format!("{place}: {}", names.join(", "))),
    ];
    settings.into_iter().flatten().collect()
}

/// How the platform gives the program its arguments. Lambda and SCF pass none.
fn arguments(args: &[String], platform: Platform, program: &Program) -> String {
    if platform == Platform::Fc {
        let quoted = args.iter().map(|arg| Value::from(&**arg).to_string());
        let quoted = quoted.collect::<Vec<_>>().join(", ");
        return format!("customRuntimeConfig.args: [{quoted}]");
    }
    if program.is_stock {
        return format!("environment variables: FNBOOT={}", function::quoted(args));
    }
    let (name, args) = (platform.program_name(), args.join(" "));
    format!("a start script, as {name}, with the arguments: {args}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Command, parse};
    use std::fs;
    use std::os::unix::fs::symlink;

    fn options(words: &str) -> Options {
        match parse(format!("fnboot package {words}").split(' ').map(Into::into)) {
            Ok(Command::Package(options)) => options,
            _ => panic!("{words}"),
        }
    }

    #[test]
    fn what_is_named_is_packed_and_never_replaced() {
        let folder = std::env::temp_dir().join(format!("fnboot-named-{}", std::process::id()));
        fs::create_dir_all(folder.join("code")).unwrap();
        for name in ["p", "q", "code/main"] {
            fs::write(folder.join(name), "#!/bin/sh\n").unwrap();
        }
        symlink("archive", folder.join("link")).unwrap();
        for (words, want) in [
            // The program is looked up in the folder first, and has one name in one spelling.
            ("-o ~/link --code ~/code --name lib//x main", "packed"),
            ("-o ~/p ~/p", "name another output"),
            ("-o ~/q ~/p ~/q", "name another output"),
        ] {
            let result = run(&options(&words.replace('~', folder.to_str().unwrap())));
            let shown = result.map_or_else(|error| error.to_string(), |_| "packed".to_owned());
            assert!(shown.contains(want), "{words}: {shown}");
        }
        assert!(folder.join("link").is_symlink());
        let archive = fs::read(folder.join("archive")).unwrap();
        assert!(archive.windows(5).any(|name| name == b"lib/x"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_the_platform_must_be_told() {
        let script = "a start script, as scf_bootstrap, with the arguments: a";
        for (words, want) in [
            ("p", ""),
            ("--platform lambda --arch arm64 p", "Architectures: arm64"),
            ("--name x p", r#"customRuntimeConfig.command: ["/code/x"]"#),
            ("p -- \u{1b}", r#"customRuntimeConfig.args: ["\u001b"]"#),
            ("--platform scf --web p -- a", script),
        ] {
            let options = options(words);
            let name = options.name.as_deref().unwrap_or("bootstrap");
            let told = settings(&options, name, &Program::default());
            assert_eq!(told.last().map_or("", String::as_str), want);
        }
    }

    #[test]
    fn sizes_have_limits() {
        for (platform, bytes_max) in [
            (Platform::Lambda, 262_143_999),
            (Platform::Scf, 500 * MIB),
            (Platform::ScfWeb, 500 * MIB),
        ] {
            let is_taken = |more| check_size(platform, UNPACKED, [bytes_max, more]).is_ok();
            assert!(is_taken(0) && !is_taken(1) && !is_taken(u64::MAX));
            // What is only warned of.
            assert!(check_size(platform, ARCHIVE, [bytes_max + 1]).is_ok());
        }
    }
}

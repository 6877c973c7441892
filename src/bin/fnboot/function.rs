//! What is deployed: a program and the settings that a platform keeps for it.

use crate::platform::Platform;
use clap::{Args, value_parser};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The part of the command line that `invoke` and `serve` share.
#[derive(Args)]
#[group(skip)]
pub(crate) struct Options {
    /// The platform to play
    #[arg(long, value_enum, default_value_t = Platform::Fc)]
    platform: Platform,
    /// The function's name, as the platform tells it to the program
    #[arg(long, value_name = "NAME", default_value = "function")]
    function: String,
    /// Memory size in MB, told to the program and shown; not enforced
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = value_parser!(u32).range(1..=32_768))]
    memory: u32,
    /// Seconds a call may take before the instance is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Seconds the program may take until it is ready [default: the platform's, or a few where it
    /// listens on another port]
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..=3_600))]
    start_timeout: Option<u64>,
    /// Calls that an instance takes at the same time; more wait. On Lambda: Managed Instances
    /// [default: 20 on FC, else 1]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=200))]
    concurrency: Option<u32>,
    /// FC: call the initializer once, before the first call
    #[arg(long)]
    init: bool,
    /// Lambda and SCF: the handler's name, told to the program as _HANDLER
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    #[arg(
        long,
        help = "Lambda: start as with SnapStart, a snapshot taken and restored after the start"
    )]
    snap_start: bool,
    /// The program and its arguments, usually pkg/bootstrap
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "PROGRAM"
    )]
    program: Vec<OsString>,
}

/// Whether the function has an initializer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Initializer {
    Absent,
    Present,
}

/// Whether an instance is a restored snapshot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Snapshot {
    None,
    Restored,
}

/// A deployed function. Invariant: `command` is not empty.
pub(crate) struct Function {
    pub(crate) platform: Platform,
    pub(crate) name: String,
    pub(crate) memory_mb: u32,
    pub(crate) timeout: Duration,
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) initializer: Initializer,
    pub(crate) handler: Option<String>,
    pub(crate) snapshot: Snapshot,
    command: Vec<OsString>,
}

impl From<Options> for Function {
    fn from(options: Options) -> Self {
        Self {
            platform: options.platform,
            name: options.function,
            memory_mb: options.memory,
            timeout: Duration::from_secs(options.timeout),
            start_timeout: options.start_timeout.map(Duration::from_secs),
            concurrency: options.concurrency,
            initializer: if options.init {
                Initializer::Present
            } else {
                Initializer::Absent
            },
            handler: options.handler,
            snapshot: if options.snap_start {
                Snapshot::Restored
            } else {
                Snapshot::None
            },
            command: options.program,
        }
    }
}

impl Function {
    /// Refuses settings that the platform does not have: none is dropped in silence.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let is_given_elsewhere =
            |is_given, platforms: &[Platform]| is_given && !platforms.contains(&self.platform);
        if is_given_elsewhere(self.initializer == Initializer::Present, &[Platform::Fc]) {
            return Err("--init is FC's: the runtime APIs have no initializer");
        }
        if is_given_elsewhere(self.snapshot == Snapshot::Restored, &[Platform::Lambda]) {
            return Err("--snap-start is Lambda's");
        }
        if is_given_elsewhere(self.handler.is_some(), &[Platform::Lambda, Platform::Scf]) {
            return Err("--handler means nothing to FC's custom runtimes");
        }
        if is_given_elsewhere(
            self.concurrency.is_some(),
            &[Platform::Fc, Platform::Lambda],
        ) {
            return Err("--concurrency: SCF's runtime API takes one event at a time");
        }
        Ok(())
    }

    /// The program's file: a path, or a word to look up in `PATH`. A bare word that names a file here
    /// is that file: a platform starts `bootstrap` from the package, not from `PATH`.
    pub(crate) fn program(&self) -> PathBuf {
        let word = Path::new(
            self.command
                .first()
                .map_or(OsStr::new(""), OsString::as_os_str),
        );
        if word.components().count() == 1 && word.is_file() {
            return Path::new(".").join(word);
        }
        word.to_path_buf()
    }

    pub(crate) fn args(&self) -> &[OsString] {
        self.command.get(1..).unwrap_or_default()
    }

    /// Whether the program goes by this name, also where another one starts it, as `env` does.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let mut words = self.command.iter().map(Path::new);
        words.any(|word| word.file_name() == Some(OsStr::new(name)))
    }

    /// The files that the command line names, as they are now.
    pub(crate) fn file_marks(&self) -> FileMarks {
        let args = self.args().iter().map(PathBuf::from);
        FileMarks(
            std::iter::once(self.program())
                .chain(args)
                .map(|path| mark(&path))
                .collect(),
        )
    }

    /// The package's root: where the program's file lies, or the current directory for one in `PATH`.
    pub(crate) fn code_path(&self) -> PathBuf {
        let program = self.program();
        let directory = match program.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        directory
            .canonicalize()
            .unwrap_or_else(|_| directory.to_path_buf())
    }
}

/// What tells one version of the function's files from the next.
pub(crate) struct FileMarks(Vec<Option<Mark>>);

/// Device, inode, bytes, and the time of the last change in seconds and nanoseconds.
type Mark = (u64, u64, u64, i64, i64);

impl FileMarks {
    /// A file that is gone is being replaced: not a new version yet.
    pub(crate) fn is_superseded_by(&self, newer: &Self) -> bool {
        self.0
            .iter()
            .zip(&newer.0)
            .any(|(old, new)| new.is_some() && old != new)
    }
}

/// None for what is not a file: a word, an option, a path that does not exist.
fn mark(path: &Path) -> Option<Mark> {
    let found = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
    ))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The function that a command line describes.
    pub(crate) fn function(options: &[&str]) -> Function {
        use clap::Parser;
        #[derive(Parser)]
        struct Cli {
            #[command(flatten)]
            function: Options,
        }
        let words = ["fnboot"].iter().chain(options).chain(&["./bootstrap"]);
        Cli::parse_from(words).function.into()
    }
}

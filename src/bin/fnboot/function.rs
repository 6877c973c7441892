//! What is deployed: a program, its folder, and the settings that a platform keeps for them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, DirEntry, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{self, Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// Whom the tool plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Platform {
    /// Alibaba Cloud Function Compute: the program is an HTTP server.
    #[default]
    Fc,
    /// AWS Lambda: the program polls.
    Lambda,
    /// Tencent Cloud Serverless Cloud Function: the program polls.
    Scf,
    /// A web function of SCF's: the program is an HTTP server.
    ScfWeb,
}

/// A deployed function. What the command line leaves out, `options` fills in.
#[derive(Default)]
pub(crate) struct Function {
    pub(crate) platform: Platform,
    /// As the platform tells it to the program.
    pub(crate) name: String,
    /// Told to the program and shown; not enforced.
    pub(crate) memory_mb: u32,
    /// How long a call may take before its instance is killed.
    pub(crate) timeout: Duration,
    /// How long the program may take until it is ready, where that is not the platform's own limit.
    pub(crate) start_timeout: Option<Duration>,
    /// Calls that an instance takes at the same time, where the settings say so.
    pub(crate) concurrency: Option<u32>,
    /// Most instances at the same time, where the settings say so.
    pub(crate) instances: Option<u32>,
    /// FC calls the initializer once, before the first call.
    pub(crate) has_initializer: bool,
    pub(crate) handler: Option<String>,
    /// Lambda's `SnapStart`: a snapshot is taken and restored after the start.
    pub(crate) is_snapshot: bool,
    /// The function's own variables: they win over the platform's.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The folder in which the program is started.
    pub(crate) code: Option<PathBuf>,
    /// As the command line has it; see [`Function::program`].
    pub(crate) program: Option<PathBuf>,
    pub(crate) args: Vec<OsString>,
}

impl Platform {
    /// The file that the platform starts.
    pub(crate) fn program_name(self) -> &'static str {
        match self {
            Self::ScfWeb => "scf_bootstrap",
            _ => "bootstrap",
        }
    }

    /// The runtime that starts such a file, by the platform's name.
    pub(crate) fn runtime(self) -> &'static str {
        match self {
            Self::Fc => "custom.debian12, or another custom one",
            Self::Lambda => "provided.al2023",
            Self::Scf => "CustomRuntime",
            Self::ScfWeb => "any, for a web function",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["FC", "Lambda", "SCF", "SCF"][*self as usize])
    }
}

impl FromStr for Platform {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "fc" => Ok(Self::Fc),
            "lambda" => Ok(Self::Lambda),
            "scf" => Ok(Self::Scf),
            _ => Err("fc, lambda or scf"),
        }
    }
}

impl Function {
    /// Refuses settings that the platform does not have, because none is dropped in silence, and a
    /// folder without a program.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_on = |platform| self.platform == platform;
        match &self.code {
            _ if self.has_initializer && !is_on(Platform::Fc) => {
                Err("--init is FC's: the runtime APIs have no initializer".to_owned())
            }
            _ if self.instances > Some(1) && is_on(Platform::ScfWeb) => {
                Err("--instances: SCF's web functions have one port, so there is one".to_owned())
            }
            _ if self.is_snapshot && !is_on(Platform::Lambda) => {
                Err("--snap-start is Lambda's".to_owned())
            }
            _ if self.concurrency.is_some() && is_on(Platform::Scf) => {
                Err("--concurrency: SCF's runtime API takes one event at a time".to_owned())
            }
            Some(folder) if !folder.is_dir() => {
                Err(format!("{} is not a folder", folder.display()))
            }
            Some(folder) if self.program.is_none() && !self.program().is_file() => Err(format!(
                "{} has no {}: name the program after the options",
                folder.display(),
                self.platform.program_name()
            )),
            _ => Ok(()),
        }
    }

    /// The program's file: a path, or a word to look up in `PATH`. A word that names a file in the
    /// code folder, or here, is that file: a platform starts `bootstrap` from the package, not from
    /// `PATH`.
    pub(crate) fn program(&self) -> PathBuf {
        let default = Path::new(self.platform.program_name());
        let word = self.program.as_deref().unwrap_or(default);
        let inside = self.code.as_ref().map(|folder| folder.join(word));
        let path = match inside {
            Some(inside) if self.program.is_none() || inside.is_file() => inside,
            _ if word.is_file() || word.components().count() > 1 => word.to_owned(),
            _ => return word.to_owned(),
        };
        // Its folder is not the one where it is started. Links stay: a link's own name may tell the
        // program what it is.
        path::absolute(&path).unwrap_or(path)
    }

    /// The program and its arguments: any of them may be a file.
    fn words(&self) -> impl Iterator<Item = PathBuf> {
        let args = self.args.iter().map(PathBuf::from);
        args.chain([self.program()])
    }

    /// Whether the program goes by this name, also where another one starts it, as `env` does.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let name = Some(OsStr::new(name));
        self.words().any(|word| word.file_name() == name)
    }

    /// The package's root: the code folder, else where the program's file lies, or the current
    /// directory for one in `PATH`, or one that is told where its function is, which was typed as seen from here.
    pub(crate) fn code_path(&self) -> PathBuf {
        let program = self.program();
        let beside = || program.parent().filter(|_| self.told_function().is_none());
        let folder = self.code.as_deref().or_else(beside);
        let folder = Path::new(".").join(folder.unwrap_or(Path::new("")));
        folder.canonicalize().unwrap_or(folder)
    }

    /// The function that fnboot's own program is told to serve: `function FILE.NAME`.
    pub(crate) fn told_function(&self) -> Option<&Path> {
        match &*self.args {
            [kind, word] if kind == "function" => Some(Path::new(word)),
            _ => None,
        }
    }

    /// The function's files, as they are now.
    pub(crate) fn files(&self) -> Files {
        let mut files = Files::default();
        files.named.extend(self.words());
        self.words().for_each(|path| files.add(path));
        if let Some(folder) = &self.code {
            // As `program` has it, so that both are the same path.
            files.add_folder(&path::absolute(folder).unwrap_or_else(|_| folder.clone()));
        } else if let Some(word) = self.told_function() {
            files.add_function(word);
        }
        files
    }
}

/// What tells one version of the function's files from the next.
#[derive(Default)]
pub(crate) struct Files {
    marks: BTreeMap<PathBuf, Mark>,
    /// What the command line names, whether it is a file or not.
    named: Vec<PathBuf>,
}

/// Device, inode, bytes, and the time of the last change.
type Mark = (u64, u64, u64, Option<SystemTime>);

impl Files {
    /// A file that changed, was added or is gone since. One that the command line names is being replaced
    /// while it is gone, so it is not a new version yet.
    pub(crate) fn changed_in<'a>(&'a self, newer: &'a Self) -> Option<&'a Path> {
        let mut files = newer.marks.iter();
        let changed = files.find(|(path, mark)| self.marks.get(*path) != Some(mark));
        let mut known = self.marks.keys().filter(|path| !self.named.contains(*path));
        let gone = || known.find(|path| !newer.marks.contains_key(*path));
        let changed = changed.map(|(path, _)| path).or_else(gone)?;
        Some(changed)
    }

    /// Adds what is a file: not a word, an option, or a path that does not exist.
    fn add(&mut self, path: PathBuf) {
        if let Some(found) = path.metadata().ok().filter(Metadata::is_file) {
            let time = found.modified().ok();
            let mark = (found.dev(), found.ino(), found.size(), time);
            self.marks.insert(path, mark);
        }
    }

    /// Adds the files that may have the function: what stands before the first dot is the name of all of them.
    fn add_function(&mut self, word: &Path) {
        let name = word.file_name().unwrap_or_default().as_encoded_bytes();
        let stem = name.split(|byte| *byte == b'.').next().unwrap_or_default();
        let folder = Path::new(".").join(word.parent().unwrap_or(Path::new("")));
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let rest = name.as_encoded_bytes().strip_prefix(stem);
            if rest.is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'.')) {
                self.add(entry.path());
            }
        }
    }

    /// Links to folders are not followed, because they may lead around in a circle.
    fn add_folder(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                _ if is_left_out(&entry) => {}
                Ok(kind) if kind.is_dir() => self.add_folder(&entry.path()),
                _ => self.add(entry.path()),
            }
        }
    }
}

/// What an editor, a version control or an interpreter keeps beside the code.
fn is_left_out(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    name.as_encoded_bytes().starts_with(b".") || name == "__pycache__"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_or_is_gone_is_a_new_version() {
        let folder = std::env::temp_dir().join(format!("fnboot-files-{}", std::process::id()));
        let file = folder.join("lib/a");
        fs::create_dir_all(folder.join("lib")).unwrap();
        fs::write(&file, "1").unwrap();
        let code = Some(folder.clone());
        let function = Function {
            code,
            ..Function::default()
        };
        let first = function.files();
        let check = |want| assert_eq!(first.changed_in(&function.files()), want);
        check(None);
        fs::write(&file, "12").unwrap();
        check(Some(&*file));
        fs::remove_file(&file).unwrap();
        check(Some(&*file));
        fs::write(folder.join(".hidden"), "").unwrap();
        fs::write(folder.join("bootstrap"), "").unwrap();
        let named = function.files();
        fs::remove_file(folder.join("bootstrap")).unwrap();
        assert_eq!(
            named.changed_in(&function.files()),
            None,
            "it is being built"
        );
        fs::remove_dir_all(folder).unwrap();
    }
}

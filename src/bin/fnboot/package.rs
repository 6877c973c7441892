//! `fnboot package`: the archive that is uploaded.
//!
//! The same files give the same bytes: entries sorted, one timestamp, modes reduced to what matters.
//! Unix permissions are kept, because a platform starts nothing that is not executable. Packing is
//! slow and small: the archive is what a cold start has to fetch.

use crate::platform::Platform;
use crate::terminal::say;
use clap::Args;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

const MODE_PROGRAM: u32 = 0o755;
const MODE_DATA: u32 = 0o644;

/// Work that packing a file may cost: its bytes times the passes over it.
const WORK_BYTES_MAX: u64 = 16 * 1024 * 1024;
const PASSES_MIN: u64 = 5;
const PASSES_MAX: u64 = 255;

/// The crate's compression levels above this one are a number of passes by Zopfli.
const LEVEL_BEFORE_PASSES: u64 = 9;

#[derive(Args)]
pub(crate) struct Options {
    /// The archive to write
    #[arg(short, long, value_name = "FILE", default_value = "pkg/bootstrap.zip")]
    output: PathBuf,
    /// The platform that will start it
    #[arg(long, value_enum, default_value_t = Platform::Fc)]
    platform: Platform,
    /// SCF: for a web function, which SCF starts by another name
    #[arg(long, conflicts_with = "name")]
    web: bool,
    /// The binary's name in the archive [default: the one that the platform starts]
    #[arg(long)]
    name: Option<String>,
    /// The program that the platform starts
    binary: PathBuf,
    /// More files or directories, as PATH or as NAME-IN-ARCHIVE=PATH
    #[arg(value_name = "EXTRA_FILE")]
    extra: Vec<String>,
}

/// What goes into the archive, by name; a sorted map, so that the order is no accident.
type Entries = BTreeMap<String, Entry>;

struct Entry {
    mode: u32,
    content: Vec<u8>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let name = name(options)?;
    let mut entries = Entries::new();
    add_file(&mut entries, name, &options.binary)?;
    if let Some(program) = entries.get_mut(name) {
        program.mode = MODE_PROGRAM;
    }
    for extra in &options.extra {
        let (name, path) = split_extra(extra)?;
        add(&mut entries, &name, &path)?;
    }
    let archive = pack(&entries)?;
    write(&options.output, &archive)?;
    for (name, entry) in &entries {
        say(format_args!(
            "{:>10} bytes  {:o}  {name}",
            entry.content.len(),
            entry.mode
        ));
    }
    say(format_args!(
        "{:>10} bytes       {}",
        archive.len(),
        options.output.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The file that the platform starts. SCF tells a web function from others by it; `bootstrap` takes the
/// same hint. One name per archive: a second copy is fetched at every cold start.
fn name(options: &Options) -> Result<&str, &'static str> {
    match (&options.name, options.platform) {
        (Some(name), _) => Ok(name),
        (None, Platform::Scf) if options.web => Ok("scf_bootstrap"),
        (None, _) if options.web => Err("--web is SCF's: on FC and Lambda the name is the same"),
        (None, _) => Ok("bootstrap"),
    }
}

fn pack(entries: &Entries) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, entry) in entries {
        archive.start_file(name.as_str(), file_options(entry))?;
        archive.write_all(&entry.content)?;
    }
    Ok(archive.finish()?.into_inner())
}

fn file_options(entry: &Entry) -> SimpleFileOptions {
    let bytes = entry.content.len().max(1);
    let passes = (WORK_BYTES_MAX / bytes as u64).clamp(PASSES_MIN, PASSES_MAX);
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(i64::try_from(LEVEL_BEFORE_PASSES + passes).ok())
        // In one piece: Zopfli does not look across the pieces it is given.
        .with_zopfli_buffer(Some(bytes + 1))
        // 1980-01-01, the format's first day.
        .last_modified_time(DateTime::default())
        .unix_permissions(entry.mode)
}

/// `NAME=PATH`, or a path that keeps its own last name.
fn split_extra(extra: &str) -> Result<(String, PathBuf), String> {
    if let Some((name, path)) = extra.split_once('=') {
        return Ok((name.to_owned(), path.into()));
    }
    let path = Path::new(extra);
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| format!("{extra}: say its name, as NAME={extra}"))?;
    Ok((name.to_owned(), path.to_path_buf()))
}

/// Adds a file, or a directory with all that it holds.
fn add(entries: &mut Entries, name: &str, path: &Path) -> Result<(), Box<dyn Error>> {
    if !path.is_dir() {
        return add_file(entries, name, path);
    }
    let children = fs::read_dir(path).map_err(|error| at(path, &error))?;
    for child in children {
        let child = child.map_err(|error| at(path, &error))?;
        let child_name = child.file_name();
        let child_name = child_name
            .to_str()
            .ok_or_else(|| at(&child.path(), &"not UTF-8"))?;
        add(entries, &format!("{name}/{child_name}"), &child.path())?;
    }
    Ok(())
}

fn add_file(entries: &mut Entries, name: &str, path: &Path) -> Result<(), Box<dyn Error>> {
    if !is_inside(name) {
        return Err(format!("{name:?} is not a name inside an archive").into());
    }
    let content = fs::read(path).map_err(|error| at(path, &error))?;
    let metadata = path.metadata().map_err(|error| at(path, &error))?;
    let is_executable = metadata.permissions().mode() & 0o111 != 0;
    let mode = if is_executable {
        MODE_PROGRAM
    } else {
        MODE_DATA
    };
    if entries
        .insert(name.to_owned(), Entry { mode, content })
        .is_some()
    {
        return Err(format!("{name} is given twice").into());
    }
    Ok(())
}

/// Plain names only: nothing absolute, nothing that climbs out.
fn is_inside(name: &str) -> bool {
    let mut parts = Path::new(name).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

fn write(path: &Path, archive: &[u8]) -> Result<(), String> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(|error| at(directory, &error))?;
    }
    fs::write(path, archive).map_err(|error| at(path, &error))
}

fn at(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        (0..2_000_u32).flat_map(|n| (n * n).to_le_bytes()).collect()
    }

    fn entries() -> Entries {
        let entry = |mode, content: &[u8]| Entry {
            mode,
            content: content.to_vec(),
        };
        Entries::from([
            ("lib/x.sh".to_owned(), entry(MODE_DATA, b"echo")),
            ("bootstrap".to_owned(), entry(MODE_PROGRAM, &sample())),
        ])
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        assert_eq!(pack(&entries()).unwrap(), pack(&entries()).unwrap());
    }

    #[test]
    fn an_archive_holds_contents_modes_and_order() {
        let packed = pack(&entries()).unwrap();
        let mut archive = zip::ZipArchive::new(Cursor::new(&packed)).unwrap();
        let names: Vec<_> = archive.file_names().map(str::to_owned).collect();
        assert_eq!(names, ["bootstrap", "lib/x.sh"]);
        let mut program = archive.by_name("bootstrap").unwrap();
        assert_eq!(program.unix_mode(), Some(0o100_755));
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut program, &mut content).unwrap();
        assert_eq!(content, sample());
    }

    #[test]
    fn one_entry_costs_only_what_the_format_demands() {
        let content = b"x".to_vec();
        let entries = Entries::from([(
            "bootstrap".to_owned(),
            Entry {
                mode: MODE_PROGRAM,
                content,
            },
        )]);
        // Local header 30, central header 46, end 22, the name twice, and the byte deflated.
        let overhead_bytes = 30 + 46 + 22 + 2 * "bootstrap".len();
        assert!(pack(&entries).unwrap().len() - overhead_bytes <= 16);
    }

    #[track_caller]
    fn check_name(words: &[&str], want: Result<&str, ()>) {
        use clap::Parser;
        #[derive(Parser)]
        struct Cli {
            #[command(flatten)]
            options: Options,
        }
        let words = ["fnboot"].iter().chain(words).chain(&["binary"]);
        let options = Cli::parse_from(words).options;
        assert_eq!(name(&options).map_err(drop), want);
    }

    #[test]
    fn platforms_start_by_name() {
        check_name(&[], Ok("bootstrap"));
        check_name(&["--platform", "lambda"], Ok("bootstrap"));
        check_name(&["--platform", "scf"], Ok("bootstrap"));
        check_name(&["--platform", "scf", "--web"], Ok("scf_bootstrap"));
        check_name(&["--platform", "lambda", "--web"], Err(()));
        check_name(&["--name", "x"], Ok("x"));
    }

    #[test]
    fn names_stay_inside() {
        for name in ["bootstrap", "lib/x.sh"] {
            assert!(is_inside(name), "{name}");
        }
        for name in ["", "/etc/passwd", "../x", "a/../../x"] {
            assert!(!is_inside(name), "{name}");
        }
    }

    #[test]
    fn extra_files_have_names() {
        assert_eq!(
            split_extra("a/b.sh").unwrap(),
            ("b.sh".to_owned(), "a/b.sh".into())
        );
        assert_eq!(
            split_extra("lib/b.sh=a/b.sh").unwrap(),
            ("lib/b.sh".to_owned(), "a/b.sh".into())
        );
        assert!(split_extra("..").is_err());
    }
}

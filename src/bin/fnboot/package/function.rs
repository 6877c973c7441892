//! What fnboot's own program is told to serve: whether the package has it, and how each platform tells it.

use super::archive::at;
use super::folder::{self, Entries};
use super::program;
use crate::function::Function;

/// What a function's file is looked for with, behind its name.
const EXTENSIONS: [&str; 7] = [".sh", ".php", ".py", ".js", ".mjs", ".cjs", ""];

/// Checks what the program is told to serve, unless it is something that the platform has.
///
/// # Errors
///
/// It is not in the package, or could not be started there.
pub(super) fn check(function: &Function, own: &str, entries: &Entries) -> Result<(), String> {
    let args = function.args.iter().map(|arg| arg.to_str().unwrap_or(""));
    let args: Vec<_> = args.collect();
    match (&*args, &function.handler.as_deref()) {
        (["function", word, ..], _) | ([], Some(word)) if !is_built_in(word, own) => {
            let named = files(word).find(|name| folder::file(entries, name).is_some());
            let missing = || format!("{word}: no file of the package has this function");
            check_file(&named.ok_or_else(missing)?, entries)
        }
        (["command" | "cgi", word, ..], _) if word.contains('/') && !word.starts_with('/') => {
            let name = word.strip_prefix("./").unwrap_or(word);
            let missing =
                || format!("{word}: no file of the package, which is where it is started");
            folder::file(entries, name).ok_or_else(missing)?;
            check_file(name, entries)
        }
        _ => Ok(()),
    }
}

/// Whether the name stands for the program itself, or is a place on the platform.
fn is_built_in(word: &str, own: &str) -> bool {
    matches!(word, "" | "echo") || word == own || word.starts_with('/')
}

/// The names that the file of a function may have. In Python a dot may be a folder.
fn files(word: &str) -> impl Iterator<Item = String> {
    let stems = word.rmatch_indices('.').map(|(dot, _)| &word[..dot]);
    let parted = stems.flat_map(|stem| {
        let in_folder = format!("{}.py", stem.replace('.', "/"));
        let beside = EXTENSIONS.map(|extension| format!("{stem}{extension}"));
        beside.into_iter().chain([in_folder])
    });
    [word.to_owned()].into_iter().chain(parted)
}

/// Whether the platform could start the file: an interpreter opens a script, the kernel starts the rest.
fn check_file(name: &str, entries: &Entries) -> Result<(), String> {
    let is_script = EXTENSIONS
        .iter()
        .any(|end| !end.is_empty() && name.ends_with(end));
    let Some(entry) = folder::file(entries, name).filter(|_| !is_script) else {
        return Ok(());
    };
    program::inspect(&entry.read()?).map_err(at(name))?;
    if !entry.is_executable() {
        return Err(format!("{name}: nobody may execute it: chmod +x"));
    }
    Ok(())
}

/// The words as the variable `FNBOOT` has them.
pub(super) fn quoted(args: &[String]) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=,+@%".contains(&byte);
    let words = args.iter().map(|arg| {
        if !arg.is_empty() && arg.bytes().all(is_plain) {
            return arg.clone();
        }
        format!("'{}'", arg.replace('\'', r"'\''"))
    });
    words.collect::<Vec<_>>().join(" ")
}

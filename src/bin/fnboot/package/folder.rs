//! What goes into the archive: files, links and empty folders, by their names in it.
//!
//! Links stay links, so each must lead to something in the package. Nothing but files is opened: a FIFO
//! would wait for its other end for ever.

use super::archive::at;
use crate::function::Function;
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

const MODE_PROGRAM: u32 = 0o100_755;
const MODE_FILE: u32 = 0o100_644;
const MODE_LINK: u32 = 0o120_777;
const MODE_FOLDER: u32 = 0o040_755;

/// As many as Linux follows: `path_resolution(7)`.
const LINKS_MAX: usize = 40;

/// A sorted map, so that the order is no accident.
pub(super) type Entries = BTreeMap<String, Entry>;

pub(super) struct Entry {
    pub(super) mode: u32,
    /// What it takes when it is unpacked.
    pub(super) bytes: u64,
    pub(super) content: Content,
}

pub(super) enum Content {
    File(PathBuf),
    /// Its target.
    Link(String),
    /// An empty one, whose name ends in a slash: the others are in the names of what they hold.
    Folder,
}

impl Entry {
    pub(super) fn read(&self) -> Result<Vec<u8>, String> {
        match &self.content {
            Content::File(path) => fs::read(path).map_err(at(path)),
            Content::Link(target) => Ok(target.clone().into_bytes()),
            Content::Folder => Ok(Vec::new()),
        }
    }

    pub(super) fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }
}

/// The function's program, as `name`, its folder, and the extra files; but not the archive of last time.
pub(super) fn collect(
    function: &Function,
    extra: &[String],
    output: &Path,
    name: &str,
) -> Result<Entries, String> {
    // By its name, and behind a link.
    let own = [output.metadata(), output.symlink_metadata()];
    let mut found = Found {
        entries: Entries::new(),
        own: own.iter().flatten().map(identity).collect(),
    };
    let code = function.code.as_deref();
    if let Some(code) = code {
        found.add_children(Path::new(""), code)?;
    }
    // PROGRAM may be left out beside a folder, so NAME=PATH is an extra file already.
    let program = function.program.as_deref();
    let first = program.filter(|_| code.is_some()).and_then(Path::to_str);
    let first = first.filter(|text| text.contains('='));
    if program.is_some() && first.is_none() {
        found.add_program(name, &function.program(), code)?;
    }
    for extra in first.into_iter().chain(extra.iter().map(String::as_str)) {
        let (name, path) = split_extra(extra)?;
        found.add(Path::new(name), Path::new(path))?;
    }
    let entries = found.entries;
    for (name, entry) in &entries {
        let mut above = name.match_indices('/').map(|(end, _)| &name[..end]);
        if let Some(above) = above.find(|above| entries.contains_key(*above)) {
            return Err(format!("{name} cannot lie in {above}, which is no folder"));
        }
        if let Content::Link(target) = &entry.content {
            let why = |why| format!("{name} is a link to {target}, {why}");
            follow(&entries, name, target).map_err(why)?;
        }
    }
    Ok(entries)
}

/// The file that is started by this name, behind links; it is executable from here on.
pub(super) fn started<'a>(entries: &'a mut Entries, name: &str) -> Result<&'a Entry, String> {
    let at = follow(entries, "", name).unwrap_or_default();
    let entry = entries.get_mut(&at);
    let entry = entry.filter(|entry| matches!(entry.content, Content::File(_)));
    let missing = || format!("no file is {name}, which the platform starts: name the PROGRAM");
    let entry = entry.ok_or_else(missing)?;
    entry.mode = MODE_PROGRAM;
    Ok(entry)
}

/// The file of this name, behind links.
pub(super) fn file<'a>(entries: &'a Entries, name: &str) -> Option<&'a Entry> {
    let entry = entries.get(&follow(entries, "", name).ok()?);
    entry.filter(|entry| matches!(entry.content, Content::File(_)))
}

struct Found {
    entries: Entries,
    own: Vec<(u64, u64)>,
}

impl Found {
    /// Adds a file, a link, or a folder with all that it holds.
    fn add(&mut self, name: &Path, path: &Path) -> Result<(), String> {
        let metadata = path.symlink_metadata().map_err(at(path))?;
        if self.own.contains(&identity(&metadata)) {
            Err(at(path)(
                "the archive would take its place: name another output",
            ))
        } else if metadata.is_dir() {
            self.add_children(name, path)
        } else if metadata.is_symlink() {
            let target = fs::read_link(path).map_err(at(path))?.into_os_string();
            let target = target.into_string().map_err(|_| "its target is not UTF-8");
            self.insert(name, &metadata, Content::Link(target.map_err(at(path))?))
        } else if metadata.is_file() {
            self.insert(name, &metadata, Content::File(path.to_owned()))
        } else {
            Err(at(path)("no file, link or folder, so it cannot be packed"))
        }
    }

    fn add_children(&mut self, name: &Path, path: &Path) -> Result<(), String> {
        let mut children = fs::read_dir(path).map_err(at(path))?.peekable();
        if children.peek().is_none() && !name.as_os_str().is_empty() {
            let metadata = path.metadata().map_err(at(path))?;
            return self.insert(name, &metadata, Content::Folder);
        }
        for child in children {
            let child = child.map_err(at(path))?;
            let metadata = child.metadata().map_err(at(path))?;
            // The archive of last time is not packed.
            if !self.own.contains(&identity(&metadata)) {
                self.add(&name.join(child.file_name()), &child.path())?;
            }
        }
        Ok(())
    }

    /// The program may be a link, because it is named by itself; and the folder may hold it already.
    fn add_program(&mut self, name: &str, path: &Path, code: Option<&Path>) -> Result<(), String> {
        let file = path.canonicalize().map_err(at(path))?;
        if !file.is_file() {
            return Err(at(path)("no file, so it cannot be packed as the program"));
        }
        match code.map(|code| code.join(name)) {
            Some(other) if self.entries.contains_key(name) => match other.canonicalize() {
                Ok(same) if same == file => Ok(()),
                _ => {
                    let (path, other) = (path.display(), other.display());
                    let why = "are two files for one name: leave one out";
                    Err(format!("{path} and {other} {why}"))
                }
            },
            _ => self.add(Path::new(name), &file),
        }
    }

    fn insert(&mut self, name: &Path, found: &Metadata, content: Content) -> Result<(), String> {
        let (mode, bytes, end) = match content {
            Content::Link(_) => (MODE_LINK, found.len(), ""),
            Content::Folder => (MODE_FOLDER, 0, "/"),
            Content::File(_) if found.mode() & 0o111 == 0 => (MODE_FILE, found.len(), ""),
            Content::File(_) => (MODE_PROGRAM, found.len(), ""),
        };
        let entry = Entry {
            mode,
            bytes,
            content,
        };
        match self.entries.insert(inside(name)? + end, entry) {
            Some(_) => Err(at(name)("it is given twice")),
            None => Ok(()),
        }
    }
}

/// What a file is, whatever it is called.
fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// `NAME=PATH`, or a path that keeps its own last name.
fn split_extra(extra: &str) -> Result<(&str, &str), String> {
    let own_name = || Some((Path::new(extra).file_name()?.to_str()?, extra));
    let split = extra.split_once('=').or_else(own_name);
    split.ok_or_else(|| format!("{extra}: say its name, as NAME={extra}"))
}

/// The name in its one spelling: nothing absolute, nothing that climbs out.
pub(super) fn inside(name: &Path) -> Result<String, String> {
    let parts = name.components().map(|part| match part {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    let parts = parts.collect::<Option<Vec<&str>>>();
    let parts = parts.filter(|parts| !parts.is_empty());
    let parts = parts.ok_or("not a name inside an archive, in UTF-8");
    Ok(parts.map_err(at(name))?.join("/"))
}

/// Where `link` leads by its `target`: the name of a file, of a folder, or of a link that leads in a circle.
/// An error ends the sentence that names the link.
fn follow(entries: &Entries, link: &str, target: &str) -> Result<String, &'static str> {
    const MISSING: &str = "which is not in the package: add it, or leave the link out";
    if target.starts_with('/') {
        return Err("an absolute path, which is another place on the platform: make it relative");
    }
    let mut at: Vec<&str> = link.split('/').collect();
    at.pop();
    let mut rest: Vec<&str> = target.rsplit('/').collect();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part {
            "" | "." => continue,
            ".." if at.pop().is_some() => continue,
            ".." => {
                return Err("which is outside of the package: put the file itself in its place");
            }
            _ => at.push(part),
        }
        let name = at.join("/");
        match entries.get(&name).map(|entry| &entry.content) {
            Some(Content::Link(target)) if links < LINKS_MAX => {
                links += 1;
                at.pop();
                rest.extend(target.rsplit('/'));
            }
            Some(_) if !rest.is_empty() => return Err(MISSING),
            None if !is_folder(entries, &name) => return Err(MISSING),
            _ => {}
        }
    }
    Ok(at.join("/"))
}

/// Whether names begin with this folder's.
fn is_folder(entries: &Entries, name: &str) -> bool {
    let start = format!("{name}/");
    let next = entries.range(start.clone()..).next();
    next.is_some_and(|(name, _)| name.starts_with(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_what_is_packed() {
        let links = [
            ("d/self", "."),
            ("d/up", "../d/sub"),
            ("x", "y"),
            ("y", "x"),
            ("z", "z/z"),
        ];
        let links = links.map(|(name, target)| (name, Content::Link(target.to_owned())));
        let files = ["bootstrap", "d/sub/file"].map(|name| (name, Content::File(name.into())));
        let mut found = Found {
            entries: Entries::new(),
            own: Vec::new(),
        };
        let metadata = Path::new(".").metadata().unwrap();
        let empty = [("empty", Content::Folder)];
        for (name, content) in links.into_iter().chain(files).chain(empty) {
            found.insert(Path::new(name), &metadata, content).unwrap();
        }
        for (link, target, want) in [
            ("l", "bootstrap", Some("bootstrap")),
            ("l", "./d//sub/", Some("d/sub")),
            ("d/l", "../bootstrap", Some("bootstrap")),
            ("d/sub/l", "../..", Some("")),
            ("l", "d/self/self/up/file", Some("d/sub/file")),
            ("l", "d/up", Some("d/sub")),
            ("l", "empty", Some("empty")),
            ("l", "x", Some("x")),
            ("l", "x/file", None),
            ("l", "z/z", None),
            ("l", "bootstrap/", None),
            ("l", "bootstrap/..", None),
            ("l", "d/su", None),
            ("l", "..", None),
            ("d/l", "../../d/sub", None),
            ("l", "/code/bootstrap", None),
        ] {
            let got = follow(&found.entries, link, target).ok();
            assert_eq!(got.as_deref(), want, "{link} -> {target}");
        }
    }

    #[test]
    fn names_stay_inside() {
        let inside = |name| inside(Path::new(name));
        assert_eq!(inside("lib//./x/").as_deref(), Ok("lib/x"));
        for name in ["", "/etc/passwd", "a/../../x", "./x"] {
            assert!(inside(name).is_err(), "{name}");
        }
        assert!(split_extra("..").is_err());
    }
}

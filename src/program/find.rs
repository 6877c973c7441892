//! Which file a function is in: `FILE.NAME`, as the platforms' own runtimes write it, or a file by its own
//! name.
//!
//! Nothing is opened here. Who asks says what there is at a path.

use core::ffi::CStr;

use crate::bytes::{self, Writer};
use crate::sys::strings::until_nul;

/// What there is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// No file: nothing, or a folder.
    None,
    /// A file that cannot be executed.
    Plain,
    Executable,
}

/// Who runs a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Shell,
    Php,
    Python,
    Node,
    /// The kernel: the file has no extension that is one of a language.
    None,
}

/// A function that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Root and file.
    pub path: &'a CStr,
    /// Empty where the file itself was named.
    pub name: &'a [u8],
    pub language: Language,
    pub file: File,
}

/// Why none was found: in `text`, `$` stands for the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad<'a> {
    pub text: &'static str,
    pub value: &'a [u8],
}

const NO_FILE: &str = "no file has the function '$'";
const UPWARDS: &str = "the path of the function '$' goes up";
const TOO_LONG: &str = "the path of the function '$' is too long";
const TWO: &str = "the function is in either of two files: $";

/// The folder that functions are in, which platforms name by these; `None` where there is no platform.
pub fn root(variable: impl Fn(&[u8]) -> Option<&'static [u8]>) -> Option<&'static [u8]> {
    const NAMES: &[u8] = b"LAMBDA_TASK_ROOT USER_CODE_ROOT FC_FUNC_CODE_PATH";
    let value = |name| variable(name).filter(|value| !value.is_empty());
    bytes::split(NAMES, b' ').find_map(value)
}

/// The file of the function `word`, which is named in `place`, where there is room for the path twice: below
/// `root`, unless it begins with a slash. A file of just that name comes first. Else the last dot parts file and
/// function, and the file is the one that has an extension besides, or that has none and can be executed. In
/// Python a dot is a folder, too (`package.module.function`), in Node.js a member of what the file exports
/// (`index.routes.handler`).
///
/// # Errors
/// There is no such file, or there are two, or the path goes up.
pub fn find<'a>(
    word: &'a [u8],
    root: &[u8],
    place: &'a mut [u8],
    look: impl Fn(&CStr) -> File,
) -> Result<Function<'a>, Bad<'a>> {
    let bad = |text| Bad { text, value: word };
    let (mut root, file) = match word {
        [b'/', file @ ..] => (&b""[..], file),
        _ => (root, word),
    };
    while let [before @ .., b'/'] = root {
        root = before;
    }
    let mut parts = file;
    while let Some(part) = bytes::take_part(&mut parts, b'/') {
        if part == b".." {
            return Err(bad(UPWARDS));
        }
    }
    let mut paths = Writer::new(place);
    let start = last(file, b'/').map_or(0, |slash| slash + 1);
    let mut end = file.len();
    loop {
        let stem = bytes::slice(file, 0..end);
        let name = file.get(end + 1..).unwrap_or_default();
        let is_exact = end == file.len();
        let is_member = bytes::has(name, b'.');
        let is_folder = bytes::has(bytes::slice(file, start..end), b'.');
        let (mut found, mut from) = (File::None, 0);
        let mut rest = EXTENSIONS;
        while let Some([mark, extension @ ..]) = bytes::take_part(&mut rest, b' ') {
            let is_it = match mark {
                b'*' if is_exact => true,
                _ if name.is_empty() => false,
                b'n' => true,
                b'/' => is_folder && !is_member,
                _ => !is_member,
            };
            if !is_it {
                continue;
            }
            paths.truncate(from);
            put(root, stem, *mark, extension, &mut paths);
            let end = paths.written().len();
            paths.put(b"\0");
            if paths.is_cut() {
                return Err(bad(TOO_LONG));
            }
            let path = paths.written();
            let file = look(until_nul(bytes::slice(path, from..path.len())));
            paths.truncate(end);
            if file == File::None || file == File::Plain && *mark == b'*' && !is_exact {
                continue;
            }
            if found != File::None {
                let (text, value) = (TWO, paths.finish());
                return Err(Bad { text, value });
            }
            found = file;
            paths.put(AND);
            from = paths.written().len();
        }
        if found != File::None {
            paths.truncate(from - AND.len());
            paths.put(b"\0");
            return Ok(function(until_nul(paths.finish()), name, found));
        }
        match last(stem, b'.') {
            Some(dot) if dot > start => end = dot,
            _ => {
                // Where it was looked for is what a user has to know most.
                paths.truncate(0);
                put(root, file, b'n', b"", &mut paths);
                let (text, value) = (NO_FILE, paths.finish());
                return Err(Bad { text, value });
            }
        }
    }
}

/// Between the paths of two files.
const AND: &[u8] = b" and ";

/// What a file is looked for with, each behind the mark of a language, or a slash: where a dot in its name is
/// a folder. Behind the star is nothing.
const EXTENSIONS: &[u8] = b"s.sh p.php y.py n.js n.mjs n.cjs /.py *";

/// Appends the path of a file.
#[inline(never)]
fn put(root: &[u8], stem: &[u8], mark: u8, extension: &[u8], path: &mut Writer<'_>) {
    path.put(root);
    path.put(b"/");
    let start = last(stem, b'/').unwrap_or(0);
    for (index, &byte) in stem.iter().enumerate() {
        let is_folder = mark == b'/' && byte == b'.' && index >= start;
        path.put(&[if is_folder { mark } else { byte }]);
    }
    path.put(extension);
}

fn function<'a>(path: &'a CStr, name: &'a [u8], file: File) -> Function<'a> {
    let mut rest = EXTENSIONS;
    let mut language = Language::None;
    while let Some([mark, extension @ ..]) = bytes::take_part(&mut rest, b' ') {
        if path.to_bytes().ends_with(extension) {
            language = match mark {
                b's' => Language::Shell,
                b'p' => Language::Php,
                b'y' => Language::Python,
                b'n' => Language::Node,
                _ => Language::None,
            };
            break;
        }
    }
    Function {
        path,
        name,
        language,
        file,
    }
}

/// Where the last byte is that is `mark`.
fn last(text: &[u8], mark: u8) -> Option<usize> {
    text.iter().rposition(|&byte| byte == mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    /// What is found for `word` among `files`, whose names have a `*` behind them if they can be executed:
    /// path, name and language, or what is wrong.
    fn found(word: &str, root: &str, files: &[&str]) -> Result<(String, String, Language), String> {
        let look = |path: &CStr| {
            let path = path.to_str().expect("text");
            let is = |file: &&&str| file.trim_end_matches('*') == path;
            match files.iter().find(is) {
                None => File::None,
                Some(file) if file.ends_with('*') => File::Executable,
                Some(_) => File::Plain,
            }
        };
        let mut place = [0; 128];
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        match find(word.as_bytes(), root.as_bytes(), &mut place, look) {
            Ok(function) => {
                let path = text(function.path.to_bytes());
                Ok((path, text(function.name), function.language))
            }
            Err(bad) => Err(bad.text.replace('$', &text(bad.value))),
        }
    }

    #[track_caller]
    fn check(word: &str, files: &[&str], want: (&str, &str, Language)) {
        let (path, name, language) = want;
        let want = (path.into(), name.into(), language);
        assert_eq!(found(word, "/code", files), Ok(want), "{word}");
    }

    #[track_caller]
    fn check_bad(word: &str, files: &[&str], want: &str) {
        assert_eq!(found(word, "/code", files), Err(want.into()), "{word}");
    }

    #[test]
    fn every_extension_has_its_language() {
        for (extension, language) in [
            (".sh", Language::Shell),
            (".php", Language::Php),
            (".py", Language::Python),
            (".js", Language::Node),
            (".mjs", Language::Node),
            (".cjs", Language::Node),
            ("*", Language::None),
        ] {
            let file = ["/code/index", extension].concat();
            let path = file.trim_end_matches('*');
            check("index.handler", &[&file], (path, "handler", language));
            let word = ["index", extension.trim_end_matches('*')].concat();
            check(&word, &[&file], (path, "", language));
        }
    }

    #[test]
    fn functions_in_folders() {
        let files = ["/code/src/app.php", "/code/v1.2/app.sh", "/code/a.b/c"];
        check("src/app.main", &files, (files[0], "main", Language::Php));
        check("v1.2/app.main", &files, (files[1], "main", Language::Shell));
        check("a.b/c", &files, (files[2], "", Language::None));
        check(
            "./src/app.main",
            &["/code/./src/app.php"],
            ("/code/./src/app.php", "main", Language::Php),
        );
        check_bad("a.b", &files, "no file has the function '/code/a.b'");
        check_bad(
            "v1.3/app",
            &files,
            "no file has the function '/code/v1.3/app'",
        );
    }

    #[test]
    fn dots_in_names() {
        let module = ["/code/package/module.py"];
        let want = (module[0], "function", Language::Python);
        check("package.module.function", &module, want);
        check("package/module.function", &module, want);
        let deep = ["/code/a/b/c/d.py"];
        check("a/b.c.d.f", &deep, (deep[0], "f", Language::Python));
        check_bad(
            "a.b/c.d.f",
            &deep,
            "no file has the function '/code/a.b/c.d.f'",
        );
        let literal = ["/code/index.min.js"];
        check("index.min.f", &literal, (literal[0], "f", Language::Node));
        // A member of what the file exports.
        let node = ["/code/index.mjs"];
        check("index.a.b.c", &node, (node[0], "a.b.c", Language::Node));
        for other in [
            "/code/index.sh",
            "/code/index.php",
            "/code/index.py",
            "/code/index*",
        ] {
            check_bad(
                "index.a.b",
                &[other],
                "no file has the function '/code/index.a.b'",
            );
        }
        check_bad(
            "package.module.a.b",
            &module,
            "no file has the function '/code/package.module.a.b'",
        );
        // The last dot that finds a file counts.
        let both = ["/code/a.js", "/code/a/b.py"];
        check("a.b.f", &both, (both[1], "f", Language::Python));
    }

    #[test]
    fn the_exact_file_comes_first() {
        let files = [
            "/code/index.js*",
            "/code/index.sh",
            "/code/index*",
            "/code/bootstrap*",
        ];
        check("index.js", &files, (&files[0][..14], "", Language::Node));
        check("bootstrap", &files, ("/code/bootstrap", "", Language::None));
        check(
            "plain",
            &["/code/plain"],
            ("/code/plain", "", Language::None),
        );
    }

    #[test]
    fn two_files_are_named() {
        let text = |two: &str| ["the function is in either of two files: ", two].concat();
        check_bad(
            "index.f",
            &["/code/index.cjs", "/code/index.sh"],
            &text("/code/index.sh and /code/index.cjs"),
        );
        check_bad(
            "index.f",
            &["/code/index.php", "/code/index*"],
            &text("/code/index.php and /code/index"),
        );
        check_bad(
            "a.b.f",
            &["/code/a.b.py", "/code/a/b.py"],
            &text("/code/a.b.py and /code/a/b.py"),
        );
        // A file without extension that cannot be executed is some other file.
        let data = ["/code/index.php", "/code/index"];
        check("index.f", &data, (data[0], "f", Language::Php));
    }

    #[test]
    fn no_path_goes_up() {
        let files = [
            "/code/a.sh",
            "/a.sh",
            "/codes/a.sh",
            "/code/../a.sh",
            "/code/b/../a.sh",
        ];
        for word in ["../a.f", "..", "b/../a.f", "b/..", "/code/../a.f", "/.."] {
            let want = ["the path of the function '", word, "' goes up"].concat();
            check_bad(word, &files, &want);
        }
        check(
            "a..f",
            &["/code/a..sh"],
            ("/code/a..sh", "f", Language::Shell),
        );
    }

    #[test]
    fn a_slash_in_front_needs_no_root() {
        let files = ["/code/a.sh", "/opt/a.php", "/a.py"];
        check("/code/a.f", &files, (files[0], "f", Language::Shell));
        check("/code/a.sh", &files, (files[0], "", Language::Shell));
        check("/opt/a.f", &files, (files[1], "f", Language::Php));
        check("/a.f", &files, (files[2], "f", Language::Python));
        check_bad("/", &files, "no file has the function '/'");
    }

    #[test]
    fn what_is_no_function() {
        for word in [
            "", ".", "a", "a.", ".f", "b/", "b/.f", "b.f", "...", "a.f.g",
        ] {
            let want = ["no file has the function '/code/", word, "'"].concat();
            check_bad(word, &["/code/a.sh", "/code/.sh", "/code/b/.sh"], &want);
        }
    }

    #[test]
    fn roots_end_as_they_like() {
        for (root, path) in [
            ("/code/", "/code/a.sh"),
            ("/code//", "/code/a.sh"),
            ("/", "/a.sh"),
            ("", "/a.sh"),
        ] {
            let want = Ok((path.into(), "f".into(), Language::Shell));
            assert_eq!(found("a.f", root, &[path]), want, "{root}");
            let word = path.replace(".sh", ".f");
            assert_eq!(found(&word, root, &[path]), want, "{root}");
        }
    }

    #[test]
    fn long_paths_are_refused() {
        // Twice the root, a slash and an extension instead of the name, what is between them, and a NUL.
        let longest = (128 - " and ".len() - 1) / 2 - "/code/.mjs".len() + ".f".len();
        for (len, is_long) in [(longest, false), (longest + 1, true), (4096, true)] {
            let word = ["x".repeat(len - 2), ".f".into()].concat();
            let file = ["/code/", &"x".repeat(len - 2), ".mjs"].concat();
            let got = found(&word, "/code", &[&file]);
            if is_long {
                let want = ["the path of the function '", &word, "' is too long"].concat();
                assert_eq!(got, Err(want));
            } else {
                assert_eq!(got.expect("a function").0, file);
            }
        }
    }

    #[test]
    fn the_first_root_counts() {
        let root_of = |set: &[(&str, &'static str)]| {
            root(|name| {
                let found = set.iter().find(|(other, _)| other.as_bytes() == name);
                found.map(|(_, value)| value.as_bytes())
            })
        };
        let fc = ("FC_FUNC_CODE_PATH", "/code/");
        let lambda = ("LAMBDA_TASK_ROOT", "/var/task");
        let scf = ("USER_CODE_ROOT", "/var/user/");
        assert_eq!(root_of(&[fc, scf, lambda]), Some(&b"/var/task"[..]));
        assert_eq!(
            root_of(&[fc, scf, ("LAMBDA_TASK_ROOT", "")]),
            Some(&b"/var/user/"[..])
        );
        assert_eq!(root_of(&[fc]), Some(&b"/code/"[..]));
        assert_eq!(root_of(&[]), None);
    }
}

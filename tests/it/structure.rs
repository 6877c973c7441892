//! The structure that the crate documents of itself, held by reading `src/`: who may name whom (the
//! table in `lib.rs`; the local tool has none, but no circles either), where `unsafe` and the C library
//! are, what ships; and by asking make what it would do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

type Names = BTreeSet<String>;

/// What each module may name, in the table's order.
type Table = Vec<(String, Names)>;

/// The code of a file, and its path from the folder of its crate.
type Source = (PathBuf, String);

/// 2026-11-27: promised, from 59.
const TOOL_CRATES_MAX: usize = 40;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source of the library and of `bootstrap`.
fn sources() -> Vec<Source> {
    sources_below("src")
}

/// Every source of the local tool, of which `main.rs` is the root.
fn tool_sources() -> Vec<Source> {
    let mut sources = sources_below("src/bin/fnboot");
    let root = sources
        .iter_mut()
        .find(|(path, _)| path.as_os_str() == "main.rs");
    root.expect("main.rs").0 = "lib.rs".into();
    sources
}

/// Every source below a folder, but for those of programs that have their own.
fn sources_below(crate_folder: &str) -> Vec<Source> {
    let crate_folder = root().join(crate_folder);
    let (mut folders, mut found) = (vec![crate_folder.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("src/bin") {
                folders.push(path);
            } else if path.is_file() {
                let text = fs::read_to_string(&path).expect("text");
                let path = path.strip_prefix(&crate_folder).expect("below it");
                found.push((path.to_owned(), code(&text)));
            }
        }
    }
    assert!(found.len() > 10, "found {} files", found.len());
    found
}

/// The text without comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("mod tests {").next().unwrap_or_default();
    let without_comment = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    let lines: Vec<String> = text.lines().map(without_comment).collect();
    lines.join("\n")
}

/// The top-level module that a file belongs to.
fn module(path: &Path) -> String {
    let first = path.components().next().expect("a name").as_os_str();
    let first = first.to_str().expect("text");
    first.trim_end_matches(".rs").to_owned()
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The names that follow `path` wherever it stands as a word of its own, also within braces.
fn names_after(code: &str, path: &str) -> Names {
    let mut names = Names::new();
    for (at, _) in code.match_indices(path) {
        // `$crate` is what a macro names in the user's program.
        if code[..at].ends_with(|c| is_name(c) || c == '$' || c == ':') {
            continue;
        }
        let rest = &code[at + path.len()..];
        let first = |item: &str| item.trim().split(|c| !is_name(c)).next().map(str::to_owned);
        match rest.strip_prefix('{') {
            Some(list) => names.extend(items(list).into_iter().filter_map(first)),
            None => names.extend(first(rest)),
        }
    }
    names.remove("");
    names
}

/// The items of a list up to its closing brace; what is in braces of its own belongs to its item.
fn items(list: &str) -> Vec<&str> {
    let (mut items, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    items
}

/// The table in the documentation of `lib.rs`.
fn table() -> Table {
    let text = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    let after_head = text
        .lines()
        .skip_while(|line| *line != "//! |---|---|---|---|");
    let rows = after_head
        .skip(1)
        .map_while(|line| line.strip_prefix("//! |"));
    let mut table = Table::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = cells[0].trim_matches(|c| !is_name(c)).to_owned();
        let words = cells[2].split(|c| !is_name(c));
        let mut may: Names = words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        if cells[2].starts_with("all above") {
            may.extend(table.iter().map(|(name, _)| name.clone()));
        }
        table.push((name, may));
    }
    assert!(table.len() > 8, "the table in lib.rs: {table:?}");
    table
}

/// Whatever a file names that its module may not.
fn names_above(sources: &[Source], table: &Table) -> Vec<String> {
    let table: BTreeMap<&String, &Names> = table.iter().map(|(name, may)| (name, may)).collect();
    let mut wrong = Vec::new();
    for (path, code) in sources {
        let module = module(path);
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(may) = table.get(&module) else {
            wrong.push(format!("`{module}` is not in the table of lib.rs"));
            continue;
        };
        let mut named = names_after(code, "crate::");
        // The same by another way: up to the root.
        let depth = path.components().count() - usize::from(path.ends_with("mod.rs"));
        named.extend(names_after(code, &"super::".repeat(depth)));
        // Crates are named by their own name.
        for name in ["httparse", "itoa", "libc", "std"] {
            if has_word(code, &format!("{name}::")) {
                named.insert(name.to_owned());
            }
        }
        for name in named.difference(may).filter(|name| **name != module) {
            wrong.push(format!("{} names `{name}`", path.display()));
        }
    }
    wrong
}

/// Whatever a module may name that stands below it in the table.
fn names_below(table: &Table) -> Vec<String> {
    let mut wrong = Vec::new();
    for (index, (name, may)) in table.iter().enumerate() {
        let below = &table[index..];
        for (other, _) in below.iter().filter(|(other, _)| may.contains(other)) {
            wrong.push(format!("`{name}` may name `{other}`, which is below it"));
        }
    }
    wrong
}

/// Whether `word` stands in `text`, not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let ends_as_name = word.ends_with(is_name);
    text.match_indices(word).any(|(at, _)| {
        let goes_on = text[at + word.len()..].starts_with(is_name);
        !(text[..at].ends_with(is_name) || ends_as_name && goes_on)
    })
}

/// The module that a file is, as a path from the root of the crate, which is the empty one.
fn module_path(path: &Path) -> String {
    let path = path.with_extension("");
    let names = path.iter().map(|name| name.to_str().expect("text"));
    let names: Vec<&str> = names
        .filter(|name| !["lib", "mod"].contains(name))
        .collect();
    names.join("::")
}

/// Every path that begins at `text`, its braces resolved: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(text: &str) -> Vec<String> {
    if let Some(list) = text.strip_prefix('{') {
        // Behind the last comma there is none.
        let items = items(list).into_iter().map(str::trim);
        let items = items.filter(|item| !item.is_empty());
        return items.flat_map(paths).collect();
    }
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match rest.strip_prefix("::") {
        Some(rest) if !name.is_empty() => {
            let rest = paths(rest);
            let join = |path: String| format!("{name}::{path}");
            rest.into_iter().map(join).collect()
        }
        _ => vec![name.to_owned()],
    }
}

/// The modules whose items a file names.
fn imports(module: &str, code: &str, modules: &Names) -> Names {
    let mut found = Names::new();
    let mut start = 0;
    // A path begins where a name does, and is not the end of another.
    while let Some(at) = code[start..].find("::").map(|at| start + at) {
        let name = code[..at]
            .rfind(|c| !is_name(c))
            .map_or(0, |before| before + 1);
        start = at + 2;
        if code[..name].ends_with(['$', ':']) {
            continue;
        }
        for path in paths(&code[name..]) {
            let mut names: Vec<&str> = path.split("::").collect();
            let mut from: Vec<&str> = module.split("::").filter(|name| !name.is_empty()).collect();
            match names[0] {
                "crate" => from.clear(),
                "super" => {
                    while names.first() == Some(&"super") {
                        from.pop();
                        names.remove(0);
                    }
                    names.insert(0, "");
                }
                _ => names.insert(0, ""),
            }
            from.extend(&names[1..]);
            // What is no module is an item of the last one that is, if need be of the root.
            let candidates = (0..=from.len()).rev().map(|len| from[..len].join("::"));
            found.extend({ candidates }.find(|path| modules.contains(path)));
        }
    }
    found.remove(module);
    found
}

/// A circle of modules that name each other, if there is one.
fn circle(sources: &[Source]) -> Option<Vec<String>> {
    let modules: Names = sources.iter().map(|(path, _)| module_path(path)).collect();
    let graph: BTreeMap<String, Names> = sources
        .iter()
        .map(|(path, code)| {
            let module = module_path(path);
            let imports = imports(&module, code, &modules);
            (module, imports)
        })
        .collect();
    let mut done = Names::new();
    let mut way = Vec::new();
    graph
        .keys()
        .find_map(|module| follow(module, &graph, &mut done, &mut way))
}

/// Goes on to all that `module` names; the way back to itself, if there is one.
fn follow(
    module: &str,
    graph: &BTreeMap<String, Names>,
    done: &mut Names,
    way: &mut Vec<String>,
) -> Option<Vec<String>> {
    if let Some(at) = way.iter().position(|other| other == module) {
        return Some(way[at..].to_vec());
    }
    if !done.insert(module.to_owned()) {
        return None;
    }
    way.push(module.to_owned());
    let found = graph[module]
        .iter()
        .find_map(|next| follow(next, graph, done, way));
    way.pop();
    found
}

/// Every line outside `sys` with `unsafe` or assembly in it, but for two of `main.rs`: the name of
/// its entry point, and that it hands its arguments on.
fn unsafe_lines(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, code) in sources.iter().filter(|(path, _)| module(path) != "sys") {
        for line in code.lines() {
            let is_entry = path.as_os_str() == "main.rs"
                && (line.trim() == "#[unsafe(no_mangle)]"
                    || line.contains("fnboot::Args::new(argc, argv)"));
            let is_fenced = ["unsafe", "asm!"].iter().any(|word| has_word(line, word))
                || line
                    .trim()
                    .trim_start_matches("pub ")
                    .starts_with("static mut ");
            if is_fenced && !is_entry {
                wrong.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    wrong
}

#[test]
fn modules_name_only_those_above_them() {
    let table = table();
    assert_eq!(names_above(&sources(), &table), [""; 0]);
    assert_eq!(names_below(&table), [""; 0]);
}

/// Whoever reads one file has to have read what it names, and never itself.
#[test]
fn no_modules_name_each_other() {
    assert_eq!(circle(&sources()), None, "library");
    assert_eq!(circle(&tool_sources()), None, "local tool");
    for (files, want) in [
        (
            [
                ("a.rs", "use crate::b::B;"),
                ("b.rs", "fn f() { crate::a::g() }"),
            ],
            true,
        ),
        (
            [
                ("a/mod.rs", "mod b; use b::B;"),
                ("a/b.rs", "use super::A;"),
            ],
            true,
        ),
        (
            [
                ("a/mod.rs", "use crate::{c::{d, e}};"),
                ("c/d.rs", "use super::super::a::A;"),
            ],
            true,
        ),
        (
            [
                ("a/b.rs", "use super::c::C;"),
                ("a/c.rs", "use super::{d, b::{self, B}};"),
            ],
            true,
        ),
        (
            [
                ("lib.rs", "mod a; fn main() { a::f() }"),
                ("a.rs", "use crate::{A, B};"),
            ],
            true,
        ),
        (
            [
                ("lib.rs", "mod a; fn main() { a::f() }"),
                ("a.rs", "use std::{fs,\n};"),
            ],
            false,
        ),
        (
            [
                ("a/mod.rs", "mod b; use crate::c::C;"),
                ("a/b.rs", "use super::A;"),
            ],
            false,
        ),
        (
            [
                ("a.rs", "use crate::b::B;"),
                ("b.rs", "$crate::a::A; other::a::A; Self::a(a::<A>())"),
            ],
            false,
        ),
    ] {
        let planted = files.map(|(path, code)| (PathBuf::from(path), code.to_owned()));
        assert_eq!(circle(&planted).is_some(), want, "{files:?}");
    }
}

#[test]
fn unsafe_stays_in_sys() {
    assert_eq!(unsafe_lines(&sources()), [""; 0]);
}

/// That these tests see what they are there for.
#[test]
fn planted_violations_are_found() {
    let table = table();
    for (path, code) in [
        ("http/planted.rs", "use crate::sys::clock;"),
        ("http/planted.rs", "use crate::{bytes, sys};"),
        ("http/planted.rs", "use crate::{bytes::{trim, has}, log};"),
        ("http/planted.rs", "use super::super::net::pool;"),
        ("http/mod.rs", "use super::runtime;"),
        (
            "bytes.rs",
            "fn now() -> u64 { crate::sys::clock::monotonic_ms() }",
        ),
        ("handler.rs", "use libc::read;"),
        ("platform/fc.rs", "use std::env;"),
        ("invented.rs", ""),
    ] {
        let planted = [(PathBuf::from(path), code.to_owned())];
        assert_eq!(names_above(&planted, &table).len(), 1, "{path}: {code}");
    }
    for (path, code) in [
        ("http/planted.rs", "use crate::bytes::{self, trim};"),
        (
            "runtime/planted.rs",
            "use super::super::{sys, net}; use super::Fatal;",
        ),
        ("log.rs", "macro_rules! m { () => { $crate::log_entry() } }"),
    ] {
        let fine = [(PathBuf::from(path), code.to_owned())];
        assert_eq!(names_above(&fine, &table), [""; 0], "{path}: {code}");
    }
    for code in [
        "let x = unsafe { *p };",
        "unsafe fn f() {}",
        "core::arch::asm!(\"nop\")",
        "static mut X: u8 = 0;",
        "#[unsafe(no_mangle)]",
    ] {
        let planted = [(PathBuf::from("runtime/planted.rs"), code.to_owned())];
        assert_eq!(unsafe_lines(&planted).len(), 1, "{code}");
    }
    let mut upside_down = table;
    upside_down.reverse();
    assert_ne!(names_below(&upside_down), [""; 0]);
}

/// The crates that fnboot is built with, as cargo itself sees them, each with its version.
fn crates(arguments: &[&str]) -> Names {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(root())
        .args(["tree", "--offline", "--locked"]);
    cargo
        .args(["--prefix=none", "--format={p}"])
        .args(arguments);
    let tree = cargo.output().expect("cargo tree");
    assert!(tree.status.success(), "{tree:?}");
    let tree = String::from_utf8(tree.stdout).expect("text");
    let words = tree
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>());
    let crates = words.filter(|words| words[0] != "fnboot");
    crates.map(|words| words.join(" ")).collect()
}

#[test]
fn three_crates_ship() {
    let crates = crates(&["--edges=normal"]);
    let names = crates.iter().filter_map(|name| name.split(' ').next());
    assert_eq!(names.collect::<Vec<_>>(), ["httparse", "itoa", "libc"]);
}

/// What a user's machine builds for the first `make invoke`.
#[test]
fn the_local_tool_needs_few_crates() {
    let crates = crates(&["--features=local", "--edges=normal,build"]);
    let count = crates.len();
    assert!(count <= TOOL_CRATES_MAX, "{count}: {crates:?}");
}

/// Cargo links build scripts for this machine, even where the program needs no C toolchain.
#[test]
fn no_target_runs_cargo_before_it_has_a_linker() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("Makefile");
    let phony = makefile.split(".PHONY:").nth(1).expect("targets");
    let phony = phony.split("\n\n").next().unwrap_or_default();
    let targets = phony.split_whitespace().filter(|word| *word != "\\");
    let mut run_cargo = 0;
    for target in targets.filter(|target| *target != "clean") {
        let mut make = Command::new("make");
        make.current_dir(root()).args(["--dry-run", target]);
        // Not what a make that runs this test was told.
        let plan = make.env_remove("MAKEFLAGS").output().expect("make");
        assert!(plan.status.success(), "{target}: {plan:?}");
        let plan = String::from_utf8(plan.stdout).expect("text");
        if let Some(position) = plan.find("cargo ") {
            run_cargo += 1;
            assert!(plan[..position].contains("command -v cc;"), "{target}");
        }
    }
    assert!(run_cargo > 15, "{run_cargo} targets run cargo");
}

//! The structure that the crate documents of itself, held by reading `src/`: who may name whom (the
//! table in `lib.rs`), where `unsafe` and the C library are, what is depended on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Names = BTreeSet<String>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source of the library and of `bootstrap`: its path from `src`, and its code.
fn sources() -> Vec<(PathBuf, String)> {
    let (mut folders, mut found) = (vec![root().join("src")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.ends_with("src/bin") {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).expect("text");
                let from_src = path.strip_prefix(root().join("src")).expect("below src");
                found.push((from_src.to_owned(), code(&text)));
            }
        }
    }
    assert!(found.len() > 20, "found {} files", found.len());
    found
}

/// The text without comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let without_comment = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text.lines()
        .map(without_comment)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The top-level module that a file belongs to.
fn module(path: &Path) -> String {
    let first = path.components().next().expect("a name").as_os_str();
    first
        .to_str()
        .expect("text")
        .trim_end_matches(".rs")
        .to_owned()
}

/// Whether a byte can stand in a name.
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
        let list = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let first = |item: &str| item.trim().split(|c| !is_name(c)).next().map(str::to_owned);
        match list {
            Some((list, _)) => names.extend(list.split(',').filter_map(first)),
            None => names.extend(first(rest)),
        }
    }
    names.remove("");
    names
}

/// The table in the documentation of `lib.rs`: what each module may name, in the table's order.
fn table() -> Vec<(String, Names)> {
    let text = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    let rows = text
        .lines()
        .skip_while(|line| *line != "//! |---|---|---|---|")
        .skip(1);
    let rows = rows.map_while(|line| line.strip_prefix("//! |"));
    let mut table: Vec<(String, Names)> = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = cells[0].trim_matches(|c| !is_name(c)).to_owned();
        let may = if cells[2] == "all above" {
            table.iter().map(|(name, _)| name.clone()).collect()
        } else {
            let words = cells[2]
                .split(|c| !is_name(c))
                .filter(|word| !word.is_empty());
            words.map(str::to_owned).collect()
        };
        table.push((name, may));
    }
    assert!(table.len() > 8, "the table in lib.rs: {table:?}");
    table
}

#[test]
fn modules_name_only_those_below() {
    let table: BTreeMap<String, Names> = table().into_iter().collect();
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let module = module(&path);
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(may) = table.get(&module) else {
            wrong.push(format!("`{module}` is not in the table of lib.rs"));
            continue;
        };
        let mut named = names_after(&code, "crate::");
        // The same by another way: up to the root.
        let depth = path.components().count() - usize::from(path.ends_with("mod.rs"));
        named.extend(names_after(&code, &"super::".repeat(depth)));
        for name in named.difference(may).filter(|name| **name != module) {
            wrong.push(format!("{} names `{name}`", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// In a table that is an order nobody can name whoever names him.
#[test]
fn the_table_is_an_order() {
    let table = table();
    for (index, (name, may)) in table.iter().enumerate() {
        let above = &table[..index];
        for other in may {
            let is_module = table.iter().any(|(name, _)| name == other);
            let is_above = above.iter().any(|(name, _)| name == other);
            assert!(
                is_above || !is_module,
                "`{name}` may name `{other}`, which is below it"
            );
        }
    }
}

/// A word of code, neither part of a longer one nor of an attribute that merely is spelt so.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_name) && !line[at + word.len()..].starts_with(is_name)
    })
}

/// The fence: `unsafe`, the C library and system calls are in `sys`. What a program's entry point is
/// called in is unsafe by its name alone; `main.rs` has one, and hands its arguments on.
#[test]
fn unsafe_and_libc_stay_in_sys() {
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        if module(&path) == "sys" {
            continue;
        }
        for line in code.lines() {
            let is_entry = line.trim() == "#[unsafe(no_mangle)]"
                || path.ends_with("main.rs") && line.contains("fnboot::Args::new(argc, argv)");
            let is_lint = line.contains("allow(unsafe_code") && path.ends_with("main.rs");
            let is_unsafe = has_word(line, "unsafe") && !is_entry;
            let is_allowed = has_word(line, "unsafe_code") && !is_lint;
            if is_unsafe || is_allowed || has_word(line, "libc") || has_word(line, "asm") {
                wrong.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `http` and `platform` are pure: nothing of the outside world can be named there.
#[test]
fn no_std_means_no_std() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    assert!(lib.contains("\n#![no_std]\n"), "unconditionally");
    for (path, code) in sources() {
        for word in ["alloc", "Box", "Vec", "String"] {
            let with_std = path.ends_with("guard.rs");
            let line = code.lines().find(|line| has_word(line, word) && !with_std);
            assert_eq!(line, None, "{}", path.display());
        }
    }
}

#[test]
fn few_crates_reach_the_binary() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let section = manifest
        .split("\n[dependencies]\n")
        .nth(1)
        .expect("dependencies");
    let section = section.split("\n[").next().expect("its end");
    let dependencies = section.lines().filter(|line| !line.starts_with('#'));
    let kept = dependencies.filter(|line| !line.contains("optional = true"));
    let names: Names = kept
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name.to_owned()))
        .collect();
    // Those of the table, and no others.
    let named: Names = table().into_iter().flat_map(|(_, may)| may).collect();
    let modules: Names = table().into_iter().map(|(name, _)| name).collect();
    let crates = ["httparse", "itoa", "libc"].map(str::to_owned);
    assert!(names.is_subset(&crates.into()), "{names:?}");
    assert!(
        names.is_subset(&named),
        "{names:?} are not all in the table"
    );
    assert!(names.is_disjoint(&modules));
}

//! Where results go: the terminal, `target/measure/NAME.md` and `NAME.json`; and, if `record`
//! allows it, the README and its pictures.

use std::fs;

use serde_json::{Value, json};

use super::{Outcome, machine, settings};

/// Shows and keeps the results of one measurement.
///
/// `rows` is one object per figure of the tables, with units in the names.
pub(crate) fn publish(name: &str, how: &str, markdown: &str, rows: &[Value]) -> Outcome<()> {
    let machine = machine::name();
    let markdown = format!("{how} {machine}.\n\n{markdown}");
    println!("\n{markdown}");
    let directory = settings::output()?;
    let table = directory.join(format!("{name}.md"));
    let figures = directory.join(format!("{name}.json"));
    fs::write(&table, markdown)?;
    let document = json!({ "measurement": name, "how": how, "machine": machine, "rows": rows });
    fs::write(&figures, serde_json::to_string_pretty(&document)? + "\n")?;
    println!("kept in {} and {}", table.display(), figures.display());
    Ok(())
}

/// Puts a table and how it came to be into the README, between the two comments that have this name.
pub(crate) fn show_in_readme(name: &str, how: &str, table: &str) -> Outcome<()> {
    let path = settings::root().join("README.md");
    let readme = fs::read_to_string(&path)?;
    let (begin, end) = (
        format!("<!-- {name}:begin -->\n"),
        format!("<!-- {name}:end -->"),
    );
    let parts = readme.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| format!("README.md has no place for {name}"))?;
    fs::write(
        &path,
        format!(
            "{before}{begin}\n{table}\n{how} {}.\n\n{end}{after}",
            machine::name()
        ),
    )?;
    println!("shown in {}", path.display());
    Ok(())
}

/// Puts the picture that was drawn under this name where the README shows it.
pub(crate) fn show_picture(name: &str) -> Outcome<()> {
    let path = settings::root()
        .join("benches")
        .join(name)
        .with_extension("svg");
    fs::copy(settings::output()?.join(name).with_extension("svg"), &path)?;
    println!("shown in {}", path.display());
    Ok(())
}

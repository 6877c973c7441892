//! Where results go: the terminal, `target/measure/NAME.md` and `NAME.json`.

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

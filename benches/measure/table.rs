//! Tables that read well on a terminal and are Markdown as they stand.

use std::fmt::Write;

use super::stats::{float, median_error_percent};

/// The first column is text, every other one figures.
pub(crate) struct Table {
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(ToString::to_string).collect(),
            rows: Vec::new(),
        }
    }

    /// The whole table, a newline at its end.
    pub(crate) fn markdown(&self) -> String {
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| self.width(column))
            .collect();
        let mut text = line(&self.head, &widths);
        let rule = |(column, width): (usize, &usize)| match column {
            0 => "-".repeat(width + 2),
            _ => "-".repeat(width + 1) + ":",
        };
        let rules: Vec<String> = widths.iter().enumerate().map(rule).collect();
        let _ = writeln!(text, "|{}|", rules.join("|")); // A String takes everything.
        for row in &self.rows {
            text += &line(row, &widths);
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let cells = self
            .rows
            .iter()
            .chain([&self.head])
            .filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
            .max(3)
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (column, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        let cell = if column == 0 {
            format!("| {cell:<width$} ")
        } else {
            format!("| {cell:>width$} ")
        };
        line += &cell;
    }
    line + "|\n"
}

/// A figure with as many digits as it can bear: 5.94, 62.1, 144,522.
pub(crate) fn figure(value: f64) -> String {
    match value {
        value if !value.is_finite() => String::new(),
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => grouped(&format!("{value:.0}")),
    }
}

/// A ratio.
pub(crate) fn ratio(value: f64) -> String {
    if value.is_finite() {
        format!("{value:.2}")
    } else {
        String::new()
    }
}

/// Digits with a comma before every third from the end.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How far a median is likely off, in percent.
pub(crate) fn error(values: &[f64]) -> String {
    match median_error_percent(values) {
        percent if percent.is_finite() => format!("{percent:.1}"),
        _ => String::new(),
    }
}

/// The size of a file, to a tenth of a KiB: 34.9 KiB.
pub(crate) fn size(bytes: u64) -> String {
    format!("{} KiB", tenths(kib(bytes)))
}

/// Bytes in KiB.
pub(crate) fn kib(bytes: u64) -> f64 {
    float(bytes) / 1024.0
}

/// A figure with one digit behind the point: 34.9, 4,356.0.
pub(crate) fn tenths(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.split_once('.') {
        Some((digits, tenth)) => format!("{}.{tenth}", grouped(digits)),
        None => text, // Not a number.
    }
}

/// Bytes as a person says them: 11 B, 4 KiB, 1 MiB.
pub(crate) fn bytes(bytes: usize) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => {
            format!("{} MiB", bytes >> 20)
        }
        bytes if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => {
            format!("{} KiB", bytes >> 10)
        }
        bytes => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_kib_to_a_tenth() {
        let rows = [
            (0, "0.0 KiB"),
            (2_883, "2.8 KiB"),
            (35_768, "34.9 KiB"),
            (225_687, "220.4 KiB"),
            (4_460_544, "4,356.0 KiB"),
            (1_048_575, "1,024.0 KiB"),
        ];
        for (bytes, want) in rows {
            assert_eq!(super::size(bytes), want, "{bytes} bytes");
        }
    }

    #[test]
    fn figures_have_the_digits_that_they_can_bear() {
        let rows = [
            (5.944, "5.94"),
            (9.995, "10.0"),
            (62.11, "62.1"),
            (99.95, "100"),
            (144_522.4, "144,522"),
            (f64::NAN, ""),
        ];
        for (value, want) in rows {
            assert_eq!(super::figure(value), want, "{value}");
        }
    }
}

//! Bar charts: one row per server, one column of bars per figure.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Outcome, settings};

const WIDTH: i32 = 960;
const MARGIN: i32 = 28;
const LABELS_WIDTH: i32 = 232;
const PANEL_GAP: i32 = 26;
/// Room for the figure behind the longest bar.
const FIGURE_WIDTH: i32 = 52;
const TOP: i32 = 112;
const ROW_HEIGHT: i32 = 32;
const BAR_HEIGHT: i32 = 18;

const INK: RGBColor = RGBColor(33, 37, 41);
const FAINT_INK: RGBColor = RGBColor(108, 117, 125);
const AXIS: RGBColor = RGBColor(206, 212, 218);
const OURS: RGBColor = RGBColor(224, 82, 6);
const THEIRS: RGBColor = RGBColor(143, 163, 184);
/// A floor is no server: it is drawn fainter.
const FLOORS: RGBColor = RGBColor(213, 220, 228);

/// How a row stands out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Ours,
    Floor,
    Peer,
}

/// One server: a figure for each panel that has one.
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) role: Role,
    pub(crate) values: Vec<Option<f64>>,
}

/// One column of bars.
pub(crate) struct Panel {
    pub(crate) heading: String,
    /// How the figure behind a bar is written.
    pub(crate) figure: fn(f64) -> String,
}

/// A whole picture.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) subtitle: &'a str,
    /// Every row has as many values.
    pub(crate) panels: Vec<Panel>,
    pub(crate) rows: Vec<Row>,
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

impl Chart<'_> {
    /// Draws to `target/measure/NAME.svg`; the shortest bar of the first panel on top.
    pub(crate) fn draw(mut self, name: &str) -> Outcome<()> {
        self.rows
            .sort_by(|one, other| key(one).total_cmp(&key(other)));
        let height = TOP + ROW_HEIGHT * i32::try_from(self.rows.len())? + MARGIN - 8;
        let path = settings::output()?.join(name).with_extension("svg");
        let size = (u32::try_from(WIDTH)?, u32::try_from(height)?);
        let canvas = SVGBackend::new(&path, size).into_drawing_area();
        canvas.fill(&WHITE)?;
        write(
            &canvas,
            self.title,
            (MARGIN, 34),
            21,
            (INK, HPos::Left, FontStyle::Bold),
        )?;
        write(
            &canvas,
            self.subtitle,
            (MARGIN, 60),
            13,
            (FAINT_INK, HPos::Left, FontStyle::Normal),
        )?;
        self.labels(&canvas)?;
        for panel in 0..self.panels.len() {
            self.panel(&canvas, panel)?;
        }
        canvas.present()?;
        println!("drawn to {}", path.display());
        Ok(())
    }

    fn labels(&self, canvas: &Canvas<'_>) -> Outcome<()> {
        for (row, middle) in self.rows.iter().zip(middles()) {
            let (color, weight) = match row.role {
                Role::Ours => (OURS, FontStyle::Bold),
                Role::Floor => (FAINT_INK, FontStyle::Normal),
                Role::Peer => (INK, FontStyle::Normal),
            };
            let end = (MARGIN + LABELS_WIDTH - 12, middle);
            write(canvas, &row.label, end, 14, (color, HPos::Right, weight))?;
        }
        Ok(())
    }

    fn panel(&self, canvas: &Canvas<'_>, panel: usize) -> Outcome<()> {
        let count = i32::try_from(self.panels.len())?;
        let room = WIDTH - 2 * MARGIN - LABELS_WIDTH - PANEL_GAP * (count - 1);
        let left = MARGIN + LABELS_WIDTH + i32::try_from(panel)? * (room / count + PANEL_GAP);
        let longest = room / count - FIGURE_WIDTH;
        let values = self.rows.iter().filter_map(|row| row.values[panel]);
        let largest = values.fold(f64::MIN_POSITIVE, f64::max);

        write(
            canvas,
            &self.panels[panel].heading,
            (left, TOP - 20),
            14,
            (INK, HPos::Left, FontStyle::Bold),
        )?;
        for (row, middle) in self.rows.iter().zip(middles()) {
            let Some(value) = row.values[panel] else {
                write(
                    canvas,
                    "–",
                    (left + 8, middle),
                    13,
                    (FAINT_INK, HPos::Left, FontStyle::Normal),
                )?;
                continue;
            };
            #[expect(clippy::cast_possible_truncation, reason = "a part of the longest bar")]
            let end = left + ((f64::from(longest) * value / largest) as i32).max(2);
            let (bar, ink, weight) = match row.role {
                Role::Ours => (OURS, OURS, FontStyle::Bold),
                Role::Floor => (FLOORS, FAINT_INK, FontStyle::Normal),
                Role::Peer => (THEIRS, INK, FontStyle::Normal),
            };
            let corners = [
                (left, middle - BAR_HEIGHT / 2),
                (end, middle + BAR_HEIGHT / 2),
            ];
            canvas.draw(&Rectangle::new(corners, bar.filled()))?;
            write(
                canvas,
                &(self.panels[panel].figure)(value),
                (end + 6, middle),
                13,
                (ink, HPos::Left, weight),
            )?;
        }
        let bottom = TOP + ROW_HEIGHT * i32::try_from(self.rows.len())?;
        canvas.draw(&PathElement::new([(left, TOP - 4), (left, bottom)], AXIS))?;
        Ok(())
    }
}

/// The middle of each row.
fn middles() -> impl Iterator<Item = i32> {
    (0..).map(|row| TOP + ROW_HEIGHT * row + ROW_HEIGHT / 2)
}

fn key(row: &Row) -> f64 {
    row.values.first().copied().flatten().unwrap_or(f64::MAX)
}

fn write(
    canvas: &Canvas<'_>,
    text: &str,
    at: (i32, i32),
    size: i32,
    (color, edge, weight): (RGBColor, HPos, FontStyle),
) -> Outcome<()> {
    let family = "Helvetica, Arial, sans-serif";
    // plotters takes a size for the height of a line, and writes what it thinks is the letters'.
    let line = f64::from(size) * 1.24;
    let style = TextStyle::from((family, line, weight).into_font())
        .color(&color)
        .pos(Pos::new(edge, VPos::Center));
    canvas.draw_text(text, &style, at)?;
    Ok(())
}

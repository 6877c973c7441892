//! Whether a run may be written into the README and the pictures: one of everything, on a machine
//! that was quiet.
//!
//! What a run found is shown and kept in `target/measure` in any case.

use super::machine::{self, Ticks};
use super::settings::{self, Amount};
use super::stats::{median, median_error_percent};
use super::{Outcome, process};

/// How far a median may be off: 2026-11-27, those of 60 undisturbed starts are by 4 % at most,
/// which is 2 % for the usual 200; next to builds those of 200 are by 9 %. The README compares
/// servers that are a tenth apart.
const MEDIAN_ERROR_PERCENT_MAX: f64 = 3.0;

/// How much of all processor time others may have: 2026-11-27, builds next to `make wrk` left it a
/// fifth of the calls per second, and moved the medians of processor times by less than a tenth.
const OTHERS_PERCENT_MAX: f64 = 5.0;

/// Something that is measured in every round, and shown as a median.
pub(crate) struct Figure {
    name: String,
    median: f64,
    error_percent: f64,
}

impl Figure {
    pub(crate) fn new(name: String, values: &[f64]) -> Self {
        Self {
            name,
            median: median(values),
            error_percent: median_error_percent(values),
        }
    }
}

/// Who watches a run, and says at its end whether it may be written.
pub(crate) struct Judge {
    changed: Vec<String>,
    missing: Vec<String>,
    writes_anyway: bool,
    began: Ticks,
}

impl Judge {
    /// Begins when everything is built; `missing` are the servers that could not be had.
    pub(crate) fn begin(missing: &[String], amounts: &[Amount]) -> Outcome<Self> {
        Ok(Self {
            changed: settings::changed(amounts)?,
            missing: missing.to_vec(),
            writes_anyway: settings::writes_anyway()?,
            began: machine::ticks()?,
        })
    }

    /// True if the figures, those that the README shows, may be written into it.
    ///
    /// A run that was asked to be another one than that of the README ends well without.
    ///
    /// # Errors
    /// The run was to be written, and must not be.
    pub(crate) fn is_for_readme(&self, figures: &[Figure]) -> Outcome<bool> {
        // With a real-time priority others had what was left over, and were in nobody's way.
        let others_percent = if process::is_real_time()? {
            0.0
        } else {
            machine::ticks()?.others_percent(self.began)
        };
        let doubts = doubts(&self.changed, &self.missing, figures, others_percent);
        for doubt in &doubts {
            eprintln!("not for the README: {doubt}");
        }
        if doubts.is_empty() {
            return Ok(true);
        }
        if self.writes_anyway {
            eprintln!("written all the same, as MEASURE_WRITE=anyway says");
            return Ok(true);
        }
        let left = "README.md and the pictures stay as they are; MEASURE_WRITE=anyway writes them";
        if self.changed.is_empty() {
            return Err(left.into());
        }
        eprintln!("{left}");
        Ok(false)
    }
}

/// Why a run is not written, one line each.
fn doubts(
    changed: &[String],
    missing: &[String],
    figures: &[Figure],
    others_percent: f64,
) -> Vec<String> {
    let mut doubts = Vec::new();
    if !changed.is_empty() {
        doubts.push(format!("this is a run of its own: {}", changed.join(", ")));
    }
    doubts.extend(missing.iter().map(|peer| format!("missing: {peer}")));
    doubts.extend(noise(figures));
    if others_percent > OTHERS_PERCENT_MAX {
        doubts.push(format!(
            "noisy: others had {others_percent:.1} % of all processor time meanwhile, \
             {OTHERS_PERCENT_MAX} % are the most"
        ));
    }
    doubts
}

/// What makes a run noisy: how many medians are too far off, and the worst.
fn noise(figures: &[Figure]) -> Option<String> {
    // Ratios to a server that was not measured are no figures.
    let known = figures.iter().filter(|figure| !figure.median.is_nan());
    let noisy = known
        .clone()
        .filter(|figure| figure.error_percent > MEDIAN_ERROR_PERCENT_MAX);
    let worst = noisy
        .clone()
        .max_by(|one, other| one.error_percent.total_cmp(&other.error_percent))?;
    if worst.error_percent.is_infinite() {
        return Some("too few rounds to tell how noisy they are".into());
    }
    Some(format!(
        "noisy: {} of {} medians are likely off by more than {MEDIAN_ERROR_PERCENT_MAX} %, the most \
         by {:.1} %: {}; more rounds make them surer",
        noisy.count(),
        known.count(),
        worst.error_percent,
        worst.name
    ))
}

#[cfg(test)]
mod tests {
    /// Judges a run of everything with these values of one figure.
    fn judged(values: &[f64]) -> Vec<String> {
        let steady = super::Figure::new("floor, CPU µs".into(), &[5.0; 7]);
        let figure = super::Figure::new("fnboot, CPU µs".into(), values);
        super::doubts(&[], &[], &[steady, figure], 0.0)
    }

    #[test]
    fn a_whole_and_quiet_run_is_written() {
        assert!(judged(&[8.0, 7.9, 8.1, 8.0, 8.2, 8.0, 7.8]).is_empty());
        let with_outlier = [8.0, 7.9, 8.1, 8.0, 8.2, 8.0, 80.0];
        assert!(judged(&with_outlier).is_empty());
    }

    #[test]
    fn a_noisy_run_says_which_median_is_off_and_by_how_much() {
        let want = "noisy: 1 of 2 medians are likely off by more than 3 %, the most by 8.8 %: \
                    fnboot, CPU µs; more rounds make them surer";
        assert_eq!(judged(&[8.0, 7.0, 9.0, 6.5, 9.5, 8.0, 7.5]), [want]);
    }

    #[test]
    fn few_rounds_tell_nothing() {
        let want = ["too few rounds to tell how noisy they are"];
        assert_eq!(judged(&[8.0]), want);
        assert_eq!(judged(&[8.0, 8.0, 8.0]), want);
    }

    #[test]
    fn a_ratio_to_a_server_that_is_not_there_is_no_noise() {
        let figure = super::Figure::new("fnboot, × floor".into(), &[]);
        assert!(super::doubts(&[], &[], &[figure], 0.0).is_empty());
    }

    #[test]
    fn a_run_that_is_not_whole_says_why() {
        let changed = ["MEASURE_ROUNDS".to_owned(), "MEASURE_SERVERS".to_owned()];
        let missing = ["Go net/http: no go".to_owned()];
        let want = [
            "this is a run of its own: MEASURE_ROUNDS, MEASURE_SERVERS",
            "missing: Go net/http: no go",
        ];
        assert_eq!(super::doubts(&changed, &missing, &[], 0.0), want);
    }

    #[test]
    fn others_that_had_processor_time_are_noise() {
        assert!(super::doubts(&[], &[], &[], 5.0).is_empty());
        let want = "noisy: others had 5.2 % of all processor time meanwhile, 5 % are the most";
        assert_eq!(super::doubts(&[], &[], &[], 5.2), [want]);
    }
}

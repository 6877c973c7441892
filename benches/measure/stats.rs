//! Sums of many rounds.

/// The middle value; the mean of the two in the middle if there is no middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 0 => f64::midpoint(sorted[half - 1], sorted[half]),
        _ => sorted[half],
    }
}

/// The smallest value that at least `percent` of all values do not exceed.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let sorted = sorted(values);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

/// Each value in times of the one that was measured side by side with it.
///
/// What disturbs the machine disturbs both sides of a pair, so the median of the ratios is steadier
/// than the ratio of two medians.
pub(crate) fn ratios(values: &[f64], to: &[f64]) -> Vec<f64> {
    values
        .iter()
        .zip(to)
        .map(|(value, to)| value / to)
        .collect()
}

/// How far the median is likely off, in percent of itself: its standard error.
///
/// That is `0.93 × IQR / √n` for values whose middle half is spread as that of a bell; the quarter
/// on either side does not count, so that a few disturbed rounds do no harm. Infinite for fewer
/// than four values, which tell nothing of a middle half.
pub(crate) fn median_error_percent(values: &[f64]) -> f64 {
    if values.len() < 4 {
        return f64::INFINITY;
    }
    let middle_half = percentile(values, 75) - percentile(values, 25);
    let count: f64 = values.iter().map(|_| 1.0).sum();
    0.93 * middle_half / count.sqrt() / median(values) * 100.0
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_median_is_in_the_middle() {
        assert!(super::median(&[]).is_nan());
        for (values, want) in [
            (&[3.0][..], "3"),
            (&[4.0, 1.0], "2.5"),
            (&[9.0, 1.0, 2.0], "2"),
        ] {
            assert_eq!(super::median(values).to_string(), want, "{values:?}");
        }
    }

    #[test]
    fn the_median_is_surer_with_a_narrow_middle_half_and_with_more_values() {
        let error = |values: &[f64]| format!("{:.1}", super::median_error_percent(values));
        let narrow = [100.0, 99.0, 101.0, 98.0, 102.0, 10.0, 900.0];
        let wide = [100.0, 80.0, 120.0, 70.0, 130.0, 10.0, 900.0];
        assert_eq!(error(&narrow), "1.4");
        assert_eq!(error(&wide), "21.1");
        assert_eq!(error(&wide.repeat(16)), "5.3");
        assert_eq!(error(&[100.0; 4]), "0.0");
        assert_eq!(error(&[100.0; 3]), "inf");
    }
}

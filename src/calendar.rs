//! Seconds since the Unix epoch as a date, for `Date` fields and log lines.

/// A moment of the Gregorian calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: u32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    /// 0 to 6, from Sunday.
    pub weekday: u32,
}

/// The calendar for `second` seconds since the Unix epoch.
///
/// Years are counted from 1 March, so that the leap day is the last of its year: then the day of
/// the year alone gives the month.
#[allow(
    clippy::cast_possible_truncation,
    reason = "days, for two million years to come"
)]
pub fn civil(second: u64) -> Civil {
    // 32 bits are enough, and divide faster.
    let (today, second) = ((second / 86_400) as u32, (second % 86_400) as u32);
    // C. Neri, L. Schneider, "Euclidean affine functions and their application to calendar
    // algorithms" (2022), figure 12: quarters of days since 1 March of year 0, in centuries, then
    // by one product in years, then in months.
    let quarters = 4 * (today + 719_468) + 3;
    let century = quarters / 146_097;
    let years = 2_939_745 * u64::from((quarters % 146_097) | 3);
    let day_of_year = years as u32 / 2_939_745 / 4;
    let months = 2_141 * day_of_year + 197_913;
    let is_next_year = u32::from(day_of_year >= 306);
    Civil {
        year: 100 * century + (years >> 32) as u32 + is_next_year,
        month: (months >> 16) - 12 * is_next_year,
        day: (months & 0xffff) / 2_141 + 1,
        hour: second / 3_600,
        minute: second / 60 % 60,
        second: second % 60,
        // 1 January 1970 was a Thursday.
        weekday: (today + 4) % 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every day of four centuries against a calendar that counts one day after the other.
    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..146_097 {
            let got = civil(days * 86_400);
            assert_eq!(
                (got.year, got.month, got.day),
                (year, month, day),
                "day {days}"
            );
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u32::from(is_leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}

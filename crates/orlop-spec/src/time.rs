//! Points in time as documents write them: RFC 3339, years 1 to 9999.
//!
//! Invariant: a [`Timestamp`] can be printed in RFC 3339; what cannot is no timestamp.

use crate::diagnose::{Diagnose, Fault, Kind};
use std::fmt;
use std::str::FromStr;

/// A point in time, in seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

/// 0001-01-01T00:00:00Z.
const FIRST: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;
const DAY: i64 = 86_400;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self { seconds: 0, nanoseconds: 0 };

    /// A point in time of the years 1 to 9999.
    pub fn new(seconds: i64, nanoseconds: u32) -> Result<Self, TimeError> {
        if !(FIRST..=LAST).contains(&seconds) || nanoseconds > 999_999_999 {
            return Err(TimeError::OutOfRange(seconds));
        }
        Ok(Self { seconds, nanoseconds })
    }

    /// Reads the value of `SOURCE_DATE_EPOCH`: decimal seconds since 1970.
    pub fn from_epoch(text: &str) -> Result<Self, TimeError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TimeError::NotSeconds(text.into()));
        }
        let seconds = text.parse().map_err(|_| TimeError::NotSeconds(text.into()))?;
        Self::new(seconds, 0)
    }

    /// Seconds since 1970; rounded down before it.
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after [`Timestamp::seconds`].
    pub fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.seconds.div_euclid(DAY));
        let second = self.seconds.rem_euclid(DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if self.nanoseconds > 0 {
            write!(out, ".{}", format!("{:09}", self.nanoseconds).trim_end_matches('0'))?;
        }
        out.write_str("Z")
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// RFC 3339, section 5.6. More than nine digits of a second are cut; a leap second is the second before it.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let (seconds, nanoseconds) = parse(text).ok_or_else(|| TimeError::NotRfc3339(text.into()))?;
        Self::new(seconds, nanoseconds)
    }
}

fn parse(text: &str) -> Option<(i64, u32)> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let (nanoseconds, zone) = match rest.strip_prefix('.') {
        Some(rest) => fraction(rest)?,
        None => (0, rest),
    };
    let in_range =
        (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day) && hour < 24 && minute < 60;
    if !in_range || second > 60 {
        return None;
    }
    let seconds = days_to(year, month, day) * DAY + hour * 3600 + minute * 60 + second.min(59);
    Some((seconds - offset(zone)?, nanoseconds))
}

/// Three decimal numbers of fixed widths.
fn numbers(text: &str, mark: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(mark);
    let mut numbers = [0; 3];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width)?;
        *number = decimal(part)?;
    }
    parts.next().is_none().then_some(numbers)
}

fn decimal(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn fraction(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, zone) = text.split_at(digits);
    let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
    (!digits.is_empty()).then(|| nine.parse().ok().map(|nanoseconds| (nanoseconds, zone))).flatten()
}

/// Seconds that the zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let (hour, minute) =
        clock.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2)?;
    let (hour, minute) = (decimal(hour)?, decimal(minute)?);
    (hour < 24 && minute < 60).then_some(sign * (hour * 3600 + minute * 60))
}

/// Days of the Gregorian calendar between 1 March of the year 0 and 1 January 1970.
const MARCH_TO_EPOCH: i64 = 719_468;
/// Days of 400 years.
const CYCLE: i64 = 146_097;

/// Days from 1970 to a date. Years begin in March here, so that the leap day is the last one.
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let year_of_cycle = year.rem_euclid(400);
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    year.div_euclid(400) * CYCLE + day_of_cycle - MARCH_TO_EPOCH
}

/// The inverse of [`days_to`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + MARCH_TO_EPOCH;
    let day_of_cycle = days.rem_euclid(CYCLE);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / (CYCLE - 1)) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (days.div_euclid(CYCLE) * 400 + year_of_cycle + next_year, month, day)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Why something is no point in time of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not `YYYY-MM-DDThh:mm:ssZ` or its like.
    #[error("{0:?} is no time as RFC 3339 writes it")]
    NotRfc3339(Box<str>),
    /// Not a decimal number of seconds.
    #[error("{0:?} is no number of seconds since 1970")]
    NotSeconds(Box<str>),
    /// Before the year 1 or after the year 9999.
    #[error("{0} seconds since 1970 are outside of the years 1 to 9999")]
    OutOfRange(i64),
}

impl Diagnose for TimeError {
    fn kind(&self) -> Kind {
        Kind::Usage
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotRfc3339(_) => Some("write it like 2024-02-29T12:00:00Z".into()),
            Self::NotSeconds(_) | Self::OutOfRange(_) => None,
        }
    }
}

impl From<TimeError> for Fault {
    fn from(error: TimeError) -> Self {
        Self::new(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times_are_printed_and_read() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (1_700_000_000, 500_000_000, "2023-11-14T22:13:20.5Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000000001Z"),
            (-1, 0, "1969-12-31T23:59:59Z"),
            (-2_203_891_200, 0, "1900-03-01T00:00:00Z"),
            (FIRST, 0, "0001-01-01T00:00:00Z"),
            (LAST, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
        ] {
            let time = Timestamp::new(seconds, nanoseconds).expect(text);
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse(), Ok(time));
        }
    }

    #[test]
    fn zones_and_fractions_are_understood() {
        let at = |text: &str| text.parse::<Timestamp>().expect(text).to_string();
        assert_eq!(at("2024-02-29T23:30:00-01:00"), "2024-03-01T00:30:00Z");
        assert_eq!(at("2024-01-01t00:00:00.1234567899+05:30"), "2023-12-31T18:30:00.123456789Z");
        assert_eq!(at("2016-12-31T23:59:60Z"), "2016-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:61Z",
            "2024-01-01T00:00:00",
            "2024-01-01",
            "24-01-01T00:00:00Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+1:00",
            "2024-01-01T00:00:00Zx",
            "+024-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "0000-01-01T00:00:00Z",
            "é024-01-01T00:00:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        for text in ["", "-", "1e9", " 1", "+1", "0x1", "99999999999999999999", "253402300800"] {
            assert!(Timestamp::from_epoch(text).is_err(), "{text}");
        }
        assert_eq!(Timestamp::from_epoch("-5").map(Timestamp::seconds), Ok(-5));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_the_same(seconds in FIRST..=LAST, nanoseconds in 0..1_000_000_000_u32) {
            let time = Timestamp::new(seconds, nanoseconds).expect("in range");
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}

//! `Retry-After`: when to come back (RFC 9110, section 10.2.3), in seconds or as a date of section 5.6.7.

use super::decimal;
use crate::time::Timestamp;
use crate::wire::Headers;
use std::time::Duration;

/// How long to wait, seen from `now`; a date that has passed is no wait. The caller caps it.
pub fn retry_after(headers: &Headers, now: Timestamp) -> Option<Duration> {
    let value = headers.get("Retry-After")?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(decimal(value).unwrap_or(u64::MAX)));
    }
    let seconds = date(value, now)?.seconds().saturating_sub(now.seconds());
    Some(Duration::from_secs(seconds.try_into().unwrap_or(0)))
}

/// The three forms: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
fn date(text: &str, now: Timestamp) -> Option<Timestamp> {
    let words: Vec<&str> = text.split([' ', '-']).filter(|word| !word.is_empty()).take(7).collect();
    let ([_, day, month, year, clock, "GMT" | "UTC"] | [_, month, day, clock, year]) = words[..] else {
        return None;
    };
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? + 1;
    let (day, year) = (decimal(day)?, decimal(year).map(|year| whole_year(year, now))?);
    format!("{year:04}-{month:02}-{day:02}T{clock}Z").parse().ok()
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Two digits mean the year that is nearest to now.
fn whole_year(year: u64, now: Timestamp) -> u64 {
    if year >= 100 {
        return year;
    }
    let this: u64 = now.to_string()[..4].parse().unwrap_or(1970);
    let guess = this / 100 * 100 + year;
    match guess {
        guess if guess > this + 50 => guess - 100,
        guess if guess + 50 < this => guess + 100,
        guess => guess,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(value: &str, now: &str) -> Option<u64> {
        let mut headers = Headers::default();
        assert!(headers.add("Retry-After", value), "{value}");
        retry_after(&headers, now.parse().expect(now)).map(|wait| wait.as_secs())
    }

    #[test]
    fn item_213_retry_after_is_seconds_or_a_date() {
        let now = "1994-11-06T08:49:30Z";
        for (value, seconds) in [
            ("120", 120),
            ("0", 0),
            ("99999999999999999999", u64::MAX),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 7),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 7),
            ("Sun Nov  6 08:49:37 1994", 7),
            ("Sun, 06 Nov 1994 08:49:00 GMT", 0),
        ] {
            assert_eq!(wait(value, now), Some(seconds), "{value}");
        }
        assert_eq!(wait("Monday, 01-Jan-01 00:00:01 GMT", "1999-12-31T23:59:59Z"), Some(31_622_402));
    }

    #[test]
    fn item_213_what_is_neither_is_none() {
        for value in ["", "-1", "1.5", "soon", "Sun, 31 Feb 1994 08:49:37 GMT", "a b c d e f g h", "1e3"] {
            assert_eq!(wait(value, "1994-11-06T08:49:30Z"), None, "{value}");
        }
    }
}

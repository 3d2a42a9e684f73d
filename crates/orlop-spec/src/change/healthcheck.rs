//! `HEALTHCHECK [OPTIONS] CMD command` and `HEALTHCHECK NONE`.

use super::{ChangeError, strings};
use crate::config::Healthcheck;

impl Healthcheck {
    /// Parses what follows the word `HEALTHCHECK`.
    pub fn parse(text: &str) -> Result<Self, ChangeError> {
        let mut check = Self::default();
        let mut rest = text.trim();
        while let Some(option) = rest.strip_prefix("--") {
            let (option, after) = option.split_once(char::is_whitespace).unwrap_or((option, ""));
            check.option(option)?;
            rest = after.trim_start();
        }
        let (form, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let command = command.trim();
        check.test = match &*form.to_ascii_uppercase() {
            "NONE" if command.is_empty() && check == Self::default() => vec!["NONE".into()],
            "CMD" if !command.is_empty() => match strings(command)? {
                Some(words) => std::iter::once("CMD".into()).chain(words).collect(),
                None => vec!["CMD-SHELL".into(), command.into()],
            },
            _ => return Err(ChangeError::BadHealthcheck(text.into())),
        };
        if check.test.len() < 2 && &*check.test[0] != "NONE" {
            return Err(ChangeError::BadHealthcheck(text.into()));
        }
        Ok(check)
    }

    fn option(&mut self, option: &str) -> Result<(), ChangeError> {
        let bad = || ChangeError::BadHealthcheckOption(format!("--{option}").into());
        let (name, value) = option.split_once('=').ok_or_else(bad)?;
        let field = match name {
            "interval" => &mut self.interval,
            "timeout" => &mut self.timeout,
            "start-period" => &mut self.start_period,
            "start-interval" => &mut self.start_interval,
            "retries" => {
                self.retries = Some(value.parse().ok().filter(|count| *count >= 0).ok_or_else(bad)?);
                return Ok(());
            }
            _ => return Err(bad()),
        };
        *field = Some(nanoseconds(value).filter(|time| *time == 0 || *time >= MILLISECOND).ok_or_else(bad)?);
        Ok(())
    }
}

const MILLISECOND: i64 = 1_000_000;
const UNITS: [(&str, i128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A length of time as Go writes it: `1m30s`, `0.5h`, `0`.
fn nanoseconds(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut total) = (text, 0_i128);
    while !rest.is_empty() {
        let number = rest.find(|character: char| !(character.is_ascii_digit() || character == '.'))?;
        let (digits, after) = rest.split_at(number);
        let unit_end = after
            .find(|character: char| character.is_ascii_digit() || character == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if digits.len() > 18 || (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        total += digits * unit / 10_i128.pow(u32::try_from(fraction.len()).ok()?);
        rest = after;
    }
    i64::try_from(total).ok().filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_those_of_go() {
        for (text, expected) in [
            ("0", 0),
            ("1ns", 1),
            ("1.5s", 1_500_000_000),
            ("1m30s", 90_000_000_000),
            (".5h", 1_800_000_000_000),
            ("2\u{b5}s", 2_000),
            ("1h0.001s", 3_600_001_000_000),
        ] {
            assert_eq!(nanoseconds(text), Some(expected), "{text}");
        }
        for text in ["", "1", "s", "-1s", "1x", "1.2.3s", ".s", "9999999999999999h", "1e3s"] {
            assert_eq!(nanoseconds(text), None, "{text}");
        }
    }
}

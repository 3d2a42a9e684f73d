//! What a container may use up (runtime-spec, `config-linux.md`, "Control groups").

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::str::FromStr;

/// What a container may use up; nothing is limited where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Time on processors.
    pub cpus: Option<Cpus>,
}

/// Time on processors, in microseconds of each tenth of a second: half a processor is 50 000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpus(u64);

/// Microseconds.
const PERIOD: u64 = 100_000;
/// The kernel refuses less than a millisecond.
const LEAST: u64 = 1000;
/// More processors than any machine has.
const MOST: u64 = 1 << 20;

impl FromStr for Cpus {
    type Err = &'static str;

    /// A number of processors, such as `2`, `0.5` or `.25`; no more than three places count.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NONE: &str = "a number of processors, such as 1.5, is wanted";
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if text.is_empty() || text == "." || !digits(whole) || !digits(part) || part.len() > 3 {
            return Err(NONE);
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| NONE)? };
        let thousandths: u64 = format!("{part:0<3}").parse().map_err(|_| NONE)?;
        let quota = whole.min(MOST) * PERIOD + thousandths * (PERIOD / 1000);
        if quota < LEAST { Err("less than 0.01 of a processor cannot be given") } else { Ok(Self(quota)) }
    }
}

impl Resources {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the limits to the resources of a config.
    pub(super) fn add_to(self, resources: &mut Value) {
        if let Some(memory) = self.memory {
            resources["memory"] = json!({ "limit": memory });
        }
        if let Some(Cpus(quota)) = self.cpus {
            resources["cpu"] = json!({ "quota": quota, "period": PERIOD });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_read_as_decimals_and_nothing_wraps() {
        let quota = |text: &str| text.parse().map(|Cpus(quota)| quota);
        for (text, expected) in [
            ("1", 100_000),
            ("0.5", 50_000),
            (".25", 25_000),
            ("1.5", 150_000),
            ("2.", 200_000),
            ("0.01", 1000),
        ] {
            assert_eq!(quota(text), Ok(expected), "{text}");
        }
        for bad in ["", ".", "-1", "1e3", "0", "0.001", "1.2345", "x", "1.5.5", " 1"] {
            assert!(quota(bad).is_err(), "{bad:?}");
        }
        assert_eq!(quota("18446744073709551615"), Ok(MOST * PERIOD));
    }
}

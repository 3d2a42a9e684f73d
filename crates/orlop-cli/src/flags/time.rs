//! Times on the command line.

use crate::environment;
use orlop::spec::Fault;
use orlop::spec::time::{TimeError, Timestamp};

/// RFC 3339, or seconds since 1970, with or without `@` before them.
pub fn time(text: &str) -> Result<Timestamp, String> {
    let seconds = text.strip_prefix('@').unwrap_or(text);
    text.parse().or_else(|error: TimeError| Timestamp::from_epoch(seconds).map_err(|_| error.to_string()))
}

/// The same; OSTree knows no time before 1970.
pub fn time_of_commit(text: &str) -> Result<Timestamp, String> {
    let time = time(text)?;
    if time.seconds() < 0 { Err("a commit is not made before 1970".into()) } else { Ok(time) }
}

/// When something was made: as it was said, else `SOURCE_DATE_EPOCH`, else nobody says.
pub fn moment(said: Option<Timestamp>) -> Result<Option<Timestamp>, Fault> {
    match said {
        Some(time) => Ok(Some(time)),
        None => Ok(environment::source_date_epoch()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_or_seconds_and_no_commit_is_older_than_1970() {
        for text in ["1970-01-01T00:01:00Z", "60", "@60"] {
            assert_eq!(time(text).map(Timestamp::seconds), Ok(60), "{text}");
            assert_eq!(time_of_commit(text).map(Timestamp::seconds), Ok(60), "{text}");
        }
        assert!(time("1969-12-31T23:59:59Z").is_ok());
        for text in ["1969-12-31T23:59:59Z", "@-1", "-1", "now", "", "@"] {
            assert!(time_of_commit(text).is_err(), "{text:?}");
        }
    }
}

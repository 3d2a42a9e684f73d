//! `--history.*`: what the history of an image tells of a change.

use super::moment;
use clap::Args;
use orlop::spec::Fault;
use orlop::spec::config::History;
use orlop::spec::time::{TimeError, Timestamp};

/// What is said of the step that is done.
#[derive(Args)]
pub struct HistoryFlags {
    /// adds no step to the history
    #[arg(long, conflicts_with_all = ["history.author", "history.comment", "history.created", "history.created_by"])]
    no_history: bool,
    /// who did the step
    #[arg(id = "history.author", long = "history.author", value_name = "NAME")]
    author: Option<Box<str>>,
    /// a remark on the step
    #[arg(id = "history.comment", long = "history.comment", value_name = "TEXT")]
    comment: Option<Box<str>>,
    /// when the step was done, as RFC 3339 writes it; without it SOURCE_DATE_EPOCH, else now
    #[arg(id = "history.created", long = "history.created", value_name = "TIME", value_parser = time)]
    created: Option<Box<str>>,
    /// by what the step was done
    #[arg(id = "history.created_by", long = "history.created_by", value_name = "COMMAND")]
    created_by: Option<Box<str>>,
}

impl HistoryFlags {
    /// The step of a verb; nothing where there is to be none. An empty value is no value.
    pub fn step(&self, verb: &str) -> Result<Option<History>, Fault> {
        if self.no_history {
            return Ok(None);
        }
        let created = match &self.created {
            Some(created) => created.clone(),
            None => moment()?.to_string().into(),
        };
        let by = self.created_by.clone().unwrap_or_else(|| verb.into());
        Ok(Some(History {
            created: Some(created),
            created_by: given(Some(by)),
            author: given(self.author.clone()),
            comment: given(self.comment.clone()),
            ..History::default()
        }))
    }

    /// Whether an author was named, be it none.
    pub fn names_author(&self) -> bool {
        self.author.is_some()
    }
}

/// A value, unless it is empty.
pub fn given(value: Option<Box<str>>) -> Option<Box<str>> {
    value.filter(|value| !value.is_empty())
}

/// A time in the words of the user, its zone with it, where any reader of the specification understands them; UTC is `Z`.
pub fn time(text: &str) -> Result<Box<str>, TimeError> {
    let time: Timestamp = text.parse()?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"-:.+TZ".contains(&byte));
    let utc = ["+00:00", "-00:00"].iter().find_map(|zone| text.strip_suffix(zone));
    let text = utc.map_or_else(|| text.to_owned(), |local| format!("{local}Z"));
    Ok(if is_plain && !text.contains(":60") { text.into() } else { time.to_string().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_keeps_its_zone_but_no_spelling_that_few_understand() {
        for (text, kept) in [
            ("1997-03-25T13:40:00+01:00", "1997-03-25T13:40:00+01:00"),
            ("2025-09-05T13:05:10.12345Z", "2025-09-05T13:05:10.12345Z"),
            ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05Z"),
            ("1997-03-25 13:40:00+01:00", "1997-03-25T12:40:00Z"),
            ("1997-03-25t13:40:00z", "1997-03-25T13:40:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ] {
            assert_eq!(time(text).as_deref(), Ok(kept));
        }
        assert!(time("yesterday").is_err());
    }
}

//! Flags that several verbs share. A verb takes a group only when it honours every flag in it.

mod bundle;
mod commit;
mod config;
mod dividing;
mod editing;
mod form;
mod locked;
mod network;
mod owner;
mod place;
mod settings;
mod store;
mod strip;
mod tags;
mod target;
mod time;
mod tracked;
mod tree;
mod unrepresentable;

pub use bundle::BundleFlags;
pub use commit::CommitFlags;
pub use config::ConfigFlags;
pub use dividing::Dividing;
pub use editing::{Editing, HistoryFlags, Publication, Steps, publication, root};
pub use form::{Compressing, FormFlags, ShapeFlags};
pub use locked::{Locked, Locking, Unlocked};
pub use network::{Network, Reach};
pub use owner::Owners;
pub use place::{
    Held, Image, Kept, MAKES_A_TREE, OnePlatform, Place, Places, in_full, making, name, platform, published,
    store, target, target_place, told, wrote,
};
pub use settings::SettingFlags;
pub use store::{Keeping, StorePlace};
pub use strip::StripFlags;
pub use tags::{TagFlags, glob};
pub use target::Target;
pub use time::{moment, time, time_of_commit};
pub use tracked::{LookFlags, journal, tracked};
pub use tree::TreeFlags;
pub use unrepresentable::UnrepresentableFlag;

use clap::{Args, ValueEnum};
use orlop::spec::Limits;
use std::num::NonZeroUsize;

/// For verbs that move or read layers.
#[derive(Args, Debug)]
pub struct Work {
    /// How progress is shown on stderr
    #[arg(long, value_name = "HOW", default_value = "auto", help_heading = "Running")]
    pub progress: ProgressStyle,
    /// Threads that may work at once [default: one per processor]
    #[arg(short, long, value_name = "N", help_heading = "Running")]
    pub jobs: Option<NonZeroUsize>,
    /// Most uncompressed bytes of one image, such as `20G` [default: 1T]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Limits")]
    pub max_size: Option<u64>,
    /// Most entries of one tree [default: 10000000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub max_entries: Option<u64>,
    /// Most bytes of one manifest, index or config, such as `16M` [default: 4M]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Limits")]
    pub max_document: Option<u64>,
}

impl Work {
    /// The defaults, and progress in `style`.
    pub fn showing(style: ProgressStyle) -> Self {
        Self { progress: style, jobs: None, max_size: None, max_entries: None, max_document: None }
    }

    /// The limits that the flags set.
    pub fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            size: self.max_size.unwrap_or(default.size),
            entries: self.max_entries.unwrap_or(default.entries),
            document: self.max_document.unwrap_or(default.document),
            ..default
        }
    }
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressStyle {
    /// Bars on a terminal, else plain.
    Auto,
    /// Bars.
    Tty,
    /// A line every few seconds.
    Plain,
    /// One JSON object per line for every event.
    Json,
    /// Nothing, and no account at the end.
    None,
}

/// For verbs whose result is text.
#[derive(Args, Debug)]
pub struct Show {
    /// Form of the result, and of an error
    #[arg(long, value_name = "FORM", default_value = "human")]
    pub format: Format,
}

/// Form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For eyes; names are escaped.
    Human,
    /// One JSON document with a `version`, for programs.
    Json,
}

/// Parses `123`, `10k`, `2M`, `20G`, `1T`: powers of 1024, as `dd` and `head` read them.
fn parse_size(text: &str) -> Result<u64, String> {
    let number = text.trim_end_matches(|last: char| "kKMGT".contains(last));
    let unit = match &text[number.len()..] {
        "" => 0,
        "k" | "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err("a size is a number and one of k, M, G, T".into()),
    };
    let count: u64 = number.parse().map_err(|_| "a size is a number and one of k, M, G, T")?;
    count.checked_mul(1 << unit).ok_or_else(|| "the size does not fit 64 bits".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_unit() {
        assert_eq!(parse_size("12"), Ok(12));
        assert_eq!(parse_size("2M"), Ok(2 << 20));
        for bad in ["", "M", "2MM", "2x", "-1", "99999999T"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}

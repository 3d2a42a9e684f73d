//! `orlop sync SRC DST`

mod plan;

use super::Outcome;
use super::copy::{platforms, which_referrers};
use crate::error::Error;
use crate::flags::{self, Format, Places, Show, TagFlags, Work, name, published};
use crate::output::size;
use crate::report;
use crate::shell::Shell;
use clap::Args;
use orlop::copy::{Copy, Platforms};
use orlop::layer::path::printable;
use orlop::referrers::Referrers;
use orlop::spec::port::{Depth, Keeper, Name, Selector, Sink};
use orlop::spec::reference::Reference;
use orlop::spec::{Context, Fault, Kind};
use orlop::sync::{Failure, Mode, Surplus, Sync, Synced, Target, sync};
use orlop::transport::Created;
use plan::Pair;
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Make the tags of one place those of another.
///
/// Tags that are as they should be cost one question; the others are copied and published one by one. A plan is a
/// YAML list of `from`, `to`, and the flags below without their dashes.
#[derive(Args)]
#[command(override_usage = "orlop sync [OPTIONS] SRC DST\n       orlop sync [OPTIONS] --plan FILE")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Arguments {
    /// The place whose tags are wanted, such as docker://HOST/REPOSITORY
    #[arg(value_name = "SRC", required_unless_present = "plan", requires = "target")]
    source: Option<OsString>,
    /// The place that shall have them
    #[arg(value_name = "DST")]
    target: Option<OsString>,
    /// A file that lists pairs of places, and what is wished for each
    #[arg(long, value_name = "FILE", conflicts_with_all = ["source", "include", "exclude", "semver"])]
    plan: Option<PathBuf>,
    #[command(flatten)]
    tags: TagFlags,
    /// Platforms of an index: `all`, `host`, or a list
    #[arg(long, value_name = "LIST", default_value = "all", value_parser = platforms)]
    platform: Platforms,
    /// What goes along that speaks of the images: none, all, or one artifact type
    #[arg(long, value_name = "WHICH", default_value = "none", value_parser = which_referrers)]
    referrers: Referrers,
    /// Remove tags that only the target has; needs --yes, or --dry-run to see them first
    #[arg(long)]
    delete: bool,
    /// Remove without asking
    #[arg(long)]
    yes: bool,
    /// Go on with the other tags when one fails; the exit code is then 7
    #[arg(long)]
    keep_going: bool,
    /// Tell what would be done, in bytes, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

impl Arguments {
    fn pairs(&self) -> Result<Vec<Pair>, Fault> {
        if let Some(plan) = &self.plan {
            return plan::read(plan, &self.wish());
        }
        let place = |word: &Option<OsString>| word.clone().ok_or(Error::NoSource);
        Ok(vec![Pair { from: place(&self.source)?, to: place(&self.target)?, wish: self.wish() }])
    }

    fn wish(&self) -> Sync {
        Sync {
            tags: self.tags.tags(),
            copy: Copy {
                platforms: self.platform.clone(),
                referrers: self.referrers.clone(),
                depth: Depth::Root,
                ..Copy::default()
            },
            surplus: if self.delete { Surplus::Remove } else { Surplus::Keep },
            failure: if self.keep_going { Failure::IsTold } else { Failure::Stops },
            mode: if self.dry_run { Mode::Tell } else { Mode::Do },
        }
    }
}

const UNASKED: orlop::Error = orlop::Error::Unfit {
    what: "tags of the target would be removed",
    hint: "see which with --dry-run, and then say --yes",
};

const WHOLE_PLACES: orlop::Error = orlop::Error::Unfit {
    what: "whole places are made equal, not single images",
    hint: "leave the tags out, or copy one image: orlop copy SRC DST",
};

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let pairs = arguments.pairs()?;
    let removes = pairs.iter().any(|pair| pair.wish.surplus == Surplus::Remove);
    if removes && !arguments.yes && !arguments.dry_run {
        return Err(UNASKED.into());
    }
    let done = shell.work(&arguments.work, |cx| {
        let mut done = Vec::new();
        for pair in &pairs {
            done.push(Done::of(pair, &arguments.places, cx)?);
        }
        Ok(done)
    })?;
    shell.print(match arguments.show.format {
        Format::Human => {
            done.iter().map(|pair| lines(&pair.synced, &pair.target, arguments.dry_run)).collect()
        }
        Format::Json => format!("{}\n", value(&done, arguments.dry_run)),
    })?;
    outcome(done)
}

/// What became of a pair.
struct Done {
    target: Reference,
    synced: Synced,
    /// Why nothing of it was begun.
    failed: Option<(OsString, Fault)>,
}

impl Done {
    /// Makes a pair equal. A place that cannot be read is no reason to leave the other pairs alone, where they go on.
    fn of(pair: &Pair, places: &Places, cx: &Context<'_>) -> Result<Self, Fault> {
        let target = flags::target_place(&pair.to)?;
        let stops = |fault: &Fault| {
            pair.wish.failure == Failure::Stops || matches!(fault.kind(), Kind::Interrupted | Kind::Usage)
        };
        match one(places, cx, &pair.from, &target, &pair.wish) {
            Err(fault) if stops(&fault) => Err(fault),
            Err(fault) => {
                let failed = Some((pair.from.clone(), fault));
                Ok(Self { target, synced: Synced::default(), failed })
            }
            Ok(synced) => Ok(Self { target, synced, failed: None }),
        }
    }
}

fn one(
    places: &Places,
    cx: &Context<'_>,
    from: &OsStr,
    target: &Reference,
    wish: &Sync,
) -> Result<Synced, Fault> {
    let source = places.open_place(from, cx)?;
    if *source.selector() != Selector::Only || name(target)? != Name::Untagged {
        return Err(WHOLE_PLACES.into());
    }
    sync(cx, source.catalog(), &Place { places, cx, target, mode: wish.mode }, wish)
}

/// A target is opened anew for each tag.
struct Place<'a> {
    places: &'a Places,
    cx: &'a Context<'a>,
    target: &'a Reference,
    mode: Mode,
}

impl Target for Place<'_> {
    fn sink(&self) -> Result<Box<dyn Sink + '_>, Fault> {
        let made = match self.mode {
            Mode::Tell => self.places.foresee(self.target, self.cx)?,
            Mode::Do => self.places.create_any(self.target, self.cx)?,
        };
        match made {
            Created::Blobs(sink) => Ok(sink),
            Created::Tree(_) => Err(flags::MAKES_A_TREE.into()),
        }
    }

    fn keeper(&self) -> Result<Box<dyn Keeper + '_>, Fault> {
        self.places.keep(self.target, self.cx)
    }
}

/// Failures are told on stderr; a run in which others went well is a part of a success.
fn outcome(done: Vec<Done>) -> Result<Outcome, Fault> {
    let went_well = done.iter().any(|it| !it.synced.copied.is_empty() || !it.synced.held.is_empty());
    let failed = done.into_iter().flat_map(|it| {
        let place = it.failed.map(|(place, fault)| (place.to_string_lossy().into_owned(), fault));
        let tags = it.synced.failed.into_iter().map(|(tag, fault)| (String::from(tag), fault));
        place.into_iter().chain(tags)
    });
    let mut failed = failed.peekable();
    if failed.peek().is_none() {
        return Ok(Outcome::Done);
    }
    if !went_well && let Some((_, fault)) = failed.next() {
        return Err(fault);
    }
    for (what, fault) in failed {
        report::say(&format!("orlop: {}: {}\n", printable(&what), printable(&report::line(&fault))));
    }
    Ok(Outcome::Partial)
}

fn lines(synced: &Synced, target: &Reference, is_dry: bool) -> String {
    let copied = synced.copied.iter().map(|(tag, digest)| published(target, Some(tag), digest));
    let place = printable(&target.to_string()).into_owned();
    let removed = synced.removed.iter().map(|tag| format!("removed {place}:{}\n", printable(tag)));
    let text: String = copied.chain(removed).collect();
    if !is_dry {
        return text;
    }
    let moved = synced.account.copied;
    let held = synced.held.len();
    format!("{text}{held} tags as they should be; {} in {} blobs to move\n", size(moved.bytes), moved.blobs)
}

fn value(done: &[Done], is_dry: bool) -> Value {
    let place = |Done { target, synced, failed: error }: &Done| {
        let copied = synced.copied.iter().map(|(tag, digest)| json!({ "tag": tag, "digest": digest }));
        let failed =
            synced.failed.iter().map(|(tag, fault)| json!({ "tag": tag, "error": report::line(fault) }));
        json!({
            "target": target.to_string(),
            "copied": copied.collect::<Vec<_>>(),
            "held": synced.held,
            "removed": synced.removed,
            "failed": failed.collect::<Vec<_>>(),
            "error": error.as_ref().map(|(_, fault)| report::line(fault)),
            "bytes": synced.account.copied.bytes,
        })
    };
    json!({ "version": 1, "dry_run": is_dry, "places": done.iter().map(place).collect::<Vec<_>>() })
}

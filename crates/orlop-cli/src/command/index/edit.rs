//! `orlop index add|rm|filter|annotate REF …`

use super::{Sources, annotation, entries, several};
use crate::flags::{self, Places, Publication, Show, Work, platform, publication, wrote};
use crate::foreseen;
use crate::shell::Shell;
use clap::Args;
use orlop::index::{self, Change, Clash, Edited, Which, parse_which, publish};
use orlop::spec::{Descriptor, Fault, Platform};
use std::ffi::OsString;

/// The index that is changed, and where it goes. Verbs have it last: what is only theirs is told first.
#[derive(Args)]
#[command(next_help_heading = None::<&str>)]
struct Subject {
    /// The index
    #[arg(value_name = "REF", index = 1)]
    reference: OsString,
    /// Leave the index as it is, and put the changed one here
    #[arg(long, value_name = "REF")]
    to: Option<OsString>,
    /// Tell what would change and be moved, and write nothing
    #[arg(long, help_heading = "Running")]
    dry_run: bool,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

/// Add images to an index.
///
/// The platform of each is the one that its config says. Of an index, all entries are taken.
#[derive(Args)]
pub struct Add {
    /// An image
    #[arg(value_name = "SRC", index = 2, required_unless_present = "platform")]
    images: Vec<OsString>,
    #[command(flatten)]
    sources: Sources,
    /// Put an image in the place of the one that is there for its platform
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    subject: Subject,
}

/// Remove entries from an index; the images stay until `gc`.
#[derive(Args)]
pub struct Remove {
    /// Which one: a platform, or the digest of an image
    #[arg(value_name = "PLATFORM|DIGEST", index = 2, required = true, value_parser = which)]
    entries: Vec<Which>,
    #[command(flatten)]
    subject: Subject,
}

/// Keep the entries for some platforms only.
///
/// What was attached to images, such as their provenance, goes or stays with them.
#[derive(Args)]
pub struct Filter {
    /// The platforms, with commas between them
    #[arg(long, value_name = "LIST", required = true, value_delimiter = ',', value_parser = platform)]
    platform: Vec<Platform>,
    #[command(flatten)]
    subject: Subject,
}

/// Say something of an index, or of an entry of it.
#[derive(Args)]
pub struct Annotate {
    /// What is said
    #[arg(value_name = "KEY=VALUE", index = 2, value_parser = annotation, required_unless_present = "unset")]
    annotations: Vec<(Box<str>, Box<str>)>,
    /// What is no longer said; may be given several times
    #[arg(long, value_name = "KEY")]
    unset: Vec<Box<str>>,
    /// Of which entry: a platform, or the digest of an image [default: of the index itself]
    #[arg(long, value_name = "PLATFORM|DIGEST", value_parser = which)]
    entry: Option<Which>,
    #[command(flatten)]
    subject: Subject,
}

impl Add {
    pub fn run(&self, shell: &Shell) -> Result<(), Fault> {
        let clash = if self.overwrite { Clash::Replace } else { Clash::Refuse };
        self.subject.edit(shell, (&self.images, &self.sources), |entries| Change::Add(entries, clash))
    }
}

impl Remove {
    pub fn run(&self, shell: &Shell) -> Result<(), Fault> {
        self.subject.edit(shell, NOTHING, |_| Change::Remove(self.entries.clone()))
    }
}

impl Filter {
    pub fn run(&self, shell: &Shell) -> Result<(), Fault> {
        self.subject.edit(shell, NOTHING, |_| Change::Filter(self.platform.clone()))
    }
}

impl Annotate {
    pub fn run(&self, shell: &Shell) -> Result<(), Fault> {
        self.subject.edit(shell, NOTHING, |_| Change::Annotate {
            which: self.entry.clone(),
            set: self.annotations.iter().cloned().collect(),
            unset: self.unset.clone(),
        })
    }
}

/// No further images.
const NOTHING: (&[OsString], &Sources) = (&[], &Sources { platform: Vec::new() });

impl Subject {
    /// Changes the index by what becomes of the entries of further images.
    fn edit(
        &self,
        shell: &Shell,
        (words, sources): (&[OsString], &Sources),
        change: impl FnOnce(Vec<Descriptor>) -> Change,
    ) -> Result<(), Fault> {
        let to = self.to.as_deref().map(flags::target).transpose()?;
        let (target, line) = shell.work(&self.work, |cx| {
            let image = self.places.open(&self.reference, cx)?;
            let further = sources.open(words, &self.places, cx)?;
            let before = index::open(cx, image.source(), image.selector())?;
            let change = change(entries(cx, &further)?);
            let after = index::change((*before).clone(), &change)?;
            let target = to.as_ref().unwrap_or(image.reference()).clone();
            let sink = self.places.create_or_foresee(&target, self.dry_run, cx)?;
            let Publication { name, place, seen } =
                publication(&image, before.descriptor(), to.as_ref(), &*sink)?;
            let from = several(&image, &further);
            let edited =
                Edited { from: &from, at: image.catalog(), before: Some(&before), after, place, seen };
            if self.dry_run {
                let foreseen = index::foresee(cx, &edited, &name, &*sink)?;
                return Ok((target, foreseen::editing(&foreseen, self.show.format)));
            }
            let copied = publish(cx, &edited, &name, sink)?;
            let line = wrote(self.show.format, "edited", (&target, &name), &copied.roots[0]);
            Ok((target, line))
        })?;
        shell.published(&target, &line)
    }
}

fn which(text: &str) -> Result<Which, String> {
    parse_which(text).map_err(|error| error.to_string())
}

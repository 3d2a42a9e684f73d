//! `sync`: makes the tags of one place those of another.
//!
//! ```text
//! list ──wanted?──► tag ──resolve──► root ──has?──► nothing to do
//!                                      └──────────► copy, published at once
//! tags of the target that the source lacks ──► removed, where that is wished
//! ```
//!
//! Invariants: every tag is published by itself, so that what ends a run takes nothing back; a tag that is as it
//! should be costs one question at each side; nothing is removed before everything else went well.

use crate::copy::{Account, Copy, copy, foresee, has_part, in_parallel, plan_one};
use crate::referrers::{self, Referrers};
use orlop_fs::glob::Glob;
use orlop_spec::port::{Catalog, Keeper, Name, Result, Selector, Sink};
use orlop_spec::{AnyDigest, Context, Descriptor, Fault, Kind};
use semver::{Version, VersionReq};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Which tags are meant: every one that passes all three.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// One of these matches; every tag passes where there is none.
    pub include: Vec<Glob>,
    /// None of these matches.
    pub exclude: Vec<Glob>,
    /// The tag is a version, as [`version`] reads it, and lies in the range.
    pub versions: Option<VersionReq>,
}

impl Tags {
    /// Whether a tag is meant.
    pub fn take(&self, tag: &str) -> bool {
        let matches = |glob: &Glob| glob.matches(tag.as_bytes());
        let is_in_range = |range: &VersionReq| version(tag).is_some_and(|version| range.matches(&version));
        (self.include.is_empty() || self.include.iter().any(matches))
            && !self.exclude.iter().any(matches)
            && self.versions.as_ref().is_none_or(is_in_range)
    }
}

/// The version that a tag is, with or without `v` before it. Numbers that are not written are zero: `12.5` is `12.5.0`.
pub fn version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix('v').unwrap_or(tag);
    let (numbers, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let zeros = ["", ".0", ".0.0"].get(2_usize.checked_sub(numbers.matches('.').count())?)?;
    Version::parse(&format!("{numbers}{zeros}{rest}")).ok()
}

/// What is wished.
#[derive(Clone, Debug, Default)]
pub struct Sync {
    /// Which tags.
    pub tags: Tags,
    /// How each is copied.
    pub copy: Copy,
    /// What becomes of tags that only the target has.
    pub surplus: Surplus,
    /// What becomes of the others when one fails.
    pub failure: Failure,
    /// Whether anything is done.
    pub mode: Mode,
}

/// What becomes of tags that the target has and the source has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Surplus {
    /// They stay.
    #[default]
    Keep,
    /// Those that are meant are removed.
    Remove,
}

/// What becomes of the others when one tag fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failure {
    /// They are not begun.
    #[default]
    Stops,
    /// They go on, and the failures are told at the end.
    IsTold,
}

/// Whether anything is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    #[default]
    Do,
    /// It is only told.
    Tell,
}

/// Where it goes.
pub trait Target: Send + std::marker::Sync {
    /// A sink for one tag.
    fn sink(&self) -> Result<Box<dyn Sink + '_>>;

    /// The place as it is; an error of absence where it is not there yet.
    fn keeper(&self) -> Result<Box<dyn Keeper + '_>>;
}

/// What became of each tag.
#[derive(Debug, Default)]
pub struct Synced {
    /// Copied, or to be copied.
    pub copied: Vec<(Box<str>, AnyDigest)>,
    /// As they should be already.
    pub held: Vec<Box<str>>,
    /// Removed, or to be removed.
    pub removed: Vec<Box<str>>,
    /// Not copied, or not removed, and why.
    pub failed: Vec<(Box<str>, Fault)>,
    /// Blobs and bytes of those that were copied.
    pub account: Account,
}

/// How many tags are on their way at once: each waits more than it works.
const TAGS_AT_ONCE: usize = 4;

/// Makes the tags of `to` those of `from`.
pub fn sync(cx: &Context<'_>, from: &dyn Catalog, to: &dyn Target, wish: &Sync) -> Result<Synced> {
    let tags: BTreeSet<Box<str>> = tags(from)?.into_iter().filter(|tag| wish.tags.take(tag)).collect();
    let done = Mutex::new(Synced::default());
    let ordered: Vec<&Box<str>> = tags.iter().collect();
    in_parallel(TAGS_AT_ONCE, &ordered, |tag| {
        cx.cancel.check()?;
        let outcome = one(cx, from, to, wish, tag);
        let mut done = done.lock().expect("no holder panics");
        match outcome {
            Ok(outcome) => done.add(tag, outcome),
            Err(fault) => return done.fail(tag, fault, wish),
        }
        Ok(())
    })?;
    let mut done = done.into_inner().expect("no holder panics");
    if wish.surplus == Surplus::Remove && done.failed.is_empty() {
        remove(cx, to, wish, &tags, &mut done)?;
    }
    done.sort();
    Ok(done)
}

/// What became of one tag.
enum Outcome {
    Held,
    Copied(AnyDigest, Account),
}

impl Synced {
    fn add(&mut self, tag: &str, outcome: Outcome) {
        match outcome {
            Outcome::Held => self.held.push(tag.into()),
            Outcome::Copied(digest, account) => {
                self.copied.push((tag.into(), digest));
                self.account.join(&account);
            }
        }
    }

    /// What failed is told at the end, where the others may go on.
    fn fail(&mut self, tag: &str, fault: Fault, wish: &Sync) -> Result<()> {
        if wish.failure == Failure::Stops || fault.kind() == Kind::Interrupted {
            return Err(fault);
        }
        self.failed.push((tag.into(), fault));
        Ok(())
    }

    /// The order in which they ended is nobody's concern.
    fn sort(&mut self) {
        self.copied.sort();
        self.held.sort();
        self.failed.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
}

fn one(cx: &Context<'_>, from: &dyn Catalog, to: &dyn Target, wish: &Sync, tag: &str) -> Result<Outcome> {
    let name = Name::Tag(tag.into());
    let roots = from.resolve(&Selector::Tag(tag.into()))?;
    let sink = to.sink()?;
    let named: Vec<(Name, Descriptor)> = roots.into_iter().map(|root| (name.clone(), root)).collect();
    if has_all(&*sink, &named, wish)?
        && has_parts(cx, from, &*sink, &named, wish)?
        && has_all(&*sink, &companions(cx, from, &named, wish)?, wish)?
    {
        return Ok(Outcome::Held);
    }
    let account = match wish.mode {
        Mode::Tell => foresee(cx, from, &named, &*sink, &wish.copy)?,
        Mode::Do => copy(cx, from, &named, sink, &wish.copy)?.account,
    };
    Ok(Outcome::Copied(named[0].1.digest.clone(), account))
}

fn has_all(sink: &dyn Sink, named: &[(Name, Descriptor)], wish: &Sync) -> Result<bool> {
    for (name, root) in named {
        if !sink.has(name, root, wish.copy.depth)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_parts(
    cx: &Context<'_>,
    from: &dyn Catalog,
    sink: &dyn Sink,
    named: &[(Name, Descriptor)],
    wish: &Sync,
) -> Result<bool> {
    for (_, root) in named {
        if !has_part(cx, from, sink, root, &wish.copy.platforms)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What goes along with the images, where that is wished: it may be newer than they are.
fn companions(
    cx: &Context<'_>,
    from: &dyn Catalog,
    named: &[(Name, Descriptor)],
    wish: &Sync,
) -> Result<Vec<(Name, Descriptor)>> {
    let mut nodes = Vec::new();
    for (_, root) in named.iter().filter(|_| wish.copy.referrers != Referrers::None) {
        nodes.extend(plan_one(cx, from, root, &wish.copy)?.1);
    }
    referrers::of(cx, from, &nodes, &wish.copy.referrers)
}

fn tags(place: &dyn Catalog) -> Result<Vec<Box<str>>> {
    let names = place.list()?.into_iter();
    Ok(names.filter_map(|(name, _)| name.tag().map(Into::into)).collect())
}

fn remove(
    cx: &Context<'_>,
    to: &dyn Target,
    wish: &Sync,
    wanted: &BTreeSet<Box<str>>,
    done: &mut Synced,
) -> Result<()> {
    let place = match to.keeper() {
        Err(fault) if wish.mode == Mode::Tell && fault.kind() == Kind::NotFound => return Ok(()),
        place => place?,
    };
    let is_surplus = |tag: &str| wish.tags.take(tag) && !wanted.contains(tag);
    let surplus: BTreeSet<Box<str>> = tags(&*place)?.into_iter().filter(|tag| is_surplus(tag)).collect();
    for tag in surplus {
        cx.cancel.check()?;
        let selector = Selector::Tag(tag.clone());
        match if wish.mode == Mode::Do { place.forget(&selector).map(drop) } else { Ok(()) } {
            Ok(()) => done.removed.push(tag),
            Err(fault) => done.fail(&tag, fault, wish)?,
        }
    }
    Ok(())
}

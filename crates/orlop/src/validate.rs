//! `validate`: which laws an image breaks. Every blob is read and proven; nothing stops at the first finding.
//!
//! The laws of documents are those of [`orlop_spec::validate`]. Here are those that need more than documents:
//! blobs that are missing or damaged, and what a layer holds that engines do not agree about.

mod layer;
mod report;

pub use report::More;

use crate::copy::may_be_absent;
use layer::check_layers;
use orlop_layer::Verified;
use orlop_spec::config::Config;
use orlop_spec::document::Parse as _;
use orlop_spec::index::Index;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::Role;
use orlop_spec::port::{Catalog, Result, Selector, Source};
use orlop_spec::validate::{self, Finding, IndexKind, Severity};
use orlop_spec::{AnyDigest, Cancel, Context, Descriptor, Diagnose as _, Fault, Kind, graph, json};
use report::Report;
use std::collections::HashSet;
use std::io::{self, Read};

/// A law that something in an image breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The blob, or nothing where the list of names itself is meant.
    pub blob: Option<AnyDigest>,
    /// Name of the rule; scripts match it.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where in the blob: a JSON pointer, or a path of the layer, escaped.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

/// What was looked at, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Blobs that were read to their end.
    pub blobs: u64,
    /// Problems in the order in which they were found; of one rule so many that a reader can take them in.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more: Vec<More>,
}

impl Verdict {
    /// Whether a MUST of the specification is broken, or something is missing or damaged.
    pub fn is_broken(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

/// Checks everything that a place holds.
pub fn place(cx: &Context<'_>, catalog: &dyn Catalog) -> Result<Verdict> {
    let names = catalog.names()?;
    let roots: Vec<Descriptor> = names.into_iter().map(|(_, root)| root).collect();
    let mut check = Check::new(cx, catalog);
    let list = catalog.listing()?.unwrap_or_else(|| json::print(&Index::new(roots.clone())));
    check.findings(None, validate::index(&list, None, IndexKind::Layout));
    check.roots(&roots)?;
    Ok(check.finish())
}

/// Checks one image of a place, all its platforms.
pub fn image(cx: &Context<'_>, source: &dyn Source, selector: &Selector) -> Result<Verdict> {
    let mut check = Check::new(cx, source);
    check.roots(&source.resolve(selector)?)?;
    Ok(check.finish())
}

struct Check<'a> {
    cx: &'a Context<'a>,
    source: &'a dyn Source,
    /// Digest, size, and whether it was checked as a document: descriptors of one blob may lie differently.
    seen: HashSet<(AnyDigest, u64, bool)>,
    /// Blobs that were read to their end.
    blobs: u64,
    report: Report,
}

impl<'a> Check<'a> {
    fn new(cx: &'a Context<'a>, source: &'a dyn Source) -> Self {
        Self { cx, source, seen: HashSet::new(), blobs: 0, report: Report::default() }
    }

    fn finish(self) -> Verdict {
        let (problems, more) = self.report.finish();
        Verdict { blobs: self.blobs, problems, more }
    }

    fn roots(&mut self, roots: &[Descriptor]) -> Result<()> {
        roots.iter().try_for_each(|root| self.document(root, 0))
    }

    fn findings(&mut self, blob: Option<&Descriptor>, findings: Vec<Finding>) {
        let blob = blob.map(|blob| blob.digest.clone());
        for Finding { rule, severity, place, what } in findings {
            self.report.add(Problem { blob: blob.clone(), rule: rule.name(), severity, place, what });
        }
    }

    /// A blob that cannot be read or proven; only what is not about the blob ends the check.
    fn unreadable(&mut self, blob: &Descriptor, fault: &Fault) -> Result<()> {
        let (rule, severity) = match fault.kind() {
            _ if fault.is_absence() && may_be_absent(blob) => ("kept-elsewhere", Severity::Warning),
            _ if fault.is_absence() => ("missing", Severity::Error),
            // What is only carried may stay unproven; what an image is made of may not.
            _ if blob.digest.known().is_err() && blob.media_type.role() == Role::Unknown => {
                ("unproven", Severity::Warning)
            }
            _ if blob.digest.known().is_err() => ("unproven", Severity::Error),
            Kind::Integrity => ("damaged", Severity::Error),
            Kind::Limit => ("limit", Severity::Error),
            _ => ("unreadable", Severity::Error),
        };
        let problem = Problem {
            blob: Some(blob.digest.clone()),
            rule,
            severity,
            place: String::new(),
            what: chain(fault),
        };
        self.report.add(problem);
        Ok(self.cx.cancel.check()?)
    }

    fn document(&mut self, blob: &Descriptor, depth: u32) -> Result<()> {
        self.cx.cancel.check()?;
        if !self.is_new(blob, blob.media_type.is_document()) {
            return Ok(());
        }
        match blob.media_type.role() {
            Role::Index => self.index(blob, depth),
            Role::Manifest => self.manifest(blob),
            _ => self.content(blob),
        }
    }

    fn is_new(&mut self, blob: &Descriptor, as_document: bool) -> bool {
        self.seen.insert((blob.digest.clone(), blob.size, as_document))
    }

    fn index(&mut self, blob: &Descriptor, depth: u32) -> Result<()> {
        let Some(raw) = self.raw(blob)? else { return Ok(()) };
        self.findings(Some(blob), validate::index(&raw, Some(&blob.media_type), IndexKind::Blob));
        let Ok(index) = Index::parse(&raw, &blob.media_type) else { return Ok(()) };
        if depth >= self.cx.limits.index_depth {
            return self.unreadable(blob, &Fault::new(graph::TooDeep { limit: self.cx.limits.index_depth }));
        }
        let left_out = self.left_out(blob, &index);
        index
            .manifests
            .iter()
            .filter(|child| !left_out.contains(&child.digest))
            .try_for_each(|child| self.document(child, depth + 1))
    }

    /// The images of an index that are not here while others are: a copy of some platforms leaves them out, and they
    /// are told together. One that is here in part is damaged, and so is an index of which nothing is here.
    fn left_out(&mut self, blob: &Descriptor, index: &Index) -> HashSet<AnyDigest> {
        let images = || index.manifests.iter().filter(|child| child.media_type.is_document());
        let absent: Vec<_> = images().filter(|child| self.is_absent(child)).collect();
        let (absent_count, count) = (absent.len(), images().count());
        if absent_count == 0 || absent_count == count {
            return HashSet::new();
        }
        let left_out = absent.into_iter().map(|child| child.digest.clone()).collect();
        self.report.add(Problem {
            blob: Some(blob.digest.clone()),
            rule: "sparse",
            severity: Severity::Warning,
            place: "/manifests".into(),
            what: format!("{absent_count} of {count} images are not here, as after a copy of some platforms"),
        });
        left_out
    }

    fn is_absent(&self, blob: &Descriptor) -> bool {
        let opened = self.source.origin(blob).and_then(|origin| origin.open(0).map(drop));
        opened.is_err_and(|fault| fault.is_absence())
    }

    fn manifest(&mut self, blob: &Descriptor) -> Result<()> {
        let Some(raw) = self.raw(blob)? else { return Ok(()) };
        self.findings(Some(blob), validate::manifest(&raw, &blob.media_type));
        let Ok(manifest) = Manifest::parse(&raw, &blob.media_type) else { return Ok(()) };
        let limit = self.cx.limits.layers;
        if manifest.layers.len() > limit {
            return self.unreadable(blob, &Fault::new(graph::TooManyLayers { limit }));
        }
        if manifest.config.media_type.role() == Role::Config {
            return self.image(blob, &manifest);
        }
        manifest.blobs().try_for_each(|child| self.content_once(child))
    }

    fn image(&mut self, blob: &Descriptor, manifest: &Manifest) -> Result<()> {
        let Some(raw) = self.raw(&manifest.config)? else {
            return manifest.layers.iter().try_for_each(|layer| self.content_once(layer));
        };
        self.findings(Some(&manifest.config), validate::config(&raw));
        let Ok(config) = Config::parse(&raw, &manifest.config.media_type) else {
            return manifest.layers.iter().try_for_each(|layer| self.content_once(layer));
        };
        self.findings(Some(blob), validate::image(manifest, &config));
        self.findings(Some(blob), validate::entry(blob, &config));
        check_layers(self, manifest, &config)
    }

    /// The bytes of a document, where they can be read; whether they are what was named is a finding.
    fn raw(&mut self, blob: &Descriptor) -> Result<Option<Vec<u8>>> {
        match graph::read_raw(self.cx.limits, self.source, blob) {
            Ok(raw) => {
                self.blobs += 1;
                self.findings(Some(blob), validate::content(blob, &raw));
                Ok(Some(raw))
            }
            Err(fault) => self.unreadable(blob, &fault).map(|()| None),
        }
    }

    fn content_once(&mut self, blob: &Descriptor) -> Result<()> {
        if self.is_new(blob, false) { self.content(blob) } else { Ok(()) }
    }

    /// Proves a blob that is not opened.
    fn content(&mut self, blob: &Descriptor) -> Result<()> {
        match self.prove(blob) {
            Ok(()) => self.blobs += 1,
            Err(fault) => self.unreadable(blob, &fault)?,
        }
        Ok(())
    }

    fn prove(&self, blob: &Descriptor) -> Result<()> {
        let origin = self.source.origin(blob)?;
        let read = Stoppable { cancel: self.cx.cancel, read: origin.open(0)? };
        let drained = Verified::new(read, blob)?.drain();
        drained.map_err(|error| Fault::io(format!("read {}", blob.digest), error))
    }
}

/// Stops when the user asks.
struct Stoppable<'a, R> {
    cancel: &'a Cancel,
    read: R,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancel.check().map_err(Fault::from)?;
        self.read.read(buffer)
    }
}

/// An error and its causes on one line.
fn chain(fault: &Fault) -> String {
    let mut text = fault.to_string();
    let mut cause = std::error::Error::source(fault);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

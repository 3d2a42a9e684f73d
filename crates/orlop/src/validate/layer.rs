//! The laws of layers: what they must not hold, and where engines differ.

use super::report::Report;
use super::{Check, Problem};
use orlop_layer::decode::{Decode, Stages, Visit, decode};
use orlop_layer::tree::{InodeKind, Presence, Tree};
use orlop_layer::{Budget, Device, Entry, Error, Kind, TreePath, Verified};
use orlop_spec::config::Config;
use orlop_spec::manifest::Manifest;
use orlop_spec::media_type::Role;
use orlop_spec::port::{Result, Source};
use orlop_spec::validate::Severity;
use orlop_spec::{Algorithm, AnyDigest, Descriptor, Digest};
use std::collections::HashSet;

/// Reads every layer, base first, and stacks them as long as they are whole.
pub(super) fn check_layers(check: &mut Check<'_>, manifest: &Manifest, config: &Config) -> Result<()> {
    let mut merged = Some(Tree::default());
    let budget = Budget::new(check.cx.limits.size);
    for (position, layer) in manifest.layers.iter().enumerate() {
        let Role::Layer(form) = layer.media_type.role() else {
            merged = None;
            check.content_once(layer)?;
            continue;
        };
        let how = Decode {
            compression: form.compression,
            expected: config.rootfs.diff_ids.get(position).copied(),
            layer: u16::try_from(position).unwrap_or(u16::MAX),
            limits: check.cx.limits,
            budget: &budget,
            cancel: check.cx.cancel,
            stages: Stages::Pipelined,
            progress: &|_| {},
        };
        let report = std::mem::take(&mut check.report);
        let mut laws = Laws { blob: layer.digest.clone(), paths: HashSet::new(), report };
        let outcome = open(check.source, layer, &how, &mut laws);
        check.is_new(layer, false);
        check.report = laws.report;
        match outcome {
            Ok(tree) => {
                check.blobs += 1;
                merged = stack(check, merged, tree, layer)?;
            }
            Err(fault) => {
                merged = None;
                check.unreadable(layer, &fault)?;
            }
        }
    }
    Ok(())
}

fn open(source: &dyn Source, layer: &Descriptor, how: &Decode<'_>, laws: &mut Laws) -> Result<Tree> {
    let origin = source.origin(layer)?;
    let mut blob = Verified::new(origin.open(0)?, layer)?;
    Ok(decode(&mut blob, how, laws)?.tree)
}

/// Stacks the layer, and says where engines would make another tree of it.
fn stack(
    check: &mut Check<'_>,
    merged: Option<Tree>,
    upper: Tree,
    layer: &Descriptor,
) -> Result<Option<Tree>> {
    let Some(lower) = merged else { return Ok(None) };
    for (path, id) in upper.walk() {
        let what = match &upper.inode(id).kind {
            InodeKind::Directory { presence: Presence::Implied, .. } if is_link(&lower, &path) => {
                "lies below a symbolic link of a lower layer, and the layer has no entry for the folder"
            }
            InodeKind::LinkBelow(_) => "is a hard link to a file of a lower layer",
            _ => continue,
        };
        check.report.add(engines_differ(layer.digest.clone(), &path, what));
    }
    match lower.stack(upper) {
        Ok(tree) => Ok(Some(tree)),
        Err(error) => check.unreadable(layer, &error.into()).map(|()| None),
    }
}

fn is_link(tree: &Tree, path: &TreePath) -> bool {
    tree.locate(path.as_bytes()).is_some_and(|id| matches!(tree.inode(id).kind, InodeKind::Symlink(_)))
}

fn engines_differ(blob: AnyDigest, path: &TreePath, what: &str) -> Problem {
    Problem {
        blob: Some(blob),
        rule: "engines-differ",
        severity: Severity::Warning,
        place: path.to_string(),
        what: what.into(),
    }
}

/// Looks at the entries of one layer.
struct Laws {
    blob: AnyDigest,
    paths: HashSet<PathMark>,
    report: Report,
}

/// The beginning of a path's sha256: as good as the path for telling two apart, and never longer.
type PathMark = [u8; 16];

fn mark(path: &TreePath) -> PathMark {
    let digest = Digest::of(Algorithm::Sha256, path.as_bytes());
    *digest.bytes().first_chunk().expect("a sha256 has 32 bytes")
}

impl Visit for Laws {
    fn entry(&mut self, _: u32, _: u64, entry: &Entry) -> Result<(), Error> {
        match &entry.kind {
            // Other rules hold for what is no file of the image.
            Kind::Whiteout | Kind::Opaque => return Ok(()),
            Kind::CharDevice(Device { major: 0, minor: 0 }) => {
                let what = "is a character device 0:0, which means a removal to overlay file systems";
                self.report.add(engines_differ(self.blob.clone(), &entry.path, what));
            }
            _ => {}
        }
        if !self.paths.insert(mark(&entry.path)) {
            self.report.add(Problem {
                blob: Some(self.blob.clone()),
                rule: "duplicate-path",
                severity: Severity::Warning,
                place: entry.path.to_string(),
                what: "stands in the layer more than once; the last one counts".into(),
            });
        }
        Ok(())
    }

    fn data(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn hole(&mut self, _: u64) -> Result<(), Error> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

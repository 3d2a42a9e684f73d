//! `aci validate`: what is wrong with an image, a manifest, or a folder that is to become an image.

use super::{Finding, archive};
use crate::error::Error;
use crate::spool::Spool;
use crate::tar_tree::{self, gather};
use crate::transport::Outside;
use crate::trees::{FolderTree, Reading, TreeSource as _};
use orlop_fs::{File, FileKind, stat};
use orlop_host::Error as HostError;
use orlop_host::aci::AciError;
use orlop_host::aci::archive::{Members, Rest};
use orlop_host::aci::manifest::ImageManifest;
use orlop_host::aci::validate;
use orlop_layer::tar;
use orlop_layer::tree::Tree;
use orlop_spec::port::Result;
use orlop_spec::validate::Severity;
use orlop_spec::{Context, Fault};
use std::cmp::Reverse;
use std::io::{BufReader, Read as _};
use std::path::Path;

/// What is wrong with what lies at the path: a file that begins with `{` is a manifest. Errors come first.
pub fn check(cx: &Context<'_>, path: &Path, outside: &Outside<'_>) -> Result<Vec<Finding>> {
    let mut findings = match stat::at(path)?.kind {
        FileKind::Directory => folder(cx, path, outside)?,
        _ => file(cx, path, outside)?,
    };
    findings.sort_by_key(|finding| Reverse(finding.severity));
    Ok(findings)
}

fn folder(cx: &Context<'_>, path: &Path, outside: &Outside<'_>) -> Result<Vec<Finding>> {
    let (tree, reading) = (FolderTree::open(path)?, Reading::default());
    let mut members = Members::new(tree.entries(cx, &reading)?, cx.limits.document);
    let tree = gather(cx, &mut members, &Spool::new(outside.spool()?), 0)?;
    Ok(whole(members.into_rest().0, &tree))
}

fn file(cx: &Context<'_>, path: &Path, outside: &Outside<'_>) -> Result<Vec<Finding>> {
    let name = path.display().to_string();
    let start = start(path)?;
    if start.trim_ascii_start().starts_with(b"{") {
        return Ok(manifest(&File::open(path)?.read_to_limit(cx.limits.document)?).1);
    }
    let spool = Spool::new(outside.spool()?);
    let contents = archive::contents(cx, (&name, File::open(path)?), &spool, 0);
    let contents = contents.map_err(|fault| Error::of_tar(&name, fault))?;
    Ok(whole(contents.rest, &contents.tree))
}

/// The manifest of the image in a file, as it stands there. What follows it is not read.
pub fn manifest_of(cx: &Context<'_>, path: &Path) -> Result<Vec<u8>> {
    let name = path.display().to_string();
    let plain = BufReader::new(tar_tree::plain(cx, File::open(path)?)?);
    let mut members = Members::new(tar::Reader::new(plain, cx.limits), cx.limits.document);
    let what = "there is no manifest in it".to_owned();
    let none = || HostError::from(AciError::Archive { place: name, what }).into();
    members.read_manifest()?.ok_or_else(none)
}

/// The first bytes of a file.
fn start(path: &Path) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    let read = File::open(path)?.take(64).read_to_end(&mut start);
    read.map_err(|error| Fault::io(format!("read {}", path.display()), error))?;
    Ok(start)
}

fn whole(Rest { manifest: bytes, mut findings }: Rest, tree: &Tree) -> Vec<Finding> {
    let Some(bytes) = bytes else { return findings };
    let (manifest, found) = manifest(&bytes);
    findings.extend(found);
    if let Some(manifest) = manifest {
        findings.extend(validate::rootfs(&manifest, tree));
    }
    findings
}

fn manifest(bytes: &[u8]) -> (Option<ImageManifest>, Vec<Finding>) {
    match ImageManifest::parse(bytes) {
        Ok(manifest) => {
            let found = validate::manifest(&manifest);
            (Some(manifest), found)
        }
        Err(error) => {
            let (severity, place) = (Severity::Error, "/".into());
            (None, vec![Finding { rule: "json", severity, place, what: error.to_string() }])
        }
    }
}

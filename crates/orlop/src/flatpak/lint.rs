//! `flatpak lint`: what keeps flatpak from installing an image.

use super::Finding;
use crate::cat;
use crate::image::Image;
use crate::layers;
use orlop_host::flatpak::lint;
use orlop_spec::Context;
use orlop_spec::port::Result;
use std::cmp::Reverse;

/// Bytes of the largest file `metadata` that is compared.
const LARGEST: u64 = 1 << 20;

/// Reads and proves every layer, and says what flatpak would mind: errors first.
pub fn lint(cx: &Context<'_>, image: &Image<'_>) -> Result<Vec<Finding>> {
    let mut findings = lint::documents(image.config(), &image.manifest().annotations);
    let trees = layers::open(cx, "read", image, &|_, decode| decode(&mut ()))?.trees;
    findings.extend(lint::layers(&trees));
    let tree = layers::stack(trees)?;
    findings.extend(lint::tree(&tree));
    if let Some(content) = cat::small(cx, image, &tree, b"metadata", LARGEST)? {
        findings.extend(lint::file(image.config(), &content));
    }
    findings.sort_by_key(|finding| Reverse(finding.severity));
    Ok(findings)
}

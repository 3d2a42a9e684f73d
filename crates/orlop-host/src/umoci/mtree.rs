//! Manifests of trees in the form of mtree(5), as go-mtree writes them for umoci.
//!
//! ```text
//! folder ──Survey──► Mtree ──write──► text
//!                      ▲ │
//! text ────read────────┘ └──compare with another──► deltas
//! ```
//!
//! Invariant: a manifest begins with its root, everything in it lies in a folder that it has, and the order is that of the
//! components: a folder stands before what is in it.

mod compare;
mod facts;
mod read;
mod snapshot;
mod vis;
mod write;

pub use compare::{Delta, Difference, compare};
pub use facts::{Facts, Keyword, Keywords, Stamp, Times};

use super::error::MtreeError;
use orlop_fs::scan::Survey;
use orlop_layer::TreePath;
use orlop_spec::{Digest, Limits};
use std::io::{self, BufRead, Write};

/// What is known of each path of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mtree {
    entries: Vec<(TreePath, Facts)>,
}

impl Mtree {
    /// The manifest of a folder, with everything that the survey looks at.
    pub fn of(survey: &mut Survey<'_>, times: Times) -> orlop_fs::Result<Self> {
        let mut entries = Vec::new();
        while let Some(found) = survey.next()? {
            let facts = Facts::of(&found, times);
            entries.push((found.path, facts));
        }
        Ok(Self { entries })
    }

    /// Reads a manifest.
    pub fn read(text: &mut dyn BufRead, limits: &Limits) -> Result<Self, MtreeError> {
        read::read(text, limits).map(|entries| Self { entries })
    }

    /// Writes it as umoci does.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write::write(&self.entries, out)
    }

    /// Every path and what is known of it, the root first.
    pub fn entries(&self) -> &[(TreePath, Facts)] {
        &self.entries
    }

    /// What is known of a path.
    pub fn get(&self, path: &TreePath) -> Option<&Facts> {
        let found = self.entries.binary_search_by(|(other, _)| other.components().cmp(path.components()));
        found.ok().map(|at| &self.entries[at].1)
    }

    /// The keywords that it uses.
    pub fn keywords(&self) -> Keywords {
        let uses = |keyword: &Keyword| self.entries.iter().any(|(_, facts)| facts.uses(*keyword));
        Keyword::ALL.into_iter().chain([Keyword::ExactTime]).filter(uses).collect()
    }
}

/// The name that umoci gives the manifest of a bundle of this image.
pub fn file_name(manifest: &Digest) -> String {
    format!("{}.mtree", manifest.to_string().replacen(':', "_", 1))
}

#[cfg(test)]
mod tests;

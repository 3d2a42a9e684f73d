//! The changes of a tracked folder as one layer on its image.
//!
//! Invariant: the step touches the image that the folder came from, and no other of an index; its layers stay descriptors.

use super::{About, Tracked, content, digest_of};

use crate::edit::{Piece, Revision, Step};
use crate::error::Error;
use crate::form::Form;
use crate::image::Image;
use orlop_fs::Dir;
use orlop_fs::snapshot::RecordId;
use orlop_fs::track::{Changes, Compared, Streamed};
use orlop_layer::encode::Encoded;
use orlop_layer::tree::{Content, InodeKind, Tree};
use orlop_spec::config::History;
use orlop_spec::port::{Result, Sink};
use orlop_spec::time::Timestamp;
use orlop_spec::{AnyDigest, Context, Digest};
use std::collections::HashMap;
use std::sync::Mutex;

/// How the layer is made.
#[derive(Clone, Debug, Default)]
pub struct Repack {
    /// How it is written.
    pub form: Form,
    /// When the image was made; the newest time in the layer where nobody says.
    pub created: Option<Timestamp>,
    /// The step of the history; nothing for one that says nothing.
    pub history: Option<History>,
}

/// The layer of what was changed in a folder: a step of an edit.
pub struct Layer<'a> {
    tracked: &'a Tracked,
    how: &'a Repack,
    journal: Option<&'a Dir>,
    base: AnyDigest,
    tree: Tree,
    made: Mutex<Option<Made>>,
}

/// What was written.
struct Made {
    encoded: Encoded,
    streamed: Vec<Streamed>,
}

impl<'a> Layer<'a> {
    /// The layer of what a comparison found; nothing where that is nothing.
    pub fn of(
        tracked: &'a Tracked,
        compared: &Compared,
        how: &'a Repack,
        journal: Option<&'a Dir>,
    ) -> Option<Self> {
        let tree = compared.layer();
        tree.entries().next()?;
        let base = tracked.about.manifest.digest.clone();
        Some(Self { tracked, how, journal, base, tree, made: Mutex::default() })
    }

    fn write(&self, cx: &Context<'_>, to: &dyn Sink) -> Result<Made> {
        let root = &self.tracked.folder.root;
        let item = root.path().display().to_string();
        let mut changes = Changes::open(root, &self.tree, self.journal, cx.cancel)?;
        let encoded = self.how.form.put(cx, ("repack", &item), &mut changes, to)?;
        Ok(Made { encoded, streamed: changes.streamed() })
    }

    /// Whether the layer was put on the image.
    ///
    /// # Panics
    /// Where another thread did, while it wrote.
    pub fn is_made(&self) -> bool {
        self.made.lock().expect("no holder panics").is_some()
    }

    /// Lets the snapshot be of what the folder is now, and of the image with the layer, which is found by `reference`.
    ///
    /// # Errors
    /// Where `image` is another one.
    ///
    /// # Panics
    /// Where another thread did, while it wrote.
    pub fn refresh(&self, compared: Compared, image: &Image<'_>, reference: &str) -> Result<()> {
        let made = self.made.lock().expect("no holder panics").take();
        let (Some(made), Some(mut snapshot)) = (made, compared.snapshot) else { return Ok(()) };
        let about = About::of(image, reference);
        let base = &self.tracked.about.diff_ids;
        if about.diff_ids.split_last() != Some((&made.encoded.diff_id, &base[..])) {
            return Err(Error::OtherImage { reference: reference.to_owned() }.into());
        }
        let layer =
            u16::try_from(base.len()).map_err(|_| Error::TooManyLayers { limit: usize::from(u16::MAX) })?;
        let sha256: HashMap<u32, Digest> = made
            .streamed
            .iter()
            .filter_map(|streamed| Some((streamed.content.ordinal, digest_of(streamed.sha256)?)))
            .collect();
        for (found, written) in contents(&self.tree).zip(contents(&made.encoded.tree)) {
            let written = Content { layer, ..written };
            let known = content(sha256.get(&found.ordinal), &written);
            snapshot.set_content(RecordId::at(found.ordinal), known);
        }
        snapshot.about = about.to_bytes();
        Ok(self.tracked.folder.place.write(&snapshot)?)
    }
}

/// The contents of a tree in its order: one layer has them in the same order, written and read.
fn contents(tree: &Tree) -> impl Iterator<Item = Content> + '_ {
    tree.walk().filter_map(|(_, id)| match tree.inode(id).kind {
        InodeKind::File(content) => Some(content),
        _ => None,
    })
}

impl Step for Layer<'_> {
    fn apply<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, to: &dyn Sink) -> Result<()> {
        if revision.image().manifest().descriptor().digest != self.base {
            return Ok(());
        }
        let made = self.write(cx, to)?;
        let newest = made.encoded.newest.and_then(|time| Timestamp::new(time.seconds, 0).ok());
        let created = self.how.created.or(newest).map(|time| time.to_string().into_boxed_str());
        let history = self
            .how
            .history
            .clone()
            .map(|step| History { created: step.created.or(created.clone()), ..step });
        let Encoded { blob, diff_id, .. } = &made.encoded;
        revision.append(Piece::made(blob.clone(), *diff_id), history.unwrap_or_default());
        if created.is_some() {
            revision.config_mut().created = created;
        }
        *self.made.lock().expect("no holder panics") = Some(made);
        Ok(())
    }
}

/// What was written is asked for when the edit is done.
impl Step for &Layer<'_> {
    fn apply<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, to: &dyn Sink) -> Result<()> {
        (**self).apply(cx, revision, to)
    }
}

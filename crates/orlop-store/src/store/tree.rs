//! What layers of the store mean, without a look at their contents.
//!
//! Invariant: the tree of a list is the tree of the layer ([`Hollow`]), and no object is opened. The list is proven by its own sha256. That the layer's bytes have the diff id is not proven again:
//! they were when the list was written, and [`Store::export`](super::Store::export) proves them for whoever needs it.
//!
//! ```text
//! list ──┬─ literal bytes ─► tar::Reader ─► tree ──┐
//!        ├─ zeros ─────────►      ▲                ├─ stack ─► Rendered: the tree, and where its contents are
//!        └─ digests ─► contents by ordinal ────────┘
//! ```

use super::Store;
use super::objects::Object;
use orlop_layer::list::{Held, Hollow};
use orlop_layer::tree::{Content, Tree};
use orlop_layer::{Budget, Error as LayerError, decode};
use orlop_spec::Limits;
use orlop_spec::digest::{Algorithm, DiffId, Digest};
use orlop_spec::port::Result;
use std::thread;

/// What one layer may cost, and all of them together.
type Within<'a> = (&'a Limits, &'a Budget);

/// A root file system that the store can show: its tree, and where its contents are.
#[derive(Debug, Default)]
pub struct Rendered {
    /// The stacked tree.
    pub tree: Tree,
    layers: Vec<Contents>,
}

impl Store {
    /// The tree of a layer, which is the `number`th of an image. Ordinals of its entries are those of
    /// [`Store::contents`].
    ///
    /// The list is proven by its own sha256. The layer's bytes were proven when they came in; they are not put together
    /// here, so a lost object is not noticed.
    pub fn layer_tree(&self, diff_id: &DiffId, number: u16, limits: &Limits) -> Result<Tree> {
        Ok(self.layer_meaning(diff_id, number, (limits, &Budget::of_entries(u64::MAX)))?.0)
    }

    /// What layers mean together, base first. As [`Store::layer_tree`] it opens no object.
    pub fn rendered(&self, layers: &[DiffId], limits: &Limits) -> Result<Rendered> {
        let mut rendered = Rendered::default();
        let entries = Budget::of_entries(limits.entries);
        let numbered: Vec<(u16, &DiffId)> = (0..).zip(layers).collect();
        // No more trees than threads are held beside the one that they become.
        for several in numbered.chunks(self.workers.get()) {
            for meaning in self.meanings(several, (limits, &entries)) {
                let (tree, contents) = meaning?;
                rendered.tree = std::mem::take(&mut rendered.tree).stack(tree)?;
                rendered.layers.push(contents);
            }
        }
        Ok(rendered)
    }

    /// What some layers mean, each found out by a thread of its own.
    fn meanings(&self, layers: &[(u16, &DiffId)], within: Within<'_>) -> Vec<Result<(Tree, Contents)>> {
        let meaning = |(number, diff_id): (u16, &DiffId)| self.layer_meaning(diff_id, number, within);
        let [first, others @ ..] = layers else { return Vec::new() };
        thread::scope(|threads| {
            let others: Vec<_> = others.iter().map(|layer| threads.spawn(move || meaning(*layer))).collect();
            let own = meaning(*first);
            let join = |other: thread::ScopedJoinHandle<'_, _>| {
                other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            std::iter::once(own).chain(others.into_iter().map(join)).collect()
        })
    }

    fn layer_meaning(
        &self,
        diff_id: &DiffId,
        number: u16,
        (limits, entries): Within<'_>,
    ) -> Result<(Tree, Contents)> {
        let mut contents = Contents::default();
        let see = Box::new(|ordinal, held: &Held| contents.push(ordinal, held));
        let list = Hollow::new(self.list(diff_id)?, *diff_id, see);
        let tree = decode::tree_within(entries, list, number, limits)?;
        contents.slots.shrink_to_fit();
        contents.bytes.shrink_to_fit();
        Ok((tree, contents))
    }
}

impl Rendered {
    /// Where the content of a file of the tree is; `None` for an empty one.
    pub fn held(&self, content: &Content) -> Option<Held> {
        if content.size == 0 {
            return None;
        }
        self.layers.get(usize::from(content.layer))?.held(content)
    }

    /// The content of a file where it is short.
    pub fn short(&self, content: &Content) -> Option<&[u8]> {
        let layer = self.layers.get(usize::from(content.layer))?;
        match layer.place(content)? {
            Place::Short { at, length } => layer.bytes.get(*at as usize..)?.get(..usize::from(*length)),
            Place::Object(_) => None,
        }
    }

    /// The sha256 of a file's content; `None` where the content is of another tree.
    pub fn digest(&self, content: &Content) -> Option<Digest> {
        if content.size == 0 {
            return Some(Digest::of(Algorithm::Sha256, b""));
        }
        Some(match self.held(content)? {
            Held::Object(object) => object.digest,
            Held::Short(bytes) => Digest::of(Algorithm::Sha256, &bytes),
        })
    }
}

/// Where the contents of one layer are: 40 bytes for each, and the short ones.
#[derive(Debug, Default)]
struct Contents {
    /// In the order of the ordinals.
    slots: Vec<Slot>,
    /// Short contents, one behind the other.
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Slot {
    ordinal: u32,
    place: Place,
}

/// The size of an object is in the tree.
#[derive(Debug)]
enum Place {
    Short { at: u32, length: u8 },
    Object([u8; 32]),
}

impl Contents {
    fn push(&mut self, ordinal: u32, held: &Held) -> Result<()> {
        let place = match held {
            Held::Short(bytes) => {
                let limit = u32::MAX.into();
                let full = LayerError::Limit { what: "the short contents of a layer", limit };
                let at = u32::try_from(self.bytes.len()).map_err(|_| full)?;
                self.bytes.extend_from_slice(bytes);
                Place::Short { at, length: u8::try_from(bytes.len()).expect("a short content has 64 bytes") }
            }
            Held::Object(object) => {
                Place::Object(object.digest.bytes().try_into().expect("objects are named by sha256"))
            }
        };
        self.slots.push(Slot { ordinal, place });
        Ok(())
    }

    fn place(&self, content: &Content) -> Option<&Place> {
        let index = self.slots.binary_search_by_key(&content.ordinal, |slot| slot.ordinal).ok()?;
        Some(&self.slots[index].place)
    }

    fn held(&self, content: &Content) -> Option<Held> {
        match self.place(content)? {
            Place::Short { at, length } => {
                let bytes = self.bytes.get(*at as usize..)?.get(..usize::from(*length))?;
                Some(Held::Short(bytes.into()))
            }
            Place::Object(hash) => {
                let digest = Digest::from_bytes(Algorithm::Sha256, hash)?;
                Some(Held::Object(Object { digest, size: content.size }))
            }
        }
    }
}

//! A place in memory, a folder that was unpacked from it, and what is done with both.

use orlop::build::{Build, Form, Input, build};
use orlop::copy::Platforms;
use orlop::diff::Difference;
use orlop::edit::{self, Step, Subject, Taken};
use orlop::fs::lock::Share;
use orlop::fs::owner::Owner;
use orlop::fs::staging::{Detail, Durable, Existing};
use orlop::fs::track::{Compared, Hash, Renew};
use orlop::fs::{Dir, File};
use orlop::image::Image;
use orlop::index::Place;
use orlop::layer::{Time, TreePath};
use orlop::spec::descriptor::Annotations;
use orlop::spec::edit::Edit;
use orlop::spec::port::{Catalog, Name, Result, Selector};
use orlop::spec::{Cancel, Context, Descriptor, Limits, Platform};
use orlop::track::{Layer, Look, Repack, Reverted, Tracked, changes, revert};
use orlop::trees::{FolderTree, Reading, TreeSource as _};
use orlop::unpack::{Unpack, unpack};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use testkit::scratch::{Scratch, scratch_in_memory};
use testkit::suites::Place as _;
use testkit::suites::memory::Memory;

pub(crate) const NOW: &str = "now";
pub(crate) const THEN: &str = "then";

pub(crate) struct World {
    pub(crate) scratch: Scratch,
    pub(crate) memory: Memory,
    pub(crate) owner: Owner,
    cancel: Cancel,
    limits: Limits,
}

impl World {
    /// A world whose folder `tree` is what the image is made of.
    pub(crate) fn new(owner: Owner) -> Self {
        let (scratch, memory) = (scratch_in_memory(), Memory::default());
        Self { scratch, memory, owner, cancel: Cancel::new(), limits: Limits::default() }
    }

    pub(crate) fn cx(&self) -> Context<'_> {
        let workers = NonZeroUsize::new(2).expect("two");
        Context { observer: &(), cancel: &self.cancel, limits: &self.limits, workers }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    pub(crate) fn catalog(&self) -> Box<dyn Catalog + '_> {
        self.memory.catalog().expect("memory is there")
    }

    /// The folders `tree…` as the layers of the image `then`.
    pub(crate) fn build(&self, trees: &[&str]) {
        let cx = self.cx();
        let reading = Reading { owner: self.owner, ..Reading::default() };
        let trees: Vec<_> =
            trees.iter().map(|tree| FolderTree::open(&self.path(tree)).expect("it is there")).collect();
        let inputs =
            trees.iter().map(|tree| Input::new("tree".into(), tree.entries(&cx, &reading).expect("read")));
        let image = Build {
            base: None,
            platform: Platform::new("linux", "amd64", None),
            inputs: inputs.collect(),
            edit: Edit::default(),
            annotations: Annotations::new(),
            dialect: None,
        };
        let sink = self.memory.sink().expect("memory is there");
        build(&cx, vec![image], &Form::default(), sink, &[Name::Tag(THEN.into())]).expect("built");
    }

    /// Unpacks an image, and tracks the folder or not.
    pub(crate) fn unpack(&self, tag: &str, folder: &str, track: Option<&str>) {
        let catalog = self.catalog();
        let image = self.image(&*catalog, tag);
        let how = Unpack {
            owner: self.owner,
            detail: Detail::Full,
            existing: Existing::Refuse,
            sync: Durable::No,
            subdir: TreePath::root(),
            track: track.map(Into::into),
        };
        unpack(&self.cx(), &image, &self.path(folder), &how).expect("there is room");
    }

    pub(crate) fn image<'c>(&self, catalog: &'c dyn Catalog, tag: &str) -> Image<'c> {
        let selector = Selector::Tag(tag.into());
        Image::fetch(&self.cx(), catalog, &selector, &Platform::new("linux", "amd64", None)).expect("there")
    }

    pub(crate) fn root(&self, tag: &str) -> Descriptor {
        self.catalog().resolve(&Selector::Tag(tag.into())).expect("there").remove(0)
    }

    pub(crate) fn publish(&self, tag: &str, root: Descriptor) {
        let sink = self.memory.sink().expect("memory is there");
        sink.finish(&[(Name::Tag(tag.into()), root)]).expect("published");
    }

    pub(crate) fn tracked(&self, folder: &str) -> Tracked {
        Tracked::open(&self.path(folder), Share::Exclusive, &self.limits).expect("tracked")
    }

    /// Makes the snapshot one that was taken long after the folder was changed last, so that its facts are believed; whoever
    /// changes the folder from here on does so at another time.
    pub(crate) fn settle(&self, folder: &str) {
        let tracked = self.tracked(folder);
        let mut snapshot = tracked.folder.snapshot;
        let now = snapshot.now.expect("the file system tells the time");
        snapshot.now = Some(Time::from_seconds(now.seconds + 10));
        tracked.folder.place.write(&snapshot).expect("written");
        // Longer than a step of the clock.
        std::thread::sleep(Duration::from_millis(12));
    }

    /// Repacks the folder as `now`; tells whether a layer was made.
    pub(crate) fn repack(&self, folder: &str, look: &Look, renew: Renew) -> Result<bool> {
        let (cx, tracked, how) = (self.cx(), self.tracked(folder), Repack::default());
        let compared = tracked.compare(&cx, look, None, (Hash::Doubtful, renew))?;
        let layer = Layer::of(&tracked, &compared, &how, None);
        self.edit(&tracked, layer.as_ref())?;
        let is_made = layer.is_some();
        if let (Some(layer), Renew::Yes) = (&layer, renew) {
            let catalog = self.catalog();
            layer.refresh(compared, &self.image(&*catalog, NOW), NOW)?;
        }
        Ok(is_made)
    }

    /// Puts the layer of what was found on the image, as `now`.
    pub(crate) fn publish_layer(&self, tracked: &Tracked, compared: &Compared) -> Result<()> {
        let how = Repack::default();
        self.edit(tracked, Layer::of(tracked, compared, &how, None).as_ref())
    }

    fn edit(&self, tracked: &Tracked, layer: Option<&Layer<'_>>) -> Result<()> {
        let catalog = self.catalog();
        let root = catalog.resolve(&Selector::Digest(tracked.about.manifest.digest.clone()))?.remove(0);
        let (platforms, place) = (Platforms::All, Place::Same);
        let subject = Subject { from: &*catalog, root, platforms, taken: Taken::All, place, seen: None };
        let steps: Vec<Box<dyn Step + '_>> =
            layer.iter().map(|layer| Box::new(*layer) as Box<dyn Step>).collect();
        let sink = self.memory.sink().expect("memory is there");
        edit::edit(&self.cx(), &subject, &steps, &Name::Tag(NOW.into()), sink).map(drop)
    }

    pub(crate) fn find(&self, tag: &str) -> Option<Descriptor> {
        self.catalog().resolve(&Selector::Tag(tag.into())).ok().map(|mut roots| roots.remove(0))
    }

    pub(crate) fn changes(&self, folder: &str, look: &Look) -> Vec<Difference> {
        let tracked = self.tracked(folder);
        let compared = tracked.compare(&self.cx(), look, None, (Hash::Changed, Renew::No)).expect("compared");
        changes(&compared)
    }

    pub(crate) fn revert(&self, folder: &str, tag: &str) -> Result<Reverted> {
        let catalog = self.catalog();
        let spool: File = Dir::open(self.scratch.root())?.spool()?;
        let image = self.image(&*catalog, tag);
        revert(&self.cx(), &self.tracked(folder), &image, &Look::default(), (None, spool))
    }
}

//! Makes a view out of lists and objects.

use super::{Backend, IMAGE, LOSSES, Loss, ROOT, SAMPLE, Sample};
use crate::error::Error;
use crate::store::Store;
use crate::store::guard::Shelf;
use crate::store::layer::Held;
use crate::store::objects::{self, Object};
use crate::store::sealed::sealed;
use crate::store::tree::Rendered;
use orlop_fs::erofs::{self, Describe, Place};
use orlop_fs::loss::{LossKind, Losses};
use orlop_fs::overlay::{self, Flavour};
use orlop_fs::owner::Owner;
use orlop_fs::staging::{Apply, Detail, Durable, Existing, Source, Staging, Supply};
use orlop_fs::{Dir, Persist, random, stat, temp};
use orlop_layer::tree::{Content, Inode, InodeKind};
use orlop_layer::{Device, TreePath, Xattrs};
use orlop_spec::digest::{DiffId, Digest};
use orlop_spec::port::Result;
use orlop_spec::{Context, Event, Fault, Observer, json};
use std::borrow::Cow;
use std::io::{BufWriter, Write};
use std::sync::Mutex;

/// Losses that are kept.
const MOST: usize = 256;

/// Which attributes tell the overlay of a view where contents are.
pub(super) fn flavour(backend: Backend) -> Flavour {
    if backend == Backend::Erofs { Flavour::Trusted } else { Flavour::User }
}

/// Makes the view under a temporary name and gives it its own. Another maker may be quicker: that one's is as good.
pub(super) fn make(
    store: &Store,
    cx: &Context<'_>,
    layers: &[DiffId],
    (backend, owner): (Backend, Owner),
    (trees, key): (&Shelf, &str),
) -> Result<()> {
    let rendered = store.rendered(layers, cx.limits)?;
    let heard = Heard { observer: cx.observer, losses: Mutex::default() };
    let name = random::name(temp::PREFIX);
    trees.folder().make_dir(&name, 0o700)?;
    let folder = trees.folder().open_dir(&name)?;
    let made = Maker { store, cx, rendered: &rendered, backend, owner, observer: &heard }
        .fill(&folder)
        .and_then(|()| heard.write(&folder))
        .and_then(|()| {
            folder.sync()?;
            Ok(trees.folder().rename_new(&name, trees.folder(), key)?)
        });
    match made {
        Ok(()) => Ok(trees.folder().sync()?),
        Err(fault) => {
            // What cannot be removed now, a sweep removes.
            trees.folder().remove_all(&name).ok();
            // There are two makers, or there was a reason to fail.
            if trees.rely_on(key)?.is_some() { Ok(()) } else { Err(fault) }
        }
    }
}

/// Writes the image that layers give.
pub(super) fn image(store: &Store, cx: &Context<'_>, layers: &[DiffId], out: &mut dyn Write) -> Result<()> {
    let rendered = store.rendered(layers, cx.limits)?;
    let (backend, owner) = (Backend::Erofs, Owner::Exact);
    Maker { store, cx, rendered: &rendered, backend, owner, observer: &() }.write_image(out)
}

/// The sample that layers give, in the place of one that is damaged.
pub(super) fn sample_anew(
    store: &Store,
    cx: &Context<'_>,
    layers: &[DiffId],
    (view, backend): (&Dir, Backend),
) -> Result<Option<Sample>> {
    let rendered = store.rendered(layers, cx.limits)?;
    let owner = Owner::Exact;
    let sample = Maker { store, cx, rendered: &rendered, backend, owner, observer: &() }.sample();
    if view.is_writable() {
        let mut temp = view.create_temp()?;
        temp.write_all(&sealed(json::print(&sample))).map_err(|error| Fault::io("write a sample", error))?;
        temp.file().set_mode(0o444)?;
        temp.file().sync_data()?;
        temp.persist(SAMPLE, Persist::Replace)?;
    }
    Ok(sample)
}

struct Maker<'a> {
    store: &'a Store,
    cx: &'a Context<'a>,
    rendered: &'a Rendered,
    backend: Backend,
    owner: Owner,
    observer: &'a dyn Observer,
}

impl Maker<'_> {
    fn fill(&self, folder: &Dir) -> Result<()> {
        self.tell_removals();
        match self.backend {
            Backend::Erofs => self.image(folder)?,
            Backend::Skeleton | Backend::Checkout => self.folder(folder)?,
        }
        write(folder, SAMPLE, &sealed(json::print(&self.sample())))
    }

    fn image(&self, folder: &Dir) -> Result<()> {
        let file = folder.create_file(IMAGE, 0o444)?;
        let mut output = BufWriter::with_capacity(1 << 20, file);
        self.write_image(&mut output)?;
        let file = output.into_inner().map_err(|error| Fault::io("write an EROFS image", error.into()))?;
        Ok(file.sync_data()?)
    }

    fn write_image(&self, out: &mut dyn Write) -> Result<()> {
        erofs::write(&self.rendered.tree, &[], self, out).map_err(|error| self.unfit(error))?;
        Ok(())
    }

    /// What the format of images cannot hold, another backend may show.
    fn unfit(&self, error: orlop_fs::Error) -> Fault {
        match error {
            error @ orlop_fs::Error::NotInErofs { .. } => {
                Error::NotShown { backend: self.backend, source: error }.into()
            }
            error => error.into(),
        }
    }

    fn folder(&self, folder: &Dir) -> Result<()> {
        let apply = Apply {
            owner: self.owner,
            detail: Detail::Full,
            subdir: TreePath::root(),
            layer_of: (self.backend == Backend::Skeleton).then_some(flavour(self.backend)),
            observer: self.observer,
            cancel: self.cx.cancel,
            ..Apply::default()
        };
        let path = stat::real_path(folder.path())?.join(ROOT);
        let mut staging = Staging::create(path, Existing::Refuse, apply)?;
        staging.plant(&self.rendered.tree, self, self.cx.workers)?;
        staging.publish(Durable::Yes)?;
        Ok(())
    }

    /// The smallest file whose content is an object.
    fn sample(&self) -> Option<Sample> {
        let files =
            self.rendered.tree.walk().filter_map(|(path, id)| match self.rendered.tree.inode(id).kind {
                InodeKind::File(content) => Some((content.size, path, self.object(&content)?)),
                _ => None,
            });
        let (size, path, object) = files.min_by_key(|(size, ..)| *size)?;
        Some(Sample { path: path.as_bytes().into(), size, digest: object.digest })
    }

    /// A character device 0:0 is how an overlay says that a name is removed, and cannot be said otherwise.
    fn tell_removals(&self) {
        let mut losses = Losses::default();
        for (path, id) in self.rendered.tree.walk() {
            if self.rendered.tree.inode(id).kind == InodeKind::CharDevice(Device { major: 0, minor: 0 }) {
                let why = "a character device 0:0 means a removal to an overlay";
                losses.add(LossKind::Device, path.as_bytes(), why, self.observer);
            }
        }
        losses.sum_up(self.observer);
    }

    fn object(&self, content: &Content) -> Option<Object> {
        match self.rendered.held(content)? {
            Held::Object(object) => Some(object),
            Held::Short(_) => None,
        }
    }
}

/// The path of an object from the folder of objects on.
pub(super) fn data(object: &Digest) -> Vec<u8> {
    let (folder, name) = objects::split(object);
    format!("/{folder}/{name}").into_bytes()
}

impl Describe for Maker<'_> {
    fn place(&self, content: &Content) -> orlop_fs::Result<Place<'_>> {
        Ok(self.rendered.short(content).map_or(Place::Nowhere, Place::Here))
    }

    fn attributes<'i>(&self, inode: &'i Inode) -> orlop_fs::Result<Cow<'i, Xattrs>> {
        let object = match &inode.kind {
            InodeKind::File(content) => self.object(content),
            _ => None,
        };
        if object.is_none() && inode.meta.xattrs.is_empty() {
            return Ok(Cow::Borrowed(&inode.meta.xattrs));
        }
        let data = object.as_ref().map(|object| data(&object.digest));
        Ok(Cow::Owned(overlay::attributes(&inode.meta.xattrs, flavour(self.backend), data.as_deref())))
    }
}

impl Supply for Maker<'_> {
    fn source(&self, content: &Content) -> orlop_fs::Result<Source<'_>> {
        if let Some(bytes) = self.rendered.short(content) {
            return Ok(Source::Bytes(bytes));
        }
        let object = self.object(content).ok_or_else(|| orlop_fs::Error::MissingContent {
            path: content.ordinal.to_string().as_str().into(),
            layer: content.layer,
        })?;
        if self.backend == Backend::Skeleton {
            return Ok(Source::Elsewhere(flavour(self.backend), data(&object.digest)));
        }
        let opened = self.store.objects().open(&object);
        let failed = |fault: Fault| orlop_fs::Error::io("open", "a content", std::io::Error::from(fault));
        opened.map(Source::File).map_err(failed)
    }
}

/// Passes everything on, and keeps what was lost for whoever mounts the view later.
struct Heard<'a> {
    observer: &'a dyn Observer,
    losses: Mutex<Vec<Loss>>,
}

impl Observer for Heard<'_> {
    fn event(&self, event: Event) {
        match event {
            // Told when the view is opened.
            Event::Lost { what, path, why } => {
                let mut losses = self.losses.lock().expect("no holder panics");
                if losses.len() < MOST {
                    losses.push(Loss { what, path, why });
                }
            }
            event => self.observer.event(event),
        }
    }
}

impl Heard<'_> {
    fn write(&self, folder: &Dir) -> Result<()> {
        let losses = self.losses.lock().expect("no holder panics");
        if losses.is_empty() { Ok(()) } else { write(folder, LOSSES, &sealed(json::print(&*losses))) }
    }
}

fn write(folder: &Dir, name: &str, bytes: &[u8]) -> Result<()> {
    let mut file = folder.create_file(name, 0o444)?;
    file.write_all(bytes).map_err(|error| orlop_fs::Error::io("write", folder.shown(name), error))?;
    Ok(file.sync_data()?)
}

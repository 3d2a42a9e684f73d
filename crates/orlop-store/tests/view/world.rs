//! A store with an image of two layers, and what the kernel must show of it.

use crate::layers::import;
use orlop_fs::Error as FileError;
use orlop_fs::mount::{InUse, Mount, unmount};
use orlop_layer::Stages;
use orlop_spec::digest::DiffId;
use orlop_spec::{Cancel, Context, Fault, Limits};
use orlop_store::Store;
use orlop_store::store::Options;
use orlop_store::store::mounts::Mounted;
use orlop_store::store::view::{Backend, Choice, Upper};
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use testkit::scratch::Scratch;
use testkit::tarball::{Member, tar};
use testkit::{is_root, proof};

/// A mount that is taken away when it is dropped.
pub(crate) struct Shown(pub(crate) PathBuf);

impl Shown {
    pub(crate) fn at(place: PathBuf, mount: Mount) -> Self {
        mount.attach(&place).expect("attached");
        Self(place)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        unmount(&self.0, InUse::Detach).expect("unmounted");
    }
}

pub(crate) struct World {
    pub(crate) scratch: Scratch,
    pub(crate) store: Store,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(testkit::scratch())
    }

    pub(crate) fn on(scratch: Scratch) -> Self {
        let store = Store::create(scratch.path("sto,re\\ a:b"), &Options::default()).expect("a store");
        Self { scratch, store }
    }

    /// Two layers with every kind of thing; the upper one removes, replaces and links.
    pub(crate) fn layers(&self) -> Vec<DiffId> {
        let long = vec![b'l'; 100_000];
        let lower = tar([
            Member::folder("./").mode(0o711).owner(7, 8),
            Member::folder("bin/"),
            Member::file("bin/tool", long.clone()).mode(0o755),
            Member::hard_link("bin/also", "bin/tool"),
            Member::symlink("bin/sh", "tool"),
            Member::file("gone", b"g".repeat(100)),
            Member::folder("folder/"),
            Member::file("folder/below", b"b".repeat(65)),
            Member::file("empty", b""),
            Member::file("short", b"s".repeat(64)),
        ]);
        let upper = tar([
            Member::file(".wh.gone", b""),
            Member::folder("folder/"),
            Member::file("folder/.wh..wh..opq", b""),
            Member::file("folder/above", b"a".repeat(1000)),
            Member::file("same", long),
        ]);
        [lower, upper].map(|layer| import(&self.store, &layer, Stages::One).expect("taken").diff_id).into()
    }

    /// Takes away a mount that nobody uses. A program that another test starts has, for a moment, whatever is open here.
    pub(crate) fn unmount(&self, mounted: &Mounted) {
        for _ in 0..200 {
            match self.store.unmount(mounted, InUse::Refuse) {
                Err(fault) if matches!(fault.downcast_ref(), Some(FileError::MountInUse(_))) => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                outcome => return outcome.expect("unmounted"),
            }
        }
        panic!("{} stays in use", mounted.place.display());
    }

    pub(crate) fn show(
        &self,
        layers: &[DiffId],
        backend: Backend,
        upper: Option<Upper<'_>>,
    ) -> Result<Shown, Fault> {
        let aside = self.scratch.folder("aside");
        let (view, mount) = self.store.show(&cx(), layers, Choice::Only(backend), &aside, upper)?;
        assert_eq!(view.backend(), backend);
        Ok(Shown::at(self.scratch.folder("shown"), mount))
    }

    pub(crate) fn view(&self, key: &str) -> PathBuf {
        self.store.path().join("trees").join(key)
    }
}

pub(crate) fn cx() -> Context<'static> {
    static CANCEL: Cancel = Cancel::new();
    let limits: &'static Limits = Box::leak(Box::default());
    Context { observer: &(), cancel: &CANCEL, limits, workers: NonZeroUsize::MIN }
}

pub(crate) fn check(root: &Path) {
    let top = fs::metadata(root).expect("there");
    assert_eq!((top.mode() & 0o7777, top.uid(), top.gid(), top.mtime()), (0o711, 7, 8, 1_000_000_000));
    let mut names: Vec<_> = fs::read_dir(root)
        .expect("a folder")
        .map(|it| it.expect("read").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    assert_eq!(names, ["bin", "empty", "folder", "same", "short"]);
    let tool = fs::metadata(root.join("bin/tool")).expect("there");
    assert_eq!((tool.len(), tool.mode() & 0o7777, tool.nlink()), (100_000, 0o755, 2));
    assert_eq!(tool.ino(), fs::metadata(root.join("bin/also")).expect("there").ino());
    assert_eq!(
        fs::metadata(root.join("same")).expect("there").mode() & 0o7777,
        0o644,
        "one object, two modes"
    );
    for path in ["bin/tool", "bin/sh", "same"] {
        assert!(fs::read(root.join(path)).expect(path) == vec![b'l'; 100_000], "{path}");
    }
    assert_eq!(fs::read(root.join("folder/above")).expect("there"), b"a".repeat(1000));
    assert!(!root.join("folder/below").exists());
    assert_eq!(fs::read(root.join("short")).expect("there"), b"s".repeat(64));
    assert_eq!(fs::read(root.join("empty")).expect("there"), b"");
}

/// The backends that the kernel offers; those that it does not are told.
pub(crate) fn offered(name: &str, world: &World) -> Vec<Backend> {
    if !is_root() {
        proof::not_offered(name, "only root may mount");
        return Vec::new();
    }
    let offers = |backend: &Backend| world.store.offers(*backend).expect("asked");
    Backend::ALL.into_iter().filter(offers).collect()
}

//! What the program is given: a fault server in the clear, one user, folders of its own, little patience.

use std::path::{Path, PathBuf};
use std::time::Duration;
use testkit::fault_server::{Fault, FaultServer, Guard, Walk};
use testkit::image::{Image, Layout, Packing, blob_path, sha256};
use testkit::scratch::scratch_in_memory;
use testkit::tarball::{Member, tar};
use testkit::token_server::{PASSWORD, USER};
use testkit::{Command, Finished, Scratch, noise, orlop};

/// No fault keeps the program longer: retries, stalls and pauses together.
pub(crate) const BOUND: Duration = Duration::from_secs(25);

/// What is moved.
pub(crate) struct Goods {
    /// Written out, as what is pushed.
    folder: Scratch,
    pub(crate) layout: Layout,
}

impl Goods {
    /// Two layers that nothing compresses.
    pub(crate) fn small() -> Self {
        Self::of(&[150_000, 150_000])
    }

    /// A layer that is sent in two chunks, and a small one.
    pub(crate) fn large() -> Self {
        Self::of(&[(64 << 20) + (3 << 20), 20_000])
    }

    fn of(sizes: &[usize]) -> Self {
        let layers = (1..).zip(sizes).map(|(seed, size)| tar([Member::file("noise", noise(seed, *size))]));
        let layout = Image::of(&layers.collect::<Vec<_>>(), Packing::Plain).layout();
        let folder = scratch_in_memory();
        layout.write(&folder.path("image"));
        Self { folder, layout }
    }

    /// Config, layers and manifest: digests and bytes.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = (String, &[u8])> {
        let blobs = self.layout.files.iter().filter(|(path, _)| path.starts_with("blobs/"));
        blobs.map(|(path, bytes)| (path["blobs/".len()..].replacen('/', ":", 1), bytes.as_slice()))
    }

    /// Digest of the manifest.
    pub(crate) fn root(&self) -> String {
        sha256(&self.layout.files[&self.layout.manifest_path()])
    }

    /// Bytes of layers and config.
    pub(crate) fn size(&self) -> u64 {
        self.blobs().filter(|(digest, _)| *digest != self.root()).map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

/// One server, and the folders of one run.
pub(crate) struct World<'g> {
    pub(crate) server: FaultServer,
    pub(crate) goods: &'g Goods,
    folders: Scratch,
}

impl<'g> World<'g> {
    /// Everything as it must be before the walk.
    pub(crate) fn new(fault: &'static Fault, goods: &'g Goods) -> Self {
        let this = Self {
            server: FaultServer::start(Some(fault), Guard::Token),
            goods,
            folders: scratch_in_memory(),
        };
        old().write(&this.target());
        let mut shelf = this.server.shelf();
        match fault.walk {
            Walk::Pull => drop(shelf.put_layout("app", "1", &goods.layout)),
            Walk::Mount => drop(shelf.put_layout("base", "1", &goods.layout)),
            Walk::Tags => {
                shelf.tags.extend(["1", "2", "3"].map(|tag| (("app".into(), tag.into()), String::new())));
            }
            Walk::Push | Walk::Chunks => {}
        }
        drop(shelf);
        this
    }

    /// The layout that is pulled into; it holds another image already.
    pub(crate) fn target(&self) -> PathBuf {
        self.folders.path("target")
    }

    /// Runs the program.
    pub(crate) fn walk(&self, walk: Walk) -> Finished {
        let there = |name: &str| format!("docker://{}/{name}", self.server.host());
        let image = format!("oci:{}:latest", self.goods.folder.path("image").display());
        let target = format!("oci:{}:new", self.target().display());
        let words = match walk {
            Walk::Pull => ["pull".into(), there("app:1"), target],
            Walk::Push => ["push".into(), image, there("app:1")],
            Walk::Chunks => ["copy".into(), image, there("app:1")],
            Walk::Mount => ["copy".into(), there("base:1"), there("app:1")],
            Walk::Tags => ["ls".into(), there("app"), "--format=human".into()],
        };
        let creds = format!("--creds={USER}:{PASSWORD}");
        at(self.folders.root()).args(words).arg(creds).arg("--stall-timeout=1.5").time(BOUND).run()
    }
}

/// The program with folders of its own.
fn at(home: &Path) -> Command {
    let command = orlop().env("HOME", home).env("XDG_RUNTIME_DIR", home);
    let command = command.env("XDG_CACHE_HOME", home.join("cache")).env("XDG_STATE_HOME", home.join("state"));
    command.env("XDG_CONFIG_HOME", home.join("config"))
}

/// What the target holds before.
pub(crate) fn old() -> Layout {
    Image::of(&[tar([Member::file("old", "old")])], Packing::Gzip).layout()
}

/// Where a layout keeps the blob of a digest.
pub(crate) fn path_of(layout: &Path, digest: &str) -> PathBuf {
    layout.join(blob_path(digest))
}

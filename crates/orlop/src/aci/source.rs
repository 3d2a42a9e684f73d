//! `aci:FILE`: an App Container Image as a place of files, which knows how they run.
//!
//! ```text
//! FILE ──────────► manifest ──► config of the image that the files become
//!   └─ rootfs ─┐
//! dependencies ┴─► one tree
//! ```
//!
//! Invariant: the files are read once, before anything is told of them. What the config of an image cannot say is told,
//! and carried in an annotation.

use super::archive::{self, Archive};
use super::dependencies::{Assembly, called};
use crate::draft::Draft;
use crate::image::Image;
use crate::layers;
use crate::spool::Spool;
use crate::transport::Outside;
use crate::trees::{Reading, Says, Sifted, TreeSource};
use crate::unpack::{link_of, owner_of};
use orlop_host::aci::from_config::ORIGINAL_NAME;
use orlop_host::aci::into_config::{self, Files, Origin};
use orlop_host::aci::machine;
use orlop_host::aci::manifest::{Dependency, ImageManifest};
use orlop_layer::tree::Tree;
use orlop_layer::{Entries, Error as LayerError};
use orlop_spec::port::{Catalog, Result, Selector};
use orlop_spec::runtime::Rootfs;
use orlop_spec::{Context, Event, Platform, reference};
use std::collections::HashMap;
use std::sync::Mutex;

/// Bytes of a file of accounts that are read.
const ACCOUNTS: u64 = 1 << 20;

/// An App Container Image.
pub struct AciFile {
    manifest: ImageManifest,
    raw: Box<str>,
    tree: Tree,
    spool: Spool,
    has_dependencies: bool,
}

impl AciFile {
    /// Reads a file and what it lies over: files that were given, and images of the store.
    pub fn open(file: &reference::File, outside: &Outside<'_>) -> Result<Self> {
        let cx = &outside.cx;
        let spool = Spool::new(outside.spool()?);
        let mut images = vec![read(cx, file, outside, &spool, 0)?];
        for (path, layer) in outside.dependencies.iter().zip(1..) {
            images.push(read(cx, &reference::File::Path(path.clone()), outside, &spool, layer)?);
        }
        let next = u16::try_from(images.len()).unwrap_or(u16::MAX);
        let top = &images[0].manifest;
        let elsewhere = Elsewhere {
            outside,
            spool: &spool,
            wanted: wanted(top, &outside.host),
            state: Mutex::new((next, HashMap::new())),
        };
        let elsewhere = |dependency: &Dependency| elsewhere.find(dependency);
        let assembly =
            Assembly { images: &images, elsewhere: &elsewhere, limits: cx.limits, cancel: cx.cancel };
        let tree = assembly.assemble()?;
        for image in assembly.unused() {
            cx.observer.event(Event::Warned(format!("{} is needed by none of the images", image.name)));
        }
        let Archive { manifest, raw, .. } = images.swap_remove(0);
        let has_dependencies = !manifest.dependencies.is_empty();
        Ok(Self { manifest, raw, tree, spool, has_dependencies })
    }
}

fn read(
    cx: &Context<'_>,
    file: &reference::File,
    outside: &Outside<'_>,
    spool: &Spool,
    layer: u16,
) -> Result<Archive> {
    let (name, input) = outside.input(file)?;
    archive::read(cx, (&name, input), spool, layer)
}

/// For which machine the image is, as far as it says it.
fn wanted(manifest: &ImageManifest, host: &Platform) -> Platform {
    let os = manifest.label("os").unwrap_or("linux");
    let machine = manifest.label("arch").and_then(|arch| machine::to_go(os, arch));
    machine.map_or_else(|| host.clone(), |(architecture, variant)| Platform::new(os, architecture, variant))
}

/// Images of the store, each of which is read once.
struct Elsewhere<'a> {
    outside: &'a Outside<'a>,
    spool: &'a Spool,
    wanted: Platform,
    /// The number of the next layer in the spool, and what was found under which name.
    state: Mutex<(u16, HashMap<String, Tree>)>,
}

impl Elsewhere<'_> {
    /// The image that is called as the dependency is. By an image id none can be found: the store keeps no files of App
    /// Containers.
    fn find(&self, dependency: &Dependency) -> Result<Option<Tree>> {
        if dependency.image_id.is_some() {
            return Ok(None);
        }
        let name = called(dependency);
        let (next, known) = &mut *self.state.lock().expect("no holder panics");
        if let Some(tree) = known.get(&name) {
            return Ok(Some(tree.clone()));
        }
        let tree = self.read(&name, next)?;
        known.extend(tree.clone().map(|tree| (name, tree)));
        Ok(tree)
    }

    fn read(&self, name: &str, next: &mut u16) -> Result<Option<Tree>> {
        let Some(store) = self.outside.store_that_is_there()? else { return Ok(None) };
        if !store.names()?.iter().any(|(held, _)| held.tag() == Some(name)) {
            return Ok(None);
        }
        let cx = &self.outside.cx;
        let image = Image::fetch(cx, &store, &Selector::Tag(name.into()), &self.wanted)?;
        let (first, limit) = (*next, cx.limits.layers as u64);
        let count = u16::try_from(image.manifest().layers.len()).ok();
        let after = count.and_then(|count| first.checked_add(count));
        *next = after.ok_or(LayerError::Limit { what: "the number of layers of all dependencies", limit })?;
        let trees = layers::open_numbered(cx, "read", &image, first, &|layer| self.spool.layer(layer))?;
        Ok(Some(layers::stack(trees)?))
    }
}

impl AciFile {
    /// Calls `with` what must be known of the files.
    fn with_files<T>(&self, with: impl FnOnce(&Files<'_>) -> T) -> T {
        with_files(&self.tree, &self.spool, with)
    }
}

/// Calls `with` what must be known of the files of a tree. Accounts that cannot be read are none.
pub(super) fn with_files<T>(tree: &Tree, spool: &Spool, with: impl FnOnce(&Files<'_>) -> T) -> T {
    let accounts = |path: &[u8]| spool.small(tree, path, ACCOUNTS).ok().flatten();
    let (passwd, group) = (accounts(b"etc/passwd"), accounts(b"etc/group"));
    let link = |path: &[u8]| link_of(tree, path.strip_prefix(b"/").unwrap_or(path));
    let owner = |path: &str| owner_of(tree, path);
    let rootfs = Rootfs { passwd: passwd.as_deref(), group: group.as_deref(), link: &link };
    with(&Files { rootfs, owner: &owner })
}

impl TreeSource for AciFile {
    fn entries<'a>(&'a self, _: &Context<'a>, how: &'a Reading) -> Result<Box<dyn Entries + Send + 'a>> {
        Ok(Box::new(Sifted::new(self.spool.entries(&self.tree), how)))
    }

    fn says(&self, _: &Context<'_>) -> Result<Says> {
        let os = self.manifest.label("os").unwrap_or("linux");
        let machine = self.manifest.label("arch").and_then(|arch| machine::to_go(os, arch));
        let platform = machine.map(|(architecture, variant)| Platform::new(os, architecture, variant));
        let annotations = into_config::annotations(&self.manifest);
        Ok(Says { platform, annotations, ..Says::default() })
    }

    fn is_image(&self) -> bool {
        true
    }

    fn called(&self) -> Option<String> {
        let name = self.manifest.annotation(ORIGINAL_NAME).unwrap_or(&self.manifest.name);
        let version = self.manifest.label("version").filter(|_| name == &*self.manifest.name);
        Some(version.map_or_else(|| name.to_owned(), |version| format!("{name}:{version}")))
    }

    fn becomes(&self) -> &'static str {
        "the App Container becomes an image"
    }

    fn complete(&self, cx: &Context<'_>, draft: &mut Draft) {
        let tell = |what: String| cx.observer.event(Event::Warned(what));
        let origin = self.with_files(|files| into_config::complete(&self.manifest, files, draft.config()));
        match origin {
            Origin::Carried => return,
            Origin::Respelled => {
                return tell(
                    "the config is the one that was carried, in other bytes: its digest is another one"
                        .into(),
                );
            }
            Origin::Relayered => {
                return tell(
                    "the config is the one that was carried, over another layer: its digest is another one"
                        .into(),
                );
            }
            Origin::Changed => {
                tell(
                    "the manifest was changed since it was made of an image: what it says now counts".into(),
                );
            }
            Origin::Drawn => {}
        }
        draft.annotations().insert(into_config::IMAGE_MANIFEST.into(), self.raw.clone());
        for unsaid in into_config::unsaid(&self.manifest) {
            tell(unsaid.to_string());
        }
        if self.has_dependencies {
            tell("the files of its dependencies are in the image; that they are others' is not said".into());
        }
    }
}

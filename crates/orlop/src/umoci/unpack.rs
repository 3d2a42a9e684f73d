//! `umoci unpack`: an image as a bundle that can be repacked, and `umoci raw unpack`: its root filesystem alone.
//!
//! A target that is missing or empty gets the bundle in one step. One that holds something else gets what a bundle is made of
//! beside it, `umoci.json` last, as there.

use super::runtime::config;
use super::survey;
use crate::hashed::Hashed;
use crate::image::Image;
use crate::layers::DirLinks;
use crate::unpack::{CONFIG, ROOTFS, decode};
use orlop_fs::namespace::{Mapping, Mappings};
use orlop_fs::owner::Owner;
use orlop_fs::staging::{Apply, Durable, Existing, SetId, Staging};
use orlop_fs::{Dir, Persist, Temp, privilege};
use orlop_host::umoci::UmociError;
use orlop_host::umoci::meta::{META, MapOptions, Meta, Rootless};
use orlop_host::umoci::mtree::{self, Times};
use orlop_spec::document::DocumentError;
use orlop_spec::graph;
use orlop_spec::index::Index;
use orlop_spec::media_type::Role;
use orlop_spec::port::{Result, Source};
use orlop_spec::runtime::IdMapping;
use orlop_spec::{AnyDigest, Context, Descriptor, Document};
use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

/// The mode of a bundle: programs in it may run as somebody else.
const CLOSED: u16 = 0o700;

/// How an image is unpacked.
#[derive(Clone, Debug, Default)]
pub struct Unbundle {
    /// How owners are mapped.
    pub map: MapOptions,
    /// What becomes of links to folders.
    pub links: DirLinks,
    /// Highest number of open files that the caller may allow.
    pub open_files: Option<u64>,
}

/// Unpacks an image, which `root` leads to, as a bundle. Folders above it that are missing are made.
pub fn unpack(
    cx: &Context<'_>,
    image: &Image<'_>,
    root: &Descriptor,
    target: &Path,
    how: &Unbundle,
) -> Result<()> {
    let manifest = image.manifest().descriptor();
    let name = mtree::file_name(manifest.digest.known().map_err(DocumentError::from)?);
    let walk = walk(cx, image.source(), root, &manifest.digest)?;
    let meta = Meta::new(walk, how.map.clone()).map_err(orlop_host::Error::from)?;
    let beside = occupied(target, &name)?;
    let ids = ids(&how.map)?;
    if let Some(above) = target.parent().filter(|above| !above.as_os_str().is_empty()) {
        Dir::create_all(above)?;
    }
    let apply = Apply { set_id: SetId::Kept, ..apply(cx, how, ids.as_ref()) };
    let place = if beside.is_some() { target.join(ROOTFS) } else { target.to_path_buf() };
    let mut staging = Staging::create(place, Existing::Refuse, apply)?;
    let digests = Mutex::default();
    let (tree, _) = decode(cx, image, &mut staging, how.links, Some(&digests))?;
    let hashed = Hashed::known(tree, digests.into_inner().expect("no holder panics"));
    let tree = staging.root().expect("the tree was put together");
    let config = config(cx, image, Some(tree), ROOTFS, &how.map, how.open_files)?;
    let Some(bundle) = beside else {
        staging.wrap(ROOTFS, &[(CONFIG, &config)])?;
        let outer = staging.wrapping().expect("it was just wrapped");
        let tree = staging.root().expect("the tree was put together");
        describe(cx, outer, (tree, &hashed), &name, &meta)?;
        outer.set_mode(CLOSED)?;
        staging.publish(Durable::No)?;
        return Ok(());
    };
    let tree = staging.publish(Durable::No)?;
    bundle.set_mode(CLOSED)?;
    write(&bundle, CONFIG, &config)?;
    describe(cx, &bundle, (&tree, &hashed), &name, &meta)
}

/// Unpacks the root filesystem of an image alone.
pub fn unpack_root(cx: &Context<'_>, image: &Image<'_>, target: &Path, how: &Unbundle) -> Result<()> {
    let ids = ids(&how.map)?;
    let mut staging = Staging::create(target, Existing::Refuse, apply(cx, how, ids.as_ref()))?;
    decode(cx, image, &mut staging, how.links, None)?;
    staging.publish(Durable::No)?;
    Ok(())
}

fn apply<'a>(cx: &Context<'a>, how: &Unbundle, ids: Option<&'a Mappings>) -> Apply<'a> {
    let owner = match how.map.rootless {
        Rootless::Yes => Owner::Record,
        Rootless::No => Owner::Exact,
    };
    Apply { owner, ids, observer: cx.observer, cancel: cx.cancel, ..Apply::default() }
}

/// What `umoci repack` looks for, beside a tree that has its final form, and what that was made of.
fn describe(
    cx: &Context<'_>,
    bundle: &Dir,
    (tree, hashed): (&Dir, &Hashed),
    name: &str,
    meta: &Meta,
) -> Result<()> {
    write(bundle, name, &text(cx, tree, meta.map.rootless, Some(hashed))?)?;
    write(bundle, META, &meta.to_bytes())
}

/// Describes a bundle of another image than before: `umoci.json` is replaced in one step, and the manifest that it knew goes last.
pub(super) fn describe_again(
    cx: &Context<'_>,
    (bundle, tree): (&Dir, &Dir),
    image: &Image<'_>,
    root: &Descriptor,
    map: &MapOptions,
    before: &str,
) -> Result<()> {
    let manifest = &image.manifest().descriptor().digest;
    let name = mtree::file_name(manifest.known().map_err(DocumentError::from)?);
    let walk = walk(cx, image.source(), root, manifest)?;
    let meta = Meta::new(walk, map.clone()).map_err(orlop_host::Error::from)?;
    replace(bundle, &name, &text(cx, tree, map.rootless, None)?)?;
    replace(bundle, META, &meta.to_bytes())?;
    if name != before {
        bundle.remove_file(before)?;
    }
    Ok(())
}

fn replace(folder: &Dir, name: &str, bytes: &[u8]) -> Result<()> {
    let temp = Temp::beside(folder.try_clone()?, name)?;
    temp.file().write_at(bytes, 0)?;
    temp.file().set_mode(0o644)?;
    temp.persist(name, Persist::Replace)?;
    Ok(())
}

fn text(cx: &Context<'_>, tree: &Dir, rootless: Rootless, made_of: Option<&Hashed>) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    survey(cx, tree, rootless, Times::Whole, made_of)?.write(&mut text).expect("a vector takes everything");
    Ok(text)
}

fn write(folder: &Dir, name: &str, bytes: &[u8]) -> Result<()> {
    let mut file = folder.create_file(name, 0o644)?;
    let written = file.write_all(bytes);
    Ok(written.map_err(|error| orlop_fs::Error::io("write", folder.shown(name), error))?)
}

/// The folder of the bundle where there is one that is not empty; an error where it has a part of a bundle.
fn occupied(target: &Path, manifest: &str) -> Result<Option<Dir>> {
    let folder = match Dir::open(target) {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened?,
    };
    for name in [CONFIG, ROOTFS, META, manifest] {
        if folder.try_stat(name)?.is_some() {
            return Err(orlop_host::Error::from(UmociError::Exists(target.join(name))).into());
        }
    }
    Ok(if folder.is_empty()? { None } else { Some(folder) })
}

/// Whom files are given to. Where nobody may give files away they are the caller's, who must then be root of the container.
fn ids(map: &MapOptions) -> Result<Option<Mappings>> {
    if map.rootless == Rootless::Yes {
        let (uid, gid) = privilege::ids();
        for (what, caller, runs) in [("user", uid, &map.users), ("group", gid, &map.groups)] {
            let mapped = runs.iter().find(|run| run.container == 0 && run.size > 0).map(|run| run.host);
            if let Some(mapped) = mapped.filter(|mapped| *mapped != caller) {
                let error = UmociError::NotTheCaller { what, caller, mapped };
                return Err(orlop_host::Error::from(error).into());
            }
        }
        return Ok(None);
    }
    if map.users.is_empty() && map.groups.is_empty() {
        return Ok(None);
    }
    Ok(Some(Mappings { users: runs(&map.users), groups: runs(&map.groups) }))
}

/// Without a mapping all are what they are.
fn runs(ids: &[IdMapping]) -> Vec<Mapping> {
    if ids.is_empty() {
        return vec![Mapping { inside: 0, outside: 0, count: u32::MAX }];
    }
    let one = |&IdMapping { container, host, size }: &IdMapping| Mapping {
        inside: container,
        outside: host,
        count: size,
    };
    ids.iter().map(one).collect()
}

/// The descriptors from the root to the manifest, both included.
fn walk(
    cx: &Context<'_>,
    source: &dyn Source,
    root: &Descriptor,
    manifest: &AnyDigest,
) -> Result<Vec<Descriptor>> {
    let mut walk = vec![root.clone()];
    let mut seen = HashSet::new();
    let found = root.digest == *manifest || down(cx, source, manifest, &mut walk, &mut seen)?;
    if !found {
        walk.clear();
    }
    Ok(walk)
}

/// Goes on below the last descriptor; whether the manifest was found there.
fn down(
    cx: &Context<'_>,
    source: &dyn Source,
    manifest: &AnyDigest,
    walk: &mut Vec<Descriptor>,
    seen: &mut HashSet<AnyDigest>,
) -> Result<bool> {
    let last = walk.last().expect("it begins with the root");
    let is_deep = walk.len() > cx.limits.index_depth as usize;
    if last.media_type.role() != Role::Index || is_deep || !seen.insert(last.digest.clone()) {
        return Ok(false);
    }
    let index: Document<Index> = graph::read(cx.limits, source, last)?;
    if let Some(child) = index.manifests.iter().find(|child| child.digest == *manifest) {
        walk.push(child.clone());
        return Ok(true);
    }
    for child in index.manifests.iter().filter(|child| child.media_type.role() == Role::Index) {
        walk.push(child.clone());
        if down(cx, source, manifest, walk, seen)? {
            return Ok(true);
        }
        walk.pop();
    }
    Ok(false)
}

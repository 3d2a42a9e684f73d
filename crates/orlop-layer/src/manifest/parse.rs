//! A manifest out of its bytes: strictly, and with no more memory than the bytes are.

use super::{Listing, MAGIC, Node, NodeId, TreeManifest, What, count, sha256};
use crate::entry::{Device, Xattrs};
use crate::error::Error;
use crate::path::{TreePath, is_component};
use orlop_spec::{Algorithm, ChainId, Digest, Limits};

/// Every version begins so.
const FAMILY: &[u8] = b"orlop manifest ";

impl TreeManifest {
    /// Reads a manifest, and proves that it is whole.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let mut input = Input(bytes);
        if !bytes.starts_with(MAGIC) {
            let known = bytes.starts_with(FAMILY);
            return Err(damaged(if known { "it is of another version" } else { "it does not begin as one" }));
        }
        input.take(MAGIC.len())?;
        let chain = chain(input.bytes()?)?;
        let digest = Digest::of(Algorithm::Sha256, b"");
        let mut parsing = Parsing {
            manifest: Self { chain, nodes: Vec::new(), names: Vec::new(), digest },
            links: Vec::new(),
            depths: Vec::new(),
            limits,
        };
        parsing.record(&mut input, None)?;
        let head = &bytes[..bytes.len() - input.0.len()];
        let mut manifest = parsing.listings(&mut input)?;
        manifest.digest = Digest::of(Algorithm::Sha256, head);
        if input.0 != manifest.digest.bytes() {
            return Err(damaged("its digest is another"));
        }
        Ok(manifest)
    }
}

fn damaged(what: &'static str) -> Error {
    Error::BadTreeManifest { what }
}

fn chain(text: &[u8]) -> Result<Option<ChainId>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let digest = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    digest.map(|digest| Some(ChainId(digest))).ok_or_else(|| damaged("it names no layers"))
}

/// A manifest that is being read.
struct Parsing<'a> {
    manifest: TreeManifest,
    /// Further names, and the path that each says.
    links: Vec<(NodeId, TreePath)>,
    /// How deep each node lies.
    depths: Vec<usize>,
    limits: &'a Limits,
}

impl Parsing<'_> {
    /// The listings of all folders, in order; then the further names are known.
    fn listings(mut self, input: &mut Input<'_>) -> Result<TreeManifest, Error> {
        let mut at = 0;
        while at < self.manifest.nodes.len() {
            if matches!(self.manifest.nodes[at].what, What::Directory(_)) {
                self.listing(input, NodeId(count(at)))?;
            }
            at += 1;
        }
        let firsts: Vec<NodeId> =
            self.links.iter().map(|(id, path)| self.first(*id, path)).collect::<Result<_, _>>()?;
        for ((id, _), first) in self.links.iter().zip(firsts) {
            self.manifest.nodes[id.index()].what = What::Link(first);
        }
        Ok(self.manifest)
    }

    fn listing(&mut self, input: &mut Input<'_>, folder: NodeId) -> Result<(), Error> {
        let start = count(self.manifest.nodes.len());
        let What::Directory(listing) = &mut self.manifest.nodes[folder.index()].what else { return Ok(()) };
        listing.first = start;
        let (names, expected) = (listing.count, listing.sha256);
        let before = input.0;
        for _ in 0..names {
            self.record(input, Some(folder))?;
        }
        if sha256(&before[..before.len() - input.0.len()]) != expected {
            return Err(damaged("the digest of a folder is another"));
        }
        let all = super::ids(start as usize..self.manifest.nodes.len());
        if all.map(|id| self.manifest.name(id)).is_sorted_by(|one, next| one < next) {
            Ok(())
        } else {
            Err(damaged("names are out of order"))
        }
    }

    /// The next record; of the root where there is no parent.
    fn record(&mut self, input: &mut Input<'_>, parent: Option<NodeId>) -> Result<(), Error> {
        let kind = input.byte()?;
        self.name(input.bytes()?, parent)?;
        let id = NodeId(count(self.manifest.nodes.len() - 1));
        if kind == b'h' {
            self.links.push((id, path(input.bytes()?)?));
        } else {
            let node = self.manifest.nodes.last_mut().expect("it was just named");
            attributes(input, node)?;
            node.what = what(input, kind)?;
        }
        match (parent, kind) {
            (None, b'd') | (Some(_), _) => Ok(()),
            _ => Err(damaged("its root is no folder")),
        }
    }

    fn name(&mut self, name: &[u8], parent: Option<NodeId>) -> Result<(), Error> {
        let depth = parent.map_or(0, |parent| self.depths[parent.index()] + 1);
        if parent.is_some() != is_component(name) || parent.is_none() && !name.is_empty() {
            return Err(damaged("a name is no single component"));
        }
        within(self.manifest.nodes.len() as u64, self.limits.entries, "the number of entries")?;
        within(depth as u64, self.limits.depth as u64, "the depth of a path")?;
        self.depths.push(depth);
        self.manifest.push(name, parent.unwrap_or(NodeId(0)));
        Ok(())
    }

    /// What a further name leads to.
    fn first(&self, id: NodeId, path: &TreePath) -> Result<NodeId, Error> {
        let manifest = &self.manifest;
        let mut names = path.components();
        let found = names.try_fold(manifest.root(), |folder, name| manifest.child(folder, name));
        let is_link = |found| self.links.binary_search_by_key(&found, |link| link.0).is_ok();
        let found = found.filter(|found| !is_link(*found));
        let found = found.filter(|found| !matches!(manifest.node(*found).what, What::Directory(_)));
        // Where it leads to comes first in the order of the walk.
        let own = manifest.path(id);
        match found {
            Some(found) if path.components().lt(own.components()) => Ok(found),
            _ => Err(damaged("a further name leads to nothing that comes before it")),
        }
    }
}

fn path(bytes: &[u8]) -> Result<TreePath, Error> {
    let path = TreePath::parse(bytes)?;
    if path.as_bytes() == bytes { Ok(path) } else { Err(damaged("a path is not spelled as it should be")) }
}

fn attributes(input: &mut Input<'_>, node: &mut Node) -> Result<(), Error> {
    node.mode = u16::from_le_bytes(input.array()?);
    (node.uid, node.gid) = (input.number()?, input.number()?);
    if node.mode > 0o7777 {
        return Err(damaged("a mode has more than twelve bits"));
    }
    for _ in 0..input.number()? {
        let (name, value) = (input.bytes()?, input.bytes()?);
        if node.xattrs.last_key_value().is_some_and(|(last, _)| **last >= *name) {
            return Err(damaged("attributes are out of order"));
        }
        Xattrs::insert(&mut node.xattrs, name.into(), value.into());
    }
    Ok(())
}

fn what(input: &mut Input<'_>, kind: u8) -> Result<What, Error> {
    Ok(match kind {
        b'f' => What::File { size: u64::from_le_bytes(input.array()?), sha256: input.array()? },
        b'd' => What::Directory(Listing { first: 0, count: input.number()?, sha256: input.array()? }),
        b'l' => What::Symlink(input.bytes()?.into()),
        b'c' => What::CharDevice(device(input)?),
        b'b' => What::BlockDevice(device(input)?),
        b'p' => What::Fifo,
        _ => return Err(damaged("a record is of no known kind")),
    })
}

fn device(input: &mut Input<'_>) -> Result<Device, Error> {
    Ok(Device { major: input.number()?, minor: input.number()? })
}

fn within(value: u64, limit: u64, what: &'static str) -> Result<(), Error> {
    if value > limit { Err(Error::Limit { what, limit }) } else { Ok(()) }
}

/// What is left of the bytes.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| damaged("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        Ok(self.take(N)?.try_into().expect("so many were taken"))
    }

    fn byte(&mut self) -> Result<u8, Error> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn number(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = self.number()?;
        self.take(length as usize)
    }
}

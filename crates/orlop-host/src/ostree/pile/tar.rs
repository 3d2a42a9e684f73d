//! A tar as a tree of its own; its contents become objects while it is read.

use super::super::commit::{FolderOptions, Take};
use super::super::flavour::Flavour;
use super::super::import::{Ids, Layer, take};
use super::super::repo::{RepoError, Transaction};
use super::UPPER;
use crate::Error;
use orlop_fs::FileKind;
use orlop_layer::decode::Visit as _;
use orlop_layer::tree::{Builder, Tree};
use orlop_layer::{Chunk, Entries as _, Entry, Error as LayerError, Kind, TreePath, codec, tar};
use orlop_spec::port::Result;
use orlop_spec::{Context, Event, Fault};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};

/// What is done about members that remove something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removals {
    /// They remove what lies below.
    Applied,
    /// They are an error.
    Refused,
}

/// What a tar holds.
pub(super) struct Tar {
    /// Not stacked on anything.
    pub tree: Tree,
    /// The objects of its files.
    pub ids: Ids,
    /// The time of its newest member.
    pub newest: i64,
}

/// Reads a tar, compressed or not.
pub(super) fn read(
    cx: &Context<'_>,
    transaction: &Transaction<'_>,
    input: impl Read + Send,
    options: FolderOptions<'_>,
    removals: Removals,
) -> Result<Tar> {
    let mut input = BufReader::with_capacity(1 << 18, input);
    let head = input.fill_buf().map_err(LayerError::Read)?;
    if head.is_empty() {
        return Err(LayerError::Tar { offset: 0, what: "there is not one byte" }.into());
    }
    let plain = codec::decoder(codec::detect(head), input, cx.limits);
    let mut reader = tar::Reader::new(BufReader::with_capacity(1 << 18, plain), cx.limits);
    let mut taking = Taking { options, removals, left_out: HashSet::new(), newest: i64::MIN };
    let flavour = Flavour::EXACT.fitting(transaction.repo().mode());
    let (tree, ids) = take(cx, transaction, flavour, |arrivals| {
        taking.members(cx, &mut reader, &mut arrivals.layer(UPPER)).map_err(Fault::from)
    })?;
    if let Some(doubt) = reader.ending().and_then(tar::Ending::doubt) {
        cx.observer.event(Event::Warned(format!("the tar {doubt}")));
    }
    Ok(Tar { tree, ids, newest: taking.newest })
}

/// Decides on members.
struct Taking<'a> {
    options: FolderOptions<'a>,
    removals: Removals,
    /// What is beneath these is left out as well.
    left_out: HashSet<TreePath>,
    newest: i64,
}

impl Taking<'_> {
    fn members(
        &mut self,
        cx: &Context<'_>,
        reader: &mut tar::Reader<impl BufRead>,
        contents: &mut Layer<'_, '_>,
    ) -> Result<Tree, Error> {
        let mut builder = Builder::new(UPPER, cx.limits);
        let mut ordinal = 0;
        while let Some(mut entry) = reader.next_entry()? {
            cx.cancel.check().map_err(RepoError::from)?;
            if self.decide(&mut entry)? == Take::No {
                continue;
            }
            let offset = reader.offset();
            contents.entry(ordinal, offset, &entry)?;
            builder.add(ordinal, offset, &entry)?;
            ordinal += 1;
            while let Some(chunk) = reader.next_chunk()? {
                match chunk {
                    Chunk::Data(bytes) => contents.data(bytes)?,
                    Chunk::Hole(length) => contents.hole(length)?,
                }
            }
        }
        contents.end()?;
        Ok(builder.finish())
    }

    /// Whether a member becomes part of the tree, and as what.
    fn decide(&mut self, entry: &mut Entry) -> Result<Take, Error> {
        if self.is_beneath_left_out(&entry.path) {
            return Ok(Take::No);
        }
        let kind = match entry.kind {
            Kind::Whiteout | Kind::Opaque if self.removals == Removals::Refused => {
                return Err(RepoError::Removes { path: entry.path.to_string() }.into());
            }
            Kind::Whiteout | Kind::Opaque => return Ok(Take::Yes),
            Kind::File { .. } | Kind::HardLink { .. } => FileKind::File,
            Kind::Directory => FileKind::Directory,
            Kind::Symlink { .. } => FileKind::Symlink,
            Kind::CharDevice(_) => FileKind::CharDevice,
            Kind::BlockDevice(_) => FileKind::BlockDevice,
            Kind::Fifo => FileKind::Fifo,
        };
        let adjust = self.options.adjust;
        let mut meta = entry.meta.clone();
        let take = adjust.map_or(Take::Yes, |adjust| adjust(entry.path.as_bytes(), kind, &mut meta));
        if take == Take::No && !entry.path.is_root() {
            self.left_out.insert(entry.path.clone());
            return Ok(Take::No);
        }
        if matches!(entry.kind, Kind::HardLink { .. }) {
            // A further name of a file, which is what was decided of its first one.
            return Ok(Take::Yes);
        }
        entry.meta = self.options.flavour.apply(&meta);
        self.newest = self.newest.max(entry.meta.mtime.seconds);
        Ok(Take::Yes)
    }

    fn is_beneath_left_out(&self, path: &TreePath) -> bool {
        let mut at = path.clone();
        while let Some((folder, _)) = at.split().filter(|_| !self.left_out.is_empty()) {
            if self.left_out.contains(&folder) {
                return true;
            }
            at = folder;
        }
        false
    }
}

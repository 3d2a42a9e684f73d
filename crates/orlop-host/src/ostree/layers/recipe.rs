//! A layer on its way in: read once, taken apart, and never seen before it is whole.
//!
//! ```text
//! origin ──┬─► spool ─────────────► orlop/blob, where the blob cannot be made again
//!          └─► inflate ──┬─► diff id
//!                        ├─► codec ─► is it the blob?
//!                        └─► tar ───┬─► files ─► objects
//!                                   └─► list
//! ```
//!
//! Invariant: a layer has its refs when all that it needs is on the disk. What is no layer, but the blob that was named, is
//! kept as it came.

use super::{Back, DIALECT, LISTS, Note, WHOLE, ref_of};
use crate::error::Error;
use crate::ostree::claim::Root;
use crate::ostree::escape::BLOBS;
use crate::ostree::flavour::Flavour;
use crate::ostree::id::{Kind, ObjectId};
use crate::ostree::object::{Commit, DirMeta, DirTree, FileHeader};
use crate::ostree::refname::RefSpec;
use crate::ostree::repo::{FileWriter, Mode, Repo, Transaction};
use crate::ostree::variant::{Dict, Variant};
use crate::ostree::write_tree::write_tree;
use crate::ostree::zeros::feed_zeros;
use orlop_fs::File;
use orlop_layer::codec::{Blocks, Recipe, first_block};
use orlop_layer::list::{Held, Intake, Object, Recorder, Writer};
use orlop_layer::tree::{Content, InodeKind, Tree, WHITEOUT};
use orlop_layer::verified::Damaged;
use orlop_layer::{Budget, Codec, Decode, Decoded, Entry, Meta, Stages, Verified, Visit, decode};
use orlop_spec::digest::{AnyDigest, DiffId, Digest, Hasher};
use orlop_spec::media_type::Compression;
use orlop_spec::port::{Origin, Result};
use orlop_spec::{Cancel, Context, Descriptor, Fault, Kind as Said};
use std::collections::HashSet;
use std::io::{self, Read, Write};

/// The digest of uncompressed bytes, and their number.
pub(super) const DIFF_ID: &str = "orlop.layer.diff-id";
const SIZE: &str = "orlop.layer.size";
/// What a blob is that is kept as it came.
pub(super) const BLOB: &str = "orlop.blob";

/// What a layer is taken in with.
#[derive(Clone, Copy)]
pub struct Taking<'a> {
    /// Who watches, how to stop, what is allowed.
    pub cx: Context<'a>,
    /// What all layers together may cost.
    pub budget: &'a Budget,
    /// How many threads one layer may have.
    pub stages: Stages,
}

/// What became of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was taken apart.
    Apart(DiffId),
    /// It is no layer that can be, and was kept as it came.
    Whole,
}

impl Repo {
    /// Takes a layer in, in one pass over its blob.
    pub fn keep_layer(
        &self,
        blob: &Descriptor,
        compression: Compression,
        origin: &dyn Origin,
        taking: &Taking<'_>,
    ) -> Result<Taken> {
        let AnyDigest::Known(digest) = blob.digest else {
            return self.keep_whole(blob, origin, &taking.cx).map(|()| Taken::Whole);
        };
        let spool = self.dir().make_or_open_dir("tmp", 0o777).map_err(Error::from)?.spool()?;
        let transaction = self.begin(&taking.cx)?;
        let arrival = Filed { inner: origin.open(0)?, file: spool.try_clone()? };
        match take_apart(&transaction, (blob, &digest), compression, arrival, taking) {
            Ok(apart) => {
                let diff_id = apart.decoded.diff_id;
                apart.keep(&taking.cx, &transaction, blob, &spool)?;
                transaction.finish()?;
                Ok(Taken::Apart(diff_id))
            }
            Err(fault) if is_about_the_layer(&fault) => {
                drop(transaction);
                let transaction = self.begin(&taking.cx)?;
                put_whole(&transaction, blob, &spool)?;
                transaction.finish()?;
                Ok(Taken::Whole)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Keeps a blob as it comes.
    pub fn keep_whole(&self, blob: &Descriptor, origin: &dyn Origin, cx: &Context<'_>) -> Result<()> {
        let spool = self.dir().make_or_open_dir("tmp", 0o777).map_err(Error::from)?.spool()?;
        let mut arrival = Filed { inner: origin.open(0)?, file: spool.try_clone()? };
        let failed = |error| Fault::io("read a blob", error);
        match blob.digest {
            AnyDigest::Known(_) => Verified::new(arrival, blob)?.drain().map_err(failed)?,
            // Its size is all that can be told of it.
            AnyDigest::Other(_) => {
                let most = blob.size.saturating_add(1);
                io::copy(&mut (&mut arrival).take(most), &mut io::sink()).map_err(failed)?;
            }
        }
        let transaction = self.begin(cx)?;
        put_whole(&transaction, blob, &spool)?;
        transaction.finish()?;
        Ok(())
    }
}

/// Whether the blob is what was named, and yet no layer that is understood. One that is more than is allowed is another matter.
fn is_about_the_layer(fault: &Fault) -> bool {
    fault.kind() == Said::Integrity && fault.downcast_ref::<Damaged>().is_none()
}

/// Writes down what is read.
struct Filed<R> {
    inner: R,
    file: File,
}

impl<R: Read> Read for Filed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.file.write_all(&out[..count])?;
        Ok(count)
    }
}

/// A layer whose contents are objects already.
struct Apart {
    decoded: Decoded,
    list: File,
    /// The objects of files, by the ordinals of their entries.
    files: Files,
    back: Back,
}

/// Objects by ordinals, which ascend.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Files(pub(super) Vec<(u32, ObjectId)>);

impl Files {
    /// The object of a content; `None` where it is of another layer.
    pub(in super::super) fn get(&self, content: &Content) -> Option<ObjectId> {
        let at = self.0.binary_search_by_key(&content.ordinal, |(ordinal, _)| *ordinal).ok()?;
        Some(self.0[at].1)
    }

    /// Puts the folders of a layer, whiteouts as files of theirs.
    pub(super) fn put_tree(
        &mut self,
        cx: &Context<'_>,
        transaction: &Transaction<'_>,
        shown: &Tree,
    ) -> Result<Root> {
        let marker = FileHeader::regular(&Meta { mode: 0o644, ..Meta::default() });
        if contents(shown).any(|content| content.ordinal == WHITEOUT) {
            transaction.put_file(&marker, &[])?;
        }
        self.0.push((WHITEOUT, marker.id()));
        let silent = Context { observer: &(), ..*cx };
        let flavour = Flavour::EXACT.fitting(transaction.repo().mode());
        Ok(write_tree(&silent, transaction, shown, &|content| self.get(content), flavour)?)
    }
}

fn take_apart(
    transaction: &Transaction<'_>,
    blob: (&Descriptor, &Digest),
    compression: Compression,
    arrival: impl Read + Send,
    taking: &Taking<'_>,
) -> Result<Apart> {
    let tmp = transaction.repo().dir().open_dir("tmp")?;
    let list = Writer::new(tmp.spool()?, &DIALECT).map_err(writing)?;
    let recorder = Recorder::new(list, Filing::new(transaction, taking.cx.cancel));
    let (decoded, back, recorder) = decode_pressed(blob, compression, arrival, taking, recorder)?;
    let (list, filing) = recorder.into_parts();
    let list = list.finish(decoded.size, &decoded.diff_id).map_err(writing)?;
    Ok(Apart { decoded, list, files: filing.into_files(), back })
}

/// Decodes a layer before a visitor, and finds how its blob can be made again.
pub(super) fn decode_pressed<V: Visit>(
    (blob, digest): (&Descriptor, &Digest),
    compression: Compression,
    mut arrival: impl Read + Send,
    taking: &Taking<'_>,
    visitor: V,
) -> Result<(Decoded, Back, V)> {
    let mut head = Vec::new();
    let most = first_block(compression) as u64;
    let failed = |error| Fault::io("read a blob", error);
    (&mut arrival).take(most).read_to_end(&mut head).map_err(failed)?;
    let recipe = Recipe::guess(&mut &head[..], compression, blob.size)?;
    let mut bytes = Verified::new(io::Cursor::new(head).chain(arrival), blob)?;
    let how = Decode {
        compression,
        expected: None,
        layer: 0,
        limits: taking.cx.limits,
        budget: taking.budget,
        cancel: taking.cx.cancel,
        stages: taking.stages,
        progress: &|_| (),
    };
    let press = recipe
        .filter(|recipe| recipe.codec != Codec::None)
        .map(|recipe| Blocks::new(recipe.codec, Hashing(Hasher::new(digest.algorithm()))));
    let mut pressed = Pressing { visitor, press };
    let decoded = decode(&mut bytes, &how, &mut pressed)?;
    let Pressing { visitor, press } = pressed;
    let made = match press {
        None => recipe.is_some(),
        Some(press) => press.finish().map_err(writing)?.0.finish() == *digest,
    };
    Ok((decoded, recipe.filter(|_| made).map_or(Back::Kept, Back::Made), visitor))
}

fn writing(error: io::Error) -> Fault {
    Fault::io("write the list of a layer", error)
}

impl Apart {
    /// Puts everything but the contents, and sets the refs.
    fn keep(
        mut self,
        cx: &Context<'_>,
        transaction: &Transaction<'_>,
        blob: &Descriptor,
        spool: &File,
    ) -> Result<()> {
        let shown = self.decoded.tree.shown()?;
        let Root { tree, meta } = self.files.put_tree(cx, transaction, &shown)?;
        let list = put_file(transaction, &self.list)?;
        let diff_id = self.decoded.diff_id;
        let lists = self.commit_of_list(transaction, (tree, meta), list, &shown)?;
        transaction.set_ref(
            &RefSpec::local(ref_of(LISTS, &diff_id.to_string()).map_err(Error::from)?),
            Some(&lists),
        );
        if self.back == Back::Kept {
            put_whole(transaction, blob, spool)?;
        }
        let note = Note { digest: blob.digest.clone(), size: blob.size, diff_id, back: self.back };
        let id = put_commit(transaction, note.to_dict(), (tree, meta))?;
        let name = ref_of(BLOBS, &blob.digest.to_string()).map_err(Error::from)?;
        transaction.set_ref(&RefSpec::local(name), Some(&id));
        Ok(())
    }

    /// Everything that the layer needs, in one commit.
    fn commit_of_list(
        &self,
        transaction: &Transaction<'_>,
        (tree, meta): (ObjectId, ObjectId),
        list: ObjectId,
        shown: &Tree,
    ) -> Result<ObjectId> {
        let root = put_root_meta(transaction)?;
        let more = transaction.put(Kind::DirTree, &self.more(shown).to_bytes())?;
        let folders = vec![("files".into(), tree, meta), ("more".into(), more, root)];
        let all = DirTree { files: vec![("list".into(), list)], folders };
        let all = transaction.put(Kind::DirTree, &all.to_bytes())?;
        let metadata = Dict::from_iter([
            (DIFF_ID, Variant::string(&self.decoded.diff_id.to_string())),
            (SIZE, Variant::u64(self.decoded.size)),
        ]);
        put_commit(transaction, metadata, (all, root))
    }

    /// Contents that no name of the layer leads to: of entries that later ones replaced.
    fn more(&self, shown: &Tree) -> DirTree {
        let named: HashSet<u32> = contents(shown).map(|content| content.ordinal).collect();
        let rest =
            self.files.0.iter().filter(|(ordinal, _)| !named.contains(ordinal) && *ordinal != WHITEOUT);
        // All have ten digits, so that their order is that of the numbers.
        let files = rest.map(|(ordinal, id)| (format!("{ordinal:010}").into(), *id)).collect();
        DirTree { files, folders: Vec::new() }
    }
}

/// The contents of all files.
fn contents(tree: &Tree) -> impl Iterator<Item = &Content> {
    tree.walk().filter_map(|(_, id)| match &tree.inode(id).kind {
        InodeKind::File(content) => Some(content),
        _ => None,
    })
}

/// Mode 0755, owned by root.
pub(in super::super) fn put_root_meta(transaction: &Transaction<'_>) -> Result<ObjectId> {
    let meta = DirMeta::of(&Meta { mode: 0o755, ..Meta::default() });
    Ok(transaction.put(Kind::DirMeta, &meta.to_bytes())?)
}

/// A commit that depends on nothing but what it keeps: its time is the beginning of 1970.
pub(in super::super) fn put_commit(
    transaction: &Transaction<'_>,
    metadata: Dict,
    (tree, meta): (ObjectId, ObjectId),
) -> Result<ObjectId> {
    let commit = Commit {
        metadata,
        parent: None,
        related: Vec::new(),
        subject: String::new(),
        body: String::new(),
        time: 0,
        tree,
        meta,
    };
    Ok(transaction.put(Kind::Commit, &commit.to_bytes())?)
}

/// Keeps a blob, which is in a spool, as it came.
fn put_whole(transaction: &Transaction<'_>, blob: &Descriptor, spool: &File) -> Result<()> {
    let found = spool.size()?;
    if found != blob.size {
        let expected = Box::new(blob.clone());
        return Err(orlop_spec::document::DocumentError::WrongSize { found, expected }.into());
    }
    let file = put_file(transaction, spool)?;
    let root = put_root_meta(transaction)?;
    let tree = DirTree { files: vec![("blob".into(), file)], folders: Vec::new() };
    let tree = transaction.put(Kind::DirTree, &tree.to_bytes())?;
    let metadata = [(BLOB, Variant::string(&blob.digest.to_string()))].into_iter().collect();
    let id = put_commit(transaction, metadata, (tree, root))?;
    let name = ref_of(WHOLE, &blob.digest.to_string()).map_err(Error::from)?;
    transaction.set_ref(&RefSpec::local(name), Some(&id));
    Ok(())
}

/// A file of mode 0644, owned by root, with the bytes of another one.
fn put_file(transaction: &Transaction<'_>, from: &File) -> Result<ObjectId> {
    let header = FileHeader::regular(&Meta { mode: 0o644, ..Meta::default() });
    let size = from.size()?;
    let mut writer = transaction.file(&header, size)?;
    let (mut at, mut buffer) = (0, vec![0; 256 << 10]);
    while at < size {
        let count = from.read_at(&mut buffer, at)?;
        if count == 0 {
            break;
        }
        writer.take(&buffer[..count])?;
        at += count as u64;
    }
    Ok(writer.finish()?)
}

/// The header of a file, as a repository of this mode can hold it: one of mode `bare-user-only` must be able to read it.
pub(super) fn header(mode: Mode, meta: &Meta) -> FileHeader {
    let mut header = Flavour::EXACT.fitting(mode).file(meta);
    if mode == Mode::BareUserOnly {
        header.mode |= 0o400;
    }
    header
}

/// Makes objects of the files of a layer.
pub(super) struct Filing<'t> {
    transaction: &'t Transaction<'t>,
    cancel: &'t Cancel,
    /// Of the file under way.
    ordinal: u32,
    size: u64,
    writer: Option<FileWriter<'t>>,
    files: Vec<(u32, ObjectId)>,
}

impl<'t> Filing<'t> {
    pub(super) fn new(transaction: &'t Transaction<'t>, cancel: &'t Cancel) -> Self {
        Self { transaction, cancel, ordinal: 0, size: 0, writer: None, files: Vec::new() }
    }

    pub(super) fn into_files(self) -> Files {
        Files(self.files)
    }
}

impl Intake for Filing<'_> {
    fn begin(&mut self, ordinal: u32, entry: &Entry) -> Result<()> {
        let size = match entry.kind {
            orlop_layer::Kind::File { size } => size,
            _ => 0,
        };
        let header = header(self.transaction.repo().mode(), &entry.meta);
        (self.ordinal, self.size) = (ordinal, size);
        if size > 0 {
            self.writer = Some(self.transaction.file(&header, size)?);
        } else {
            self.files.push((ordinal, self.transaction.put_file(&header, &[])?));
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.writer.as_mut().expect("the entry came before").take(bytes)?)
    }

    fn hole(&mut self, length: u64) -> Result<()> {
        feed_zeros(length, self.cancel, |zeros| self.data(zeros))
    }

    fn end(&mut self) -> Result<Held> {
        let id = self.writer.take().expect("the entry came before").finish()?;
        self.files.push((self.ordinal, id));
        Ok(Held::Object(Object { digest: id.digest(), size: self.size }))
    }
}

type Seen = std::result::Result<(), orlop_layer::Error>;

/// Compresses the uncompressed layer again while it is taken apart.
struct Pressing<V> {
    visitor: V,
    press: Option<Blocks<Hashing>>,
}

impl<V> Pressing<V> {
    fn press(&mut self, bytes: &[u8]) -> Seen {
        match &mut self.press {
            Some(press) => press.write_all(bytes).map_err(orlop_layer::Error::Write),
            None => Ok(()),
        }
    }
}

impl<V: Visit> Visit for Pressing<V> {
    fn entry(&mut self, ordinal: u32, offset: u64, entry: &Entry) -> Seen {
        self.visitor.entry(ordinal, offset, entry)
    }

    fn data(&mut self, bytes: &[u8]) -> Seen {
        self.press(bytes)?;
        self.visitor.data(bytes)
    }

    fn hole(&mut self, length: u64) -> Seen {
        self.visitor.hole(length)
    }

    fn end(&mut self) -> Seen {
        self.visitor.end()
    }

    fn wants_literals(&self) -> bool {
        true
    }

    fn literal(&mut self, bytes: &[u8]) -> Seen {
        self.press(bytes)?;
        self.visitor.literal(bytes)
    }
}

struct Hashing(Hasher);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

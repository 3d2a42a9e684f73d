//! Layers of a repository, looked up and put together.

use super::recipe::{Files, header};
use super::{Back, DIALECT, LISTS, LayersError, Note, WHOLE, ref_of};
use crate::error::Error;
use crate::ostree::escape::BLOBS;
use crate::ostree::id::ObjectId;
use crate::ostree::object::DirTree;
use crate::ostree::refname::{RefName, RefSpec};
use crate::ostree::repo::{FileObject, Repo};
use crate::ostree::variant::Dict;
use orlop_layer::codec::{FRAMING, Pressed};
use orlop_layer::decode;
use orlop_layer::list::{Contents, Export, Held, Hollow, Input, Object, Reader, See, Wrong};
use orlop_layer::tree::{InodeKind, Tree};
use orlop_spec::digest::{AnyDigest, DiffId};
use orlop_spec::port::Result;
use orlop_spec::{Cancel, Descriptor, Limits};
use std::io::Read;
use std::num::NonZeroUsize;

impl Repo {
    /// What is known about a layer's blob. `None` where the repository does not keep it, or another program does.
    pub fn layer_note(&self, blob: &AnyDigest) -> Result<Option<Note>> {
        let name = ref_of(BLOBS, &blob.to_string()).map_err(Error::from)?;
        let Some(id) = self.find_ref(&RefSpec::local(name.clone()))? else { return Ok(None) };
        match note_of(&name, &self.commit(&id)?.metadata)? {
            Some(note) if note.digest != *blob => Err(damaged(name, "it is about another blob")),
            note => Ok(note),
        }
    }

    /// Whether a blob comes back to the bit.
    pub fn keeps(&self, blob: &Descriptor) -> Result<bool> {
        let is_whole = || Ok(self.whole(&blob.digest)?.is_some_and(|file| file.size() == blob.size));
        match self.layer_note(&blob.digest)? {
            Some(note) if note.size != blob.size || self.layer_files(&note.diff_id)?.is_none() => Ok(false),
            Some(Note { back: Back::Made(recipe), .. }) if recipe.is_ours() => Ok(true),
            _ => is_whole(),
        }
    }

    /// The file of a blob that is kept as it came.
    pub fn whole(&self, blob: &AnyDigest) -> Result<Option<FileObject>> {
        let name = ref_of(WHOLE, &blob.to_string()).map_err(Error::from)?;
        let Some(tree) = self.tree_at(&name)? else { return Ok(None) };
        let id = tree.file("blob").ok_or_else(|| damaged(name, "it has no file `blob`"))?;
        Ok(Some(self.file(id)?))
    }

    /// The bytes of a layer's blob. Whoever reads them proves them.
    ///
    /// # Errors
    /// [`LayersError::NotKept`] where the repository has no such layer; [`LayersError::OtherFraming`] where another version
    /// of this program could make it.
    pub fn layer_blob<'a>(
        &'a self,
        blob: &AnyDigest,
        workers: NonZeroUsize,
        cancel: &'a Cancel,
    ) -> Result<Box<dyn Read + Send + 'a>> {
        if let Some(file) = self.whole(blob)? {
            return Ok(Box::new(file.reader()));
        }
        let digest = blob.clone();
        match self.layer_note(blob)? {
            Some(Note { back: Back::Made(recipe), diff_id, .. }) if recipe.is_ours() => {
                Ok(Box::new(Pressed::new(recipe.codec, self.layer_export(&diff_id, cancel)?, workers)))
            }
            Some(Note { back: Back::Made(recipe), .. }) => {
                let (framing, understood) = (recipe.framing, FRAMING);
                Err(Error::from(LayersError::OtherFraming { digest, framing, understood }).into())
            }
            Some(Note { back: Back::Kept, .. }) => Err(Error::from(LayersError::BlobGone { digest }).into()),
            None => Err(not_kept(digest)),
        }
    }

    /// The uncompressed layer. Its bytes are proven as they pass.
    pub fn layer_export<'a>(&'a self, diff_id: &DiffId, cancel: &'a Cancel) -> Result<Export<'a>> {
        Ok(Export::new(self, self.layer_list(diff_id)?, *diff_id, cancel))
    }

    /// The uncompressed layer with zeros for contents, which are not read.
    pub fn layer_outline<'a>(&self, diff_id: &DiffId, see: See<'a>) -> Result<Hollow<'a>> {
        Ok(Hollow::new(self.layer_list(diff_id)?, *diff_id, see))
    }

    /// The list of a layer.
    pub fn layer_list(&self, diff_id: &DiffId) -> Result<Reader> {
        let name = ref_of(LISTS, &diff_id.to_string()).map_err(Error::from)?;
        let tree = self.tree_at(&name)?.ok_or_else(|| not_kept(diff_id.0.into()))?;
        let id = *tree.file("list").ok_or_else(|| damaged(name, "it has no file `list`"))?;
        let of = Box::new(*diff_id);
        let blame = move |wrong| match wrong {
            Wrong::Damaged(what) => {
                Error::from(LayersError::ListDamaged { diff_id: of.clone(), what }).into()
            }
            Wrong::Version(found) => {
                let understood = DIALECT.understood;
                Error::from(LayersError::UnknownVersion { diff_id: of.clone(), found, understood }).into()
            }
        };
        Reader::open(&List { repo: self, id }, &DIALECT, Box::new(blame))
    }

    /// What a layer means, which is the `number`th of an image, and the objects of its files. No content is read.
    pub(in super::super) fn layer_tree(
        &self,
        diff_id: &DiffId,
        number: u16,
        limits: &Limits,
    ) -> Result<(Tree, Files)> {
        let mut files = Vec::new();
        let see = |ordinal: u32, held: &Held| {
            if let Held::Object(object) = held {
                files.extend(ObjectId::from_bytes(object.digest.bytes()).map(|id| (ordinal, id)));
            }
            Ok(())
        };
        let tree = decode::tree(self.layer_outline(diff_id, Box::new(see))?, number, limits)?;
        for (_, id) in tree.walk() {
            let inode = tree.inode(id);
            if let InodeKind::File(content) = &inode.kind
                && content.size == 0
            {
                files.push((content.ordinal, header(self.mode(), &inode.meta).id()));
            }
        }
        files.sort_unstable();
        files.dedup();
        Ok((tree, Files(files)))
    }

    /// The dirtree and dirmeta of a layer's files, where it is here.
    pub(in super::super) fn layer_files(&self, diff_id: &DiffId) -> Result<Option<(ObjectId, ObjectId)>> {
        let name = ref_of(LISTS, &diff_id.to_string()).map_err(Error::from)?;
        let Some(tree) = self.tree_at(&name)? else { return Ok(None) };
        let (tree, meta) = tree.folder("files").ok_or_else(|| damaged(name, "it has no folder `files`"))?;
        Ok(Some((*tree, *meta)))
    }

    /// The root of the commit that a ref names.
    fn tree_at(&self, name: &RefName) -> Result<Option<DirTree>> {
        let Some(id) = self.find_ref(&RefSpec::local(name.clone()))? else { return Ok(None) };
        Ok(Some(self.dirtree(&self.commit(&id)?.tree)?))
    }
}

impl Contents for Repo {
    fn open<'s>(&'s self, object: &Object) -> Result<Box<dyn Read + Send + 's>> {
        let not_kept = || not_kept(object.digest.into());
        let id = ObjectId::from_bytes(object.digest.bytes()).ok_or_else(not_kept)?;
        Ok(Box::new(self.file(&id)?.reader()))
    }
}

/// The list of a layer, as a file of the repository.
struct List<'r> {
    repo: &'r Repo,
    id: ObjectId,
}

impl Input for List<'_> {
    fn size(&self) -> Result<u64> {
        Ok(self.repo.file(&self.id)?.size())
    }

    fn open(&self) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.repo.file(&self.id)?.reader()))
    }
}

/// What the commit at a ref says of a blob; nothing where it is another program's.
pub(super) fn note_of(name: &RefName, metadata: &Dict) -> Result<Option<Note>> {
    if !Note::is_in(metadata) {
        return Ok(None);
    }
    Note::of(metadata).map(Some).map_err(|what| damaged(name.clone(), what))
}

fn damaged(name: RefName, what: &'static str) -> orlop_spec::Fault {
    Error::from(LayersError::NoteDamaged { name, what }).into()
}

fn not_kept(digest: AnyDigest) -> orlop_spec::Fault {
    Error::from(LayersError::NotKept { digest }).into()
}

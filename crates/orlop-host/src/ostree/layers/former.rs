//! A layer on its way into the form of skopeo's `ostree:`: read once, as in `recipe`, and never seen before it is whole.

use super::note::BACK;
use super::recipe::{Filing, Taking, decode_pressed, put_commit};
use super::tarsplit::Splitting;
use super::{Back, LayersError};
use crate::error::Error;
use crate::ostree::claim::Root;
use crate::ostree::kept::former::{SIZE, TAR_SPLIT, UNCOMPRESSED_DIGEST, UNCOMPRESSED_SIZE, spec_of_blob};
use crate::ostree::repo::Repo;
use crate::ostree::variant::{Dict, Variant};
use orlop_spec::digest::AnyDigest;
use orlop_spec::media_type::Compression;
use orlop_spec::port::{Origin, Result};
use orlop_spec::{Descriptor, base64};

impl Repo {
    /// Takes a layer in, in one pass over its blob.
    ///
    /// # Errors
    /// Where the layer is none, or holds a content that its name does not lead to.
    pub(in super::super) fn keep_former_layer(
        &self,
        blob: &Descriptor,
        compression: Compression,
        origin: &dyn Origin,
        taking: &Taking<'_>,
    ) -> Result<()> {
        let AnyDigest::Known(digest) = &blob.digest else {
            return Err(Error::from(LayersError::NotKept { digest: blob.digest.clone() }).into());
        };
        let transaction = self.begin(&taking.cx)?;
        let visitor = Splitting::new(Filing::new(&transaction, taking.cx.cancel));
        let (decoded, back, visitor) =
            decode_pressed((blob, digest), compression, origin.open(0)?, taking, visitor)?;
        let (list, filing, paths) = visitor.into_parts()?;
        let shown = decoded.tree.shown()?;
        paths.check(&shown)?;
        let Root { tree, meta } = filing.into_files().put_tree(&taking.cx, &transaction, &shown)?;
        let text = |text: String| Variant::string(&text);
        let mut metadata = Dict::from_iter([
            (SIZE, text(blob.size.to_string())),
            (UNCOMPRESSED_SIZE, text(decoded.size.to_string())),
            (UNCOMPRESSED_DIGEST, text(decoded.diff_id.to_string())),
            (TAR_SPLIT, text(base64::encode(&list))),
        ]);
        if let Back::Made(recipe) = back {
            metadata.push(BACK, text(recipe.to_string()));
        }
        let id = put_commit(&transaction, metadata, (tree, meta))?;
        transaction.set_ref(&spec_of_blob(&blob.digest)?, Some(&id));
        transaction.finish()?;
        Ok(())
    }
}

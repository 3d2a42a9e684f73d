//! A commit as a tar.

use super::source::CommitTree;
use crate::form::Form;
use crate::tar_tree::NewTar;
use crate::trees::{Reading, TreeSource as _};
use orlop_layer::codec::Codec;
use orlop_layer::encode::{Encoded, encode};
use orlop_spec::port::Result;
use orlop_spec::{Algorithm, Context};

/// Writes the files of a commit as a canonical tar.
pub fn tar(cx: &Context<'_>, commit: &CommitTree, target: &NewTar<'_>) -> Result<Encoded> {
    let reading = Reading::default();
    let how = Form { codec: Codec::None, algorithm: Algorithm::Sha256 }.encode(cx, &|_| ());
    target.write(|out| Ok(encode(&mut *commit.entries(cx, &reading)?, &how, out)?))
}

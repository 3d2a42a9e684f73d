//! The form of an image: what is written of the same files.

use super::parse_size;
use clap::Args;
use orlop::edit::{Convert, Family};
use orlop::layer::codec::Codec;
use orlop::spec::{Algorithm, Fault};
use std::num::NonZeroU64;
use std::path::PathBuf;

/// What of an image's form changes, beside its compression.
#[derive(Args, Debug)]
#[command(next_help_heading = "Form")]
pub struct FormFlags {
    #[command(flatten)]
    shape: ShapeFlags,
    /// Name every blob by this algorithm: sha256, sha384 or sha512; diff ids too
    #[arg(long, value_name = "NAME", value_parser = algorithm)]
    algorithm: Option<Algorithm>,
}

/// Media types, and the size of layers.
#[derive(Args, Debug)]
#[command(next_help_heading = "Form")]
pub struct ShapeFlags {
    /// Whose media types the image gets: oci, or docker; what Docker's cannot say is left out, and that is told
    #[arg(long, value_name = "FAMILY", value_parser = family)]
    media_types: Option<Family>,
    /// Divide layers whose blobs are larger into parts of about this size, such as `100M`
    #[arg(long, value_name = "SIZE", value_parser = layer_size)]
    layer_size: Option<NonZeroU64>,
}

impl ShapeFlags {
    /// The step that gives them to an image; contents wait in `tmpdir`.
    pub fn step(&self, tmpdir: PathBuf) -> Convert {
        let mut convert = Convert::new(tmpdir);
        (convert.family, convert.layer_size) = (self.media_types, self.layer_size);
        convert
    }

    /// Whether anything was said.
    pub fn is_given(&self) -> bool {
        self.media_types.is_some() || self.layer_size.is_some()
    }
}

impl FormFlags {
    /// The step of an edit; contents wait in `tmpdir`.
    ///
    /// # Errors
    /// Usage where one of them cannot be with another.
    pub fn step(&self, codec: Option<Codec>, tmpdir: PathBuf) -> Result<Convert, Fault> {
        let mut convert = self.shape.step(tmpdir);
        (convert.codec, convert.algorithm) = (codec, self.algorithm);
        convert.check()?;
        Ok(convert)
    }

    /// By which algorithm blobs are named.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Whether anything was said.
    pub fn is_given(&self) -> bool {
        self.shape.is_given() || self.algorithm.is_some()
    }
}

/// How layers are compressed that are written anew.
#[derive(Args, Debug)]
pub struct Compressing {
    /// How layers are compressed that are written: none, gzip[:LEVEL], zstd[:LEVEL] [default: as they were]
    #[arg(long, value_name = "HOW", help_heading = "Form")]
    pub compress: Option<Codec>,
}

fn family(text: &str) -> Result<Family, &'static str> {
    match text {
        "oci" => Ok(Family::Oci),
        "docker" => Ok(Family::Docker),
        _ => Err("it is oci or docker"),
    }
}

fn algorithm(text: &str) -> Result<Algorithm, &'static str> {
    match text {
        "sha256" => Ok(Algorithm::Sha256),
        "sha384" => Ok(Algorithm::Sha384),
        "sha512" => Ok(Algorithm::Sha512),
        _ => Err("it is sha256, sha384 or sha512"),
    }
}

fn layer_size(text: &str) -> Result<NonZeroU64, String> {
    NonZeroU64::new(parse_size(text)?).ok_or_else(|| "a layer of nothing holds nothing".into())
}

//! Which image a tracked folder came from (`docs/formats/snapshot.md`, "About the image").

use crate::error::Error;
use crate::image::Image;
use orlop_spec::digest::DiffId;
use orlop_spec::platform::Platform;
use orlop_spec::port::Result;
use orlop_spec::{Descriptor, Fault, Kind, json};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;
/// Bytes that are read.
const LARGEST: usize = 4 << 20;

/// The image that a tracked folder came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    version: u32,
    /// Where the image was, for whoever is in any folder; in older snapshots, and where no text says that, as the user typed it.
    pub reference: String,
    /// The image itself, not an index above it.
    pub manifest: Descriptor,
    /// Its config.
    pub config: Descriptor,
    /// For which machine it is.
    pub platform: Platform,
    /// Its layers, base first.
    pub layers: Vec<Descriptor>,
    /// Digests of the uncompressed layers.
    pub diff_ids: Vec<DiffId>,
}

impl About {
    /// What is kept of an image that is found by `reference`.
    pub fn of(image: &Image<'_>, reference: &str) -> Self {
        Self {
            version: VERSION,
            reference: reference.to_owned(),
            manifest: image.manifest().descriptor().clone(),
            config: image.manifest().config.clone(),
            platform: image.platform(),
            layers: image.manifest().layers.clone(),
            diff_ids: image.config().rootfs.diff_ids.clone(),
        }
    }

    /// Why the image was not found where it was, and that somebody may say where it is.
    pub fn not_found(&self, fault: Fault) -> Fault {
        match fault.kind() {
            Kind::NotFound => Error::ImageGone { reference: self.reference.clone(), source: fault }.into(),
            _ => fault,
        }
    }

    /// The bytes that are kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        json::print(self)
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// Where it is of another version, or does not say what it must.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let unfit = |source| Error::BadAbout { source };
        if bytes.len() > LARGEST {
            return Err(unfit(None).into());
        }
        let about: Self = json::parse(bytes).map_err(|error| unfit(Some(error)))?;
        let is_known = about.version == VERSION && about.layers.len() == about.diff_ids.len();
        if is_known { Ok(about) } else { Err(unfit(None).into()) }
    }
}

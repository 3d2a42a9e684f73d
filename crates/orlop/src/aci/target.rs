//! `aci:FILE`: an image becomes an App Container Image.
//!
//! ```text
//! layers ──► merged tree, contents in a spool ─┐
//! config ──► manifest ─────────────────────────┴─► manifest, rootfs/… ──► canonical tar ──► FILE, whole
//!                                                                             └──► sha512: the image id
//! ```
//!
//! Invariant: the file depends on the image, its name and the compression alone. It appears when it is whole.

use super::chain::Chain;
use super::source::with_files;
use crate::image::Image;
use crate::layers;
use crate::rendering::{Layering, Press, Rendered, Rendering, TreeTarget, Wish};
use crate::spool::Spool;
use crate::tar_tree::{NewTar, write};
use orlop_host::Error as HostError;
use orlop_host::aci::AciError;
use orlop_host::aci::archive::Packed;
use orlop_host::aci::from_config::{self, Named, Subject};
use orlop_host::aci::into_config;
use orlop_host::aci::layer::Over;
use orlop_host::aci::manifest::{ImageManifest, Pair};
use orlop_layer::codec::Codec;
use orlop_layer::path::printable;
use orlop_layer::tree::Tree;
use orlop_layer::{Meta, Time};
use orlop_spec::config::Config;
use orlop_spec::port::Result;
use orlop_spec::time::Timestamp;
use orlop_spec::{Algorithm, Context, Digest, Event};
use std::path::Path;

/// A file that becomes an App Container Image.
pub struct AciTarget<'a>(pub NewTar<'a>);

impl TreeTarget for AciTarget<'_> {
    fn becomes(&self) -> &'static str {
        "an image becomes an App Container"
    }

    fn honours(&self, wish: Wish) -> bool {
        matches!(wish, Wish::Codec | Wish::Aci)
    }

    fn take(&self, cx: &Context<'_>, image: &Image<'_>, how: &Rendering) -> Result<Rendered> {
        let press = how.press.unwrap_or(Press::Layer(Codec::GZIP));
        if matches!(press, Press::Layer(Codec::Zstd { .. })) {
            return Err(NO_ZSTD.into());
        }
        let path = self.0.file.path();
        if how.layering == Layering::Each && path.is_none() {
            return Err(ONE_STREAM.into());
        }
        let spool = Spool::new(self.0.spool()?);
        let opened = layers::open(cx, "read", image, &|layer, decode| decode(&mut spool.layer(layer)))?;
        let id = match path.filter(|_| how.layering == Layering::Each) {
            Some(path) => {
                Chain { cx, target: self, image, how, press, spool: &spool }.write(path, opened.trees)?
            }
            None => self.merged(cx, image, how, (opened.trees, &spool), press)?,
        };
        let path = path.unwrap_or(Path::new("-")).to_string_lossy();
        Ok(Rendered { name: format!("aci:{} sha512-{}", printable(&path), id.hex()), commit: None })
    }
}

pub(super) const NO_ZSTD: crate::Error = crate::Error::Unfit {
    what: "no tool of App Containers reads zstd",
    hint: "compress it with gzip, xz or none",
};

const ONE_STREAM: crate::Error = crate::Error::Unfit {
    what: "the files of several layers do not fit into one stream",
    hint: "name a file, the others come to lie beside it: aci:FILE",
};

impl AciTarget<'_> {
    /// Writes one image of all layers; gives its id.
    fn merged(
        &self,
        cx: &Context<'_>,
        image: &Image<'_>,
        how: &Rendering,
        (trees, spool): (Vec<Tree>, &Spool),
        press: Press,
    ) -> Result<Digest> {
        let tree = layers::stack(trees)?;
        let manifest = self.manifest(cx, image, how, (&tree, spool), Over::default())?;
        let head = Meta { mode: 0o644, mtime: made(image.config()), ..Meta::default() };
        let encoded = self.0.write(|out| {
            write(cx, &mut Packed::new(spool.entries(&tree), manifest, head), press, Algorithm::Sha512, out)
        })?;
        Ok(encoded.diff_id.0)
    }

    /// The manifest: the one that the image was made of, where it still says the same, else one of its config.
    pub(super) fn manifest(
        &self,
        cx: &Context<'_>,
        image: &Image<'_>,
        how: &Rendering,
        (tree, spool): (&Tree, &Spool),
        over: Over,
    ) -> Result<Vec<u8>> {
        let tell = |what: String| cx.observer.event(Event::Warned(what));
        let annotations = &image.manifest().annotations;
        let original =
            with_files(tree, spool, |files| into_config::original(annotations, files, image.config()));
        let named = how.name.as_deref().map(named).transpose()?;
        if let Some((manifest, raw)) = original {
            return Ok(again((manifest, &raw), named, over, &tell));
        }
        if annotations.contains_key(into_config::IMAGE_MANIFEST) {
            tell(
                "the image was changed since it was an App Container: what only that could say stays behind"
                    .into(),
            );
        }
        let raw = std::str::from_utf8(image.config().raw()).expect("a config is JSON, and JSON is text");
        let digest = image.manifest().descriptor().digest.to_string();
        let named = named.map_or_else(|| self.named(how), Ok)?;
        let (mut manifest, unsaid) = with_files(tree, spool, |files| {
            let (config, rootfs) = (&**image.config(), files.rootfs);
            from_config::manifest(&Subject { config, raw, annotations, digest: &digest, rootfs }, &named)
        });
        for unsaid in unsaid {
            tell(format!("{unsaid}: the annotation {} has it", from_config::CONFIG));
        }
        over.write(&mut manifest);
        Ok(manifest.to_bytes())
    }

    /// As the image is called, or as the file is.
    fn named(&self, how: &Rendering) -> Result<Named> {
        let stem = self.0.file.path().and_then(Path::file_stem).map(|stem| stem.to_string_lossy().into());
        let called: Box<str> = how.called.clone().or(stem).unwrap_or_default();
        named(&called)
    }
}

fn named(called: &str) -> Result<Named> {
    Ok(Named::parse(called).ok_or_else(|| HostError::from(AciError::Nameless(called.into())))?)
}

/// The manifest that an image was made of: to the byte, unless it lay over others or gets another name.
fn again(
    (mut manifest, raw): (ImageManifest, &str),
    named: Option<Named>,
    over: Over,
    tell: &dyn Fn(String),
) -> Vec<u8> {
    let is_alone = manifest.dependencies.is_empty() && manifest.path_whitelist.is_empty();
    if is_alone && named.is_none() && over == Over::default() {
        return raw.as_bytes().to_vec();
    }
    if !is_alone {
        tell("the files of its dependencies are its own now: the manifest does not name those".into());
    }
    over.write(&mut manifest);
    if let Some(Named { name, version, .. }) = named {
        manifest.name = name;
        manifest.labels.retain(|label| &*label.name != "version");
        manifest.labels.splice(..0, version.map(|version| Pair::new("version", version)));
    }
    manifest.to_bytes()
}

/// When the image was made; 1970 where it does not say it.
pub(super) fn made(config: &Config) -> Time {
    let created = config.created.as_deref().and_then(|created| created.parse::<Timestamp>().ok());
    Time::from_seconds(created.map_or(0, Timestamp::seconds))
}

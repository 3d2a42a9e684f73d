//! `--image DIR[:TAG]` and `--layout DIR`.
//!
//! Unlike in our own references, DIR ends at the first colon, whatever is on the disk.

use crate::flags::Places;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use orlop::fs::stat;
use orlop::spec::Context;
use orlop::spec::Fault;
use orlop::spec::port::{Keeper, Selector};
use orlop::spec::reference::{Reference, Transport, is_ref_name};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// An image of a layout.
#[derive(Args)]
pub struct ImageFlag {
    /// an image of a layout, as DIR[:TAG]; without TAG the one that is called latest
    #[arg(long = "image", value_name = "DIR[:TAG]", value_parser = OsStringValueParser::new().try_map(Image::parse))]
    pub image: Image,
}

/// A whole layout.
#[derive(Args)]
pub struct LayoutFlag {
    /// the folder of a layout
    #[arg(long, value_name = "DIR", value_parser = OsStringValueParser::new().try_map(folder))]
    pub layout: PathBuf,
}

/// An image by the folder of its layout and its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The folder.
    pub layout: PathBuf,
    /// The name in it.
    pub tag: Box<str>,
}

impl Image {
    fn parse(text: OsString) -> Result<Self, BadName> {
        let text = text.into_vec();
        let (layout, tag) = match text.iter().position(|byte| *byte == b':') {
            Some(colon) => (&text[..colon], OsStr::from_bytes(&text[colon + 1..])),
            None => (text.as_slice(), OsStr::new("latest")),
        };
        Ok(Self { layout: folder(OsString::from_vec(layout.to_vec()))?, tag: tag_name(tag.to_owned())? })
    }

    /// Which image of its layout it is.
    pub fn selector(&self) -> Selector {
        Selector::Tag(self.tag.clone())
    }
}

/// A layout in our own words.
pub fn layout(folder: &Path) -> Reference {
    Reference::new(Transport::Layout(folder.into()))
}

/// Opens a layout that is there.
pub fn open<'a>(folder: &Path, places: &'a Places, cx: &Context<'a>) -> Result<Box<dyn Keeper + 'a>, Fault> {
    places.keep(&layout(folder), cx)
}

/// Whether there is anything at a path, be it a link that leads nowhere.
pub fn is_there(path: &Path) -> bool {
    stat::at(path).is_ok()
}

/// A name that an image can have in a layout.
pub fn tag_name(text: OsString) -> Result<Box<str>, BadName> {
    match text.into_string() {
        Ok(text) if is_ref_name(&text) => Ok(text.into()),
        Ok(text) => Err(BadName::Tag(text)),
        Err(text) => Err(BadName::Tag(text.to_string_lossy().into_owned())),
    }
}

/// A path with a colon could not be told from one with a tag.
fn folder(text: OsString) -> Result<PathBuf, BadName> {
    match text.as_bytes() {
        [] => Err(BadName::NoFolder),
        bytes if bytes.contains(&b':') => Err(BadName::Colon),
        _ => Ok(text.into()),
    }
}

/// Why a word names no image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("the path of the layout is empty")]
    NoFolder,
    #[error("the path of the layout has a colon in it")]
    Colon,
    #[error("{0:?} can be no tag")]
    Tag(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_ends_at_the_first_colon_and_the_tag_is_latest() {
        let parse = |text: &str| Image::parse(text.into());
        let image = |layout: &str, tag: &str| Ok(Image { layout: layout.into(), tag: tag.into() });
        assert_eq!(parse("a"), image("a", "latest"));
        assert_eq!(parse("a/b:c"), image("a/b", "c"));
        assert_eq!(parse("a:b:c/d"), image("a", "b:c/d"));
        assert_eq!(parse(""), Err(BadName::NoFolder));
        assert_eq!(parse(":a"), Err(BadName::NoFolder));
        assert_eq!(folder("a:b".into()), Err(BadName::Colon));
        for tag in ["", "-x", "a b", "a//b", "\u{fc}"] {
            assert_eq!(parse(&format!("a:{tag}")), Err(BadName::Tag(tag.into())), "{tag}");
        }
    }
}

//! `.wh.` names: the one place that reads and writes them (image-spec, `layer.md`, "Whiteouts").
//!
//! ```text
//! .wh.NAME         NAME is removed from the layers below
//! .wh..wh..opq     everything in this folder is removed from the layers below
//! .wh..wh.NAME     the private files of AUFS, in layers of its time; they mean nothing
//! ```

use crate::path::is_component;

const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const PRIVATE: &[u8] = b".wh..wh.";

/// What the last component of a tar member's name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker<'a> {
    /// Nothing: it is the name of an entry.
    Plain,
    /// Removes this name.
    Whiteout(&'a [u8]),
    /// Removes everything in the folder.
    Opaque,
    /// A file of AUFS, to be passed over.
    Private,
}

/// A whiteout that names nothing, `.`, `..` or a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMarker;

/// Reads one component of a name.
pub fn parse(name: &[u8]) -> Result<Marker<'_>, BadMarker> {
    if name == OPAQUE {
        return Ok(Marker::Opaque);
    }
    if name.starts_with(PRIVATE) {
        return Ok(Marker::Private);
    }
    match name.strip_prefix(PREFIX) {
        None => Ok(Marker::Plain),
        Some(removed) if is_component(removed) => Ok(Marker::Whiteout(removed)),
        Some(_) => Err(BadMarker),
    }
}

/// Whether no entry may have this name, because a layer could not tell it from a marker.
pub fn is_reserved(name: &[u8]) -> bool {
    name.starts_with(PREFIX)
}

/// The component that removes `name`.
pub fn print(name: &[u8]) -> Vec<u8> {
    [PREFIX, name].concat()
}

/// The component that removes everything in its folder.
pub fn print_opaque() -> &'static [u8] {
    OPAQUE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_and_item_47_a_whiteout_names_one_plain_component() {
        assert_eq!(parse(b".wh.a"), Ok(Marker::Whiteout(b"a")));
        assert_eq!(parse(b".wh..wh..opq"), Ok(Marker::Opaque));
        assert_eq!(parse(b".wh..hidden"), Ok(Marker::Whiteout(b".hidden")));
        assert_eq!(parse(b".wha"), Ok(Marker::Plain));
        assert_eq!(parse(b"x.wh.a"), Ok(Marker::Plain));
        assert_eq!(parse(b".wh..wh.plnk"), Ok(Marker::Private));
        for bad in [&b".wh."[..], b".wh..", b".wh...", b".wh.a/b", b".wh.a\0"] {
            assert_eq!(parse(bad), Err(BadMarker), "{bad:?}");
        }
    }

    #[test]
    fn what_is_printed_is_read() {
        assert_eq!(parse(&print(b"a")), Ok(Marker::Whiteout(b"a")));
        assert_eq!(parse(print_opaque()), Ok(Marker::Opaque));
        assert!(is_reserved(&print(b"a")) && is_reserved(print_opaque()) && !is_reserved(b"a.wh."));
    }
}

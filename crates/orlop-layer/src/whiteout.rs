//! `.wh.` names: the one place that reads and writes them (image-spec, `layer.md`, "Whiteouts").
//!
//! Invariant: no entry's path holds a component that begins with `.wh.`: such names stand in the tar form only.
//!
//! ```text
//! .wh.NAME         NAME is removed from the layers below
//! .wh..wh..opq     everything in this folder is removed from the layers below
//! .wh..wh.NAME     the private files of AUFS, in layers of its time; they mean nothing
//! ```
//!
//! NAME is one plain component: `.wh.` alone, `.wh..` and `.wh...` would name the folder itself or the one above.
//! The member's type does not matter; AUFS writes its whiteouts as hard links.

use crate::entry::{Entry, Kind};
use crate::error::Error;
use crate::path::{TreePath, is_component};

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

/// What the path of a tar member says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// An entry of that path.
    Plain,
    /// The path is removed from the layers below.
    Whiteout(TreePath),
    /// Everything in the folder is removed from the layers below.
    Opaque(TreePath),
    /// A file of AUFS or what lies in its folders, to be passed over.
    Private,
}

/// Reads the path of a tar member. Refuses whiteouts that name no entry, and paths that go through one.
pub fn read_member(member: &TreePath) -> Result<Member, Error> {
    let bad = || Error::BadWhiteout { name: member.as_bytes().into() };
    if member.components().any(|name| parse(name) == Ok(Marker::Private)) {
        return Ok(Member::Private);
    }
    let Some((folder, name)) = member.split() else { return Ok(Member::Plain) };
    if holds_reserved(&folder) {
        return Err(bad());
    }
    match parse(name) {
        Ok(Marker::Plain) => Ok(Member::Plain),
        Ok(Marker::Whiteout(removed)) => Ok(Member::Whiteout(folder.join(removed))),
        Ok(Marker::Opaque) => Ok(Member::Opaque(folder)),
        Ok(Marker::Private) => Ok(Member::Private),
        Err(BadMarker) => Err(bad()),
    }
}

/// The path of the tar member that says `entry`. Refuses an entry whose own path holds a reserved name: it
/// would be read as a whiteout.
pub fn print_member(entry: &Entry) -> Result<TreePath, Error> {
    if holds_reserved(&entry.path) {
        return Err(reserved(&entry.path));
    }
    match (&entry.kind, entry.path.split()) {
        (Kind::Whiteout, Some((folder, name))) => Ok(folder.join(&print(name))),
        (Kind::Whiteout, None) => Err(Error::BadWhiteout { name: Box::default() }),
        (Kind::Opaque, _) => Ok(entry.path.join(OPAQUE)),
        _ => Ok(entry.path.clone()),
    }
}

/// Whether some component of a path is reserved.
pub fn holds_reserved(path: &TreePath) -> bool {
    path.components().any(is_reserved)
}

/// The error for a path that an image cannot hold.
pub(crate) fn reserved(path: &TreePath) -> Error {
    Error::Entry { path: path.to_string(), what: "names that begin with .wh. cannot be in an image" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Meta;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).expect("a plain path")
    }

    fn entry(text: &str, kind: Kind) -> Entry {
        Entry { path: path(text), meta: Meta::default(), kind }
    }

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

    #[test]
    fn members_are_told_apart() {
        let told = |text: &str| read_member(&path(text)).expect(text);
        assert_eq!(told("a/b"), Member::Plain);
        assert_eq!(told(""), Member::Plain);
        assert_eq!(told("a/.wh.b"), Member::Whiteout(path("a/b")));
        assert_eq!(told("./.wh.b"), Member::Whiteout(path("b")));
        assert_eq!(told("a/.wh.....b"), Member::Whiteout(path("a/....b")));
        assert_eq!(told("a/.wh"), Member::Plain);
    }

    #[test]
    fn item_52_the_root_may_be_opaque() {
        assert_eq!(
            read_member(&path(".wh..wh..opq")).expect("well-formed"),
            Member::Opaque(TreePath::root())
        );
        assert_eq!(read_member(&path("a/.wh..wh..opq")).expect("well-formed"), Member::Opaque(path("a")));
    }

    #[test]
    fn item_47_p5_members_that_name_no_entry_are_refused() {
        for bad in [
            ".wh.",
            "a/.wh.",
            ".wh..",
            "a/.wh..",
            ".wh...",
            "a/.wh...",
            ".wh.a/b",
            "a/.wh.b/c",
            ".wh.a/.wh.b",
        ] {
            assert!(matches!(read_member(&path(bad)), Err(Error::BadWhiteout { .. })), "{bad}");
        }
    }

    #[test]
    fn the_files_of_aufs_are_no_content() {
        for member in
            [".wh..wh.aufs", ".wh..wh.plnk", ".wh..wh.plnk/1.2", ".wh..wh.orph/x", "a/.wh..wh..opqx"]
        {
            assert_eq!(read_member(&path(member)).expect(member), Member::Private, "{member}");
        }
    }

    #[test]
    fn members_that_are_printed_read_back() {
        let whiteout = entry("a/b", Kind::Whiteout);
        assert_eq!(print_member(&whiteout).expect("can be said").as_bytes(), b"a/.wh.b");
        assert_eq!(read_member(&path("a/.wh.b")).expect("well-formed"), Member::Whiteout(whiteout.path));
        assert_eq!(
            print_member(&entry("a", Kind::Opaque)).expect("can be said").as_bytes(),
            b"a/.wh..wh..opq"
        );
        assert_eq!(print_member(&entry("", Kind::Opaque)).expect("can be said").as_bytes(), b".wh..wh..opq");
        assert_eq!(print_member(&entry("a/b", Kind::Directory)).expect("can be said"), path("a/b"));
        assert!(print_member(&entry("", Kind::Whiteout)).is_err());
    }

    #[test]
    fn item_55_a_literal_wh_name_is_never_written() {
        for name in [".wh.x", "a/.wh.x/b", ".wh..wh..opq"] {
            for kind in [Kind::Directory, Kind::Whiteout, Kind::Fifo] {
                assert!(matches!(print_member(&entry(name, kind)), Err(Error::Entry { .. })), "{name}");
            }
        }
    }
}

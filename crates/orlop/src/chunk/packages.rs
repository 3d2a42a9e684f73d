//! Which package owns a file: the databases of dpkg and apk, or a list that the user made.
//!
//! ```text
//! var/lib/dpkg/info/NAME[:ARCHITECTURE].list     a path on each line
//! lib/apk/db/installed                           P:NAME, then F:FOLDER and R:FILE in it
//! a list of components                           NAME PATH on each line; a folder stands for all in it, the longest wins
//! ```
//!
//! Invariant: what a database says of a path that is not there does no harm, and what cannot be understood is passed
//! over: it decides where a file lies, not what it is. A list that the user made is read strictly.

use super::group::RUN;
use crate::error::Error;
use orlop_fs::File;
use orlop_layer::TreePath;
use orlop_layer::path::PathError;
use orlop_layer::tree::{InodeId, Tree};
use orlop_spec::port::Result;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const DPKG: &[u8] = b"var/lib/dpkg/info";
const APK: [&[u8]; 2] = [b"lib/apk/db/installed", b"usr/lib/apk/db/installed"];

/// Bytes of a list that the user made.
const LARGEST: u64 = 64 << 20;

/// Files that change with any update, whoever owns what else: they lie in the layer that changes anyway.
const HOT: [&str; 10] = [
    "var/lib/dpkg",
    "var/lib/apt",
    "var/cache",
    "var/log",
    "lib/apk",
    "usr/lib/apk",
    "usr/lib/sysimage",
    "etc/ld.so.cache",
    "boot",
    "usr/share/info/dir",
];

/// Whether a file that no package owns changes with any update.
pub fn is_hot(path: &TreePath) -> bool {
    HOT.iter().any(|hot| is_within(path.as_bytes(), hot.as_bytes()))
}

fn is_within(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// Whether a file is part of a database.
pub fn is_database(path: &TreePath) -> bool {
    let bytes = path.as_bytes();
    let is_list = |(folder, name): (TreePath, &[u8])| folder.as_bytes() == DPKG && name.ends_with(b".list");
    APK.contains(&bytes) || path.split().is_some_and(is_list)
}

/// Who owns which inode.
#[derive(Debug, Default)]
pub struct Owners(HashMap<InodeId, Box<str>>);

impl Owners {
    /// What the databases say of a tree.
    pub fn read(tree: &Tree, databases: &BTreeMap<TreePath, Vec<u8>>) -> Self {
        let mut owners = Self::default();
        for (path, content) in databases {
            if APK.contains(&path.as_bytes()) {
                owners.apk(tree, content);
            } else if let Some((_, name)) = path.split() {
                owners.dpkg(tree, name, content);
            }
        }
        owners
    }

    /// The package of an inode.
    pub fn of(&self, id: InodeId) -> Option<&str> {
        self.0.get(&id).map(|name| &**name)
    }

    fn dpkg(&mut self, tree: &Tree, file: &[u8], content: &[u8]) {
        let name = file.strip_suffix(b".list").unwrap_or(file);
        let name = name.split(|byte| *byte == b':').next().unwrap_or(name);
        let Some(name) = unit_name(name) else { return };
        for path in content.split(|byte| *byte == b'\n') {
            self.own(tree, path, &name);
        }
    }

    fn apk(&mut self, tree: &Tree, content: &[u8]) {
        let (mut name, mut folder) = (None, &b""[..]);
        for line in content.split(|byte| *byte == b'\n') {
            match line {
                [b'P', b':', rest @ ..] => (name, folder) = (unit_name(rest), b""),
                [b'F', b':', rest @ ..] => folder = rest,
                [b'R', b':', rest @ ..] => {
                    if let Some(name) = &name {
                        self.own(tree, &[folder, b"/", rest].concat(), name);
                    }
                }
                _ => {}
            }
        }
    }

    /// The package that comes first by name owns what several name.
    fn own(&mut self, tree: &Tree, path: &[u8], name: &str) {
        let Some(at) = path.iter().rposition(|byte| *byte == b'/') else { return };
        // Folders may be links today that were none when the package was made: `/bin`.
        let (folder, file) = (&path[..at], &path[at + 1..]);
        let Ok(Some(folder)) = tree.resolve(folder) else { return };
        if let Some(id) = tree.child(folder, file)
            && !tree.inode(id).is_directory()
        {
            self.0.entry(id).or_insert_with(|| name.into());
        }
    }
}

/// A name that a list of names can hold.
fn unit_name(name: &[u8]) -> Option<Box<str>> {
    let name = std::str::from_utf8(name).ok()?;
    let is_plain = |letter: char| letter.is_ascii_graphic() && letter != ',';
    let is_name = !name.is_empty() && name.len() <= 255 && name.chars().all(is_plain);
    (is_name && !name.starts_with(RUN)).then(|| name.into())
}

/// A list of components that the user made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Components(BTreeMap<TreePath, Box<str>>);

/// Why a text is no list of components.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentsError {
    /// A line that is not a name and a path.
    #[error("line {line} is not NAME PATH")]
    Line {
        /// Which, from 1.
        line: usize,
    },
    /// A name that cannot stand in a list.
    #[error("the name on line {line} holds a comma or a letter beyond ASCII, or begins with +")]
    Name {
        /// Which, from 1.
        line: usize,
    },
    /// Not a path of a tree.
    #[error("the path on line {line} cannot be used")]
    Path {
        /// Which, from 1.
        line: usize,
        /// Why.
        #[source]
        source: PathError,
    },
    /// One path, two components.
    #[error("line {line} names a path again that is above already")]
    Twice {
        /// Which, from 1.
        line: usize,
    },
}

impl Components {
    /// Reads the list in a file.
    pub fn read(path: &Path) -> Result<Self> {
        let mut file = File::open(path)?;
        let text = file.read_to_limit(LARGEST)?;
        let file = file.shown().clone();
        Ok(Self::parse(&text).map_err(|source| Error::BadComponents { file, source })?)
    }

    /// Reads a list: on each line a name, one space or tab, and a path from the root. Empty lines and those that begin with
    /// `#` say nothing.
    pub fn parse(text: &[u8]) -> Result<Self, ComponentsError> {
        let mut components = BTreeMap::new();
        for (line, text) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if text.is_empty() || text[0] == b'#' {
                continue;
            }
            let at = text.iter().position(|byte| matches!(byte, b' ' | b'\t'));
            let at = at.ok_or(ComponentsError::Line { line })?;
            let name = unit_name(&text[..at]).ok_or(ComponentsError::Name { line })?;
            let path = TreePath::parse(text[at + 1..].strip_prefix(b"/").unwrap_or(&text[at + 1..]))
                .map_err(|source| ComponentsError::Path { line, source })?;
            if components.insert(path, name).is_some() {
                return Err(ComponentsError::Twice { line });
            }
        }
        Ok(Self(components))
    }

    /// The component of a path: the one of the nearest folder that is named.
    pub fn of(&self, path: &TreePath) -> Option<&str> {
        let mut path = Some(path.clone());
        while let Some(at) = path {
            if let Some(name) = self.0.get(&at) {
                return Some(name);
            }
            path = at.split().map(|(folder, _)| folder);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_layer::tree::Builder;
    use orlop_layer::{Entry, Kind, Meta};
    use orlop_spec::Limits;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).expect("a plain path")
    }

    fn tree() -> Tree {
        let file = || Kind::File { size: 1 };
        let link = || Kind::Symlink { target: b"usr/bin"[..].into() };
        let entries = [("bin", link()), ("usr/bin/ls", file()), ("usr/bin/sh", file()), ("etc/mine", file())];
        let mut builder = Builder::new(0, &Limits::default());
        for (ordinal, (name, kind)) in (0..).zip(entries) {
            let entry = Entry { path: path(name), meta: Meta::default(), kind };
            builder.add(ordinal, 0, &entry).expect(name);
        }
        Tree::default().stack(builder.finish()).expect("fits")
    }

    fn owner<'o>(owners: &'o Owners, tree: &Tree, at: &str) -> Option<&'o str> {
        owners.of(tree.locate(at.as_bytes()).expect("there"))
    }

    #[test]
    fn a_package_of_dpkg_owns_its_files_through_links_too() {
        let (tree, mut databases) = (tree(), BTreeMap::new());
        let list = path("var/lib/dpkg/info/coreutils:amd64.list");
        assert!(is_database(&list) && !is_database(&path("var/lib/dpkg/info/x/y.list")));
        databases.insert(list, b"/.\n/bin\n/bin/ls\n/usr/bin/gone\n\n../x\n".to_vec());
        let owners = Owners::read(&tree, &databases);
        assert_eq!(owner(&owners, &tree, "usr/bin/ls"), Some("coreutils"));
        assert_eq!(owner(&owners, &tree, "etc/mine"), None);
    }

    #[test]
    fn a_package_of_apk_owns_its_files() {
        let tree = tree();
        let content = b"C:Q1\nP:busybox\nV:1\nF:usr/bin\nR:sh\na:0:0:755\n\nP:+bad\nF:etc\nR:mine\n".to_vec();
        let owners = Owners::read(&tree, &BTreeMap::from([(path("lib/apk/db/installed"), content)]));
        assert_eq!(owner(&owners, &tree, "usr/bin/sh"), Some("busybox"));
        assert_eq!(owner(&owners, &tree, "etc/mine"), None, "+bad is no name");
    }

    #[test]
    fn the_nearest_folder_of_a_list_wins() {
        let list = Components::parse(b"# mine\nbase usr\n\nshell /usr/bin/sh\r\nall /\n").expect("a list");
        assert_eq!(list.of(&path("usr/bin/sh")), Some("shell"));
        assert_eq!(list.of(&path("usr/bin/ls")), Some("base"));
        assert_eq!(list.of(&path("user")), Some("all"));
        assert_eq!(Components::parse(b"base usr").expect("a list").of(&path("user")), None);
    }

    #[test]
    fn a_list_that_says_nothing_clear_is_refused() {
        use ComponentsError::{Line, Name, Path, Twice};
        assert!(matches!(Components::parse(b"a b\nalone"), Err(Line { line: 2 })));
        assert!(matches!(Components::parse(b"+x usr"), Err(Name { line: 1 })));
        assert!(matches!(Components::parse(b"a,b usr"), Err(Name { line: 1 })));
        assert!(matches!(Components::parse(b"a ../x"), Err(Path { line: 1, .. })));
        assert!(matches!(Components::parse(b"a usr\nb /usr"), Err(Twice { line: 2 })));
    }
}

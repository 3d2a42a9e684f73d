//! An encapsulated commit that is put together by hand, so that everything in it can be wrong.

use orlop::host::ostree::object::{FileHasher, REGULAR};
use orlop::host::ostree::{Commit, Dict, DirMeta, DirTree, FileHeader, Kind, ObjectId, ObjectName};
use orlop::layer::Xattrs;
use serde_json::json;
use testkit::Scratch;
use testkit::image::{Image, Packing, sha256};
use testkit::tarball::{Member, tar};

/// What lies at a path of a layer.
#[derive(Clone)]
pub(crate) enum What {
    Folder,
    File(Vec<u8>),
    HardLink(String),
    Symlink(String),
}

/// A layer, entry by entry.
pub(crate) type Layer = Vec<(String, What)>;

/// An image of a commit that has the files `a` and `usr/etc/name`.
pub(crate) struct Capsule {
    pub(crate) commit: Commit,
    /// The file `a`.
    pub(crate) a: ObjectName,
    pub(crate) root: ObjectName,
    pub(crate) meta: ObjectName,
    /// The layers, of which the first are those of the commit.
    pub(crate) layers: Vec<Layer>,
    /// How many are.
    pub(crate) own: usize,
    /// What the label says in the place of the last of them.
    pub(crate) last: Option<String>,
}

/// Where an object is.
pub(crate) fn place(object: &ObjectName) -> String {
    let ObjectName { id, kind } = object;
    format!("sysroot/ostree/repo/objects/{}/{}.{kind}", id.folder(), id.rest())
}

pub(crate) fn file(path: &str, content: impl AsRef<[u8]>) -> (String, What) {
    (path.into(), What::File(content.as_ref().into()))
}

pub(crate) fn hard_link(path: &str, target: &str) -> (String, What) {
    (path.into(), What::HardLink(target.into()))
}

/// A commit of some trees.
pub(crate) fn commit(tree: ObjectId, meta: ObjectId) -> Commit {
    let (subject, body) = (String::new(), String::new());
    Commit { metadata: Dict::new(), parent: None, related: Vec::new(), subject, body, time: 7, tree, meta }
}

impl Capsule {
    pub(crate) fn new() -> Self {
        let meta = DirMeta { uid: 0, gid: 0, mode: 0o040_755, xattrs: Xattrs::new() };
        let (a, name) = (content_id(b"content of a"), content_id(b"value\n"));
        let etc = DirTree { files: vec![("name".into(), name)], folders: Vec::new() };
        let usr = DirTree { files: Vec::new(), folders: vec![("etc".into(), etc.id(), meta.id())] };
        let root =
            DirTree { files: vec![("a".into(), a)], folders: vec![("usr".into(), usr.id(), meta.id())] };
        let commit = commit(root.id(), meta.id());
        let object = |kind, id, bytes: Vec<u8>| (place(&ObjectName::new(id, kind)), What::File(bytes));
        let none = ObjectName::new(ObjectId::of(b""), Kind::FileXattrs);
        let mut layer = vec![
            file("sysroot/ostree/repo/config", "[core]\nrepo_version=1\nmode=bare-split-xattrs\n"),
            object(Kind::Commit, commit.id(), commit.to_bytes()),
            object(Kind::DirMeta, meta.id(), meta.to_bytes()),
            object(Kind::DirTree, root.id(), root.to_bytes()),
            object(Kind::DirTree, usr.id(), usr.to_bytes()),
            object(Kind::DirTree, etc.id(), etc.to_bytes()),
            ("usr".into(), What::Folder),
            ("etc".into(), What::Folder),
            file(&place(&none), ""),
        ];
        for (id, content, shown) in [(a, &b"content of a"[..], "a"), (name, b"value\n", "etc/name")] {
            let of = |kind| place(&ObjectName::new(id, kind));
            layer.push(hard_link(&of(Kind::FileXattrsLink), &place(&none)));
            layer.push(file(&of(Kind::File), content));
            layer.push(hard_link(shown, &of(Kind::File)));
        }
        let of = ObjectName::new;
        let (a, root, meta) = (of(a, Kind::File), of(root.id(), Kind::DirTree), of(meta.id(), Kind::DirMeta));
        Self { commit, a, root, meta, layers: vec![layer], own: 1, last: None }
    }

    /// Where something is in the first layer.
    pub(crate) fn at(&self, path: &str) -> usize {
        self.layers[0].iter().position(|(other, _)| other == path).expect("the layer has it")
    }

    /// Puts something else at a path of the first layer.
    pub(crate) fn put(&mut self, path: &str, what: What) {
        let at = self.at(path);
        self.layers[0][at].1 = what;
    }

    /// One more layer above.
    pub(crate) fn above(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Writes the image as a layout.
    pub(crate) fn write(self, it: &Scratch, name: &str) {
        let tars: Vec<Vec<u8>> =
            self.layers.iter().map(|layer| tar(layer.iter().flat_map(members))).collect();
        let last = self.last.unwrap_or_else(|| sha256(&tars[self.own - 1]));
        let labels = json!({ "ostree.commit": self.commit.id().to_string(), "ostree.final-diffid": last });
        let image = Image::of(&tars, Packing::Gzip).config(move |mut config| {
            config["config"]["Labels"] = labels;
            config
        });
        image.layout().write(&it.folder(name));
    }
}

/// Paths may be longer than a header can say.
fn members((path, what): &(String, What)) -> [Member; 2] {
    let target = match what {
        What::HardLink(target) | What::Symlink(target) => target,
        What::Folder | What::File(_) => "",
    };
    let both = [(&b"path"[..], path.as_bytes()), (&b"linkpath"[..], target.as_bytes())];
    let records = if target.is_empty() { &both[..1] } else { &both };
    let member = match what {
        What::Folder => Member::folder("x"),
        What::File(content) => Member::file("x", content),
        What::HardLink(_) => Member::hard_link("x", "x"),
        What::Symlink(_) => Member::symlink("x", "x"),
    };
    [Member::pax(records), member]
}

/// The id of a file of root with a content, 0644.
pub(crate) fn content_id(content: &[u8]) -> ObjectId {
    let header =
        FileHeader { uid: 0, gid: 0, mode: REGULAR | 0o644, target: "".into(), xattrs: Xattrs::new() };
    let mut hasher = FileHasher::new(&header);
    hasher.update(content);
    hasher.finish()
}

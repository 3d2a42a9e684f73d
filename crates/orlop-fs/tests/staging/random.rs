//! For any stack of layers, a scan of what was unpacked gives the merged tree back.

use crate::layers::{Layer, fitting, unpack};
use crate::scratch::Scratch;
use orlop_fs::privilege;
use orlop_fs::scan::{Scan, ScanOptions};
use orlop_layer::tree::{Builder, Content, Tree};
use orlop_layer::{Chunk, Entries as _, Kind, Meta, Time, TreePath};
use orlop_spec::{Algorithm, Digest, Limits, TreeId};

/// Xorshift: the cases are the same on every run, and a failure names its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[usize::try_from(self.below(from.len() as u64)).expect("small")]
    }

    fn path(&mut self) -> String {
        let names: Vec<&str> = (0..=self.below(3)).map(|_| self.pick(&["a", "b", "c", "lib"])).collect();
        names.join("/")
    }

    fn kind(&mut self, content: &[u8]) -> Kind {
        match self.below(14) {
            0..5 => Kind::File { size: content.len() as u64 },
            5..8 => Kind::Directory,
            8 => Kind::Symlink { target: self.pick(&["a", "/b", "../c", "lib/a", "a/b"]).as_bytes().into() },
            9 | 10 => Kind::HardLink { target: TreePath::parse(self.path().as_bytes()).expect("plain") },
            11 => Kind::Fifo,
            12 => Kind::Whiteout,
            _ => Kind::Opaque,
        }
    }

    fn meta(&mut self, kind: &Kind) -> Meta {
        let is_symlink = matches!(kind, Kind::Symlink { .. });
        let mode = if is_symlink { 0o777 } else { *self.pick(&[&0o644, &0o755, &0o4711, &0o1700]) };
        let seconds = i64::try_from(self.below(4_000_000_000)).expect("small") - 1_000_000_000;
        let nanoseconds = u32::try_from(self.below(1_000_000_000)).expect("small");
        let (mut uid, gid) = privilege::ids();
        if uid == 0 {
            uid = u32::try_from(self.below(3)).expect("small");
        }
        Meta { mode, uid, gid, mtime: Time { seconds, nanoseconds }, ..Meta::default() }
    }

    /// A layer that stacks on what is below; entries that do not are left out.
    fn layer(&mut self, number: u16, below: &Tree) -> Layer {
        let mut layer = Layer::new().with("", Kind::Directory, |meta| meta.mode = 0o755);
        for _ in 0..self.below(25) {
            let length = usize::try_from(self.below(50)).expect("small");
            let content = number.to_string().repeat(length);
            let kind = self.kind(content.as_bytes());
            let meta = self.meta(&kind);
            let is_file = matches!(kind, Kind::File { .. });
            let mut longer = layer.clone().with(&self.path(), kind, |into| into.clone_from(&meta));
            if is_file {
                longer.0.last_mut().expect("just added").1 = content.into_bytes();
            }
            if longer.try_tree(number).and_then(|tree| below.clone().stack(tree)).is_ok() {
                layer = longer;
            }
        }
        layer
    }
}

/// The id of the merged tree.
fn expected(layers: &[Layer], merged: &Tree) -> TreeId {
    let digest = |content: &Content| {
        let layer = &layers[usize::from(content.layer)];
        Ok::<_, ()>(Digest::of(Algorithm::Sha256, &layer.0[content.ordinal as usize].1))
    };
    merged.id(Algorithm::Sha256, digest).expect("cannot fail")
}

/// The id of what lies on the disk.
fn scanned(folder: &orlop_fs::Dir) -> TreeId {
    let mut scan = Scan::open(folder, ScanOptions::default()).expect("opened");
    let mut builder = Builder::new(0, &Limits::default());
    let mut digests = Vec::new();
    while let Some(entry) = scan.next_entry().expect("read") {
        let mut content = Vec::new();
        while let Some(chunk) = scan.next_chunk().expect("read") {
            match chunk {
                Chunk::Data(bytes) => content.extend_from_slice(bytes),
                Chunk::Hole(length) => {
                    content.resize(content.len() + usize::try_from(length).expect("small"), 0);
                }
            }
        }
        builder.add(u32::try_from(digests.len()).expect("few"), 0, &entry).expect("a plain entry");
        digests.push(Digest::of(Algorithm::Sha256, &content));
    }
    let tree = Tree::default().stack(builder.finish()).expect("one layer");
    tree.id(Algorithm::Sha256, |content| Ok::<_, ()>(digests[content.ordinal as usize])).expect("cannot fail")
}

#[test]
fn item_23_what_was_unpacked_scans_as_the_merged_tree() {
    let name = "files: random stacks, unpacked and scanned";
    if !rustix::process::geteuid().is_root() {
        return testkit::proof::not_offered(name, "folders that layers only imply are root's");
    }
    let cases = if testkit::full() { 3000 } else { 300 };
    for seed in 1..=cases {
        let mut random = Random(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
        let (mut layers, mut merged) = (Vec::new(), Tree::default());
        for number in 0..=u16::try_from(random.below(4)).expect("few") {
            let layer = random.layer(number, &merged);
            merged = merged.stack(layer.tree(number)).expect("it was tried");
            layers.push(layer);
        }
        let scratch = Scratch::in_memory();
        let unpacked = unpack(scratch.dir(), &layers, fitting());
        let (root, _) = unpacked.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        assert_eq!(scanned(&root), expected(&layers, &merged), "seed {seed}");
    }
    testkit::proof::ran(name, usize::try_from(cases).expect("few"));
}

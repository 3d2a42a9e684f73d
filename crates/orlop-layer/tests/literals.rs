//! What is content of no file is told as literal bytes: with the data in between, they are the layer.

use orlop_layer::{Budget, Decode, Entry, Error, Kind, Stages, Verified, Visit, decode};
use orlop_spec::digest::{Algorithm, Digest};
use orlop_spec::media_type::{Compression, MediaType, OCI_LAYER};
use orlop_spec::{Cancel, Descriptor, Limits};
use std::io;
use testkit::tarball::{Member, cut, tar};

const BOTH: [Stages; 2] = [Stages::One, Stages::Pipelined];

/// Puts the layer together again.
#[derive(Default)]
struct Whole {
    layer: Vec<u8>,
    literals: usize,
    /// Bytes of files that were not seen yet.
    content: u64,
    longest: usize,
    /// Which literal is refused.
    full_at: Option<usize>,
}

impl Visit for Whole {
    fn entry(&mut self, _: u32, _: u64, entry: &Entry) -> Result<(), Error> {
        assert_eq!(self.content, 0, "the content before is whole");
        if let Kind::File { size } = entry.kind {
            self.content = size;
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.content -= bytes.len() as u64;
        self.layer.extend_from_slice(bytes);
        Ok(())
    }

    fn hole(&mut self, length: u64) -> Result<(), Error> {
        self.content -= length;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn wants_literals(&self) -> bool {
        true
    }

    fn literal(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.full_at == Some(self.literals) {
            return Err(Error::Write(io::ErrorKind::StorageFull.into()));
        }
        self.literals += 1;
        self.longest = self.longest.max(bytes.len());
        self.layer.extend_from_slice(bytes);
        Ok(())
    }
}

fn see(layer: &[u8], stages: Stages, visitor: &mut Whole) -> Result<(), Error> {
    let (limits, cancel) = (Limits::default(), Cancel::new());
    let digest = Digest::of(Algorithm::Sha256, layer);
    let blob = Descriptor::new(MediaType::new(OCI_LAYER), digest, layer.len() as u64);
    let how = Decode {
        compression: Compression::None,
        expected: None,
        layer: 0,
        limits: &limits,
        budget: &Budget::new(limits.size),
        cancel: &cancel,
        stages,
        progress: &|_| (),
    };
    decode(&mut Verified::new(layer, &blob).expect("sha256"), &how, visitor).map(drop)
}

/// A pax sparse file of the given records, whose stored bytes are `content`.
fn sparse(records: &[(&[u8], &[u8])], content: &[u8]) -> [Member; 2] {
    [Member::pax(records), Member::file("GNUSparseFile/s", content)]
}

fn layers() -> Vec<Vec<u8>> {
    let plain = || {
        vec![
            Member::folder("d/"),
            Member::file("d/empty", ""),
            Member::long_name(&[b'n'; 300]),
            Member::file("n", [7; 700_000]),
            Member::global(&[(b"mtime", b"1.5")]),
            Member::pax(&[(b"path", b"p")]),
            Member::file("x", "content"),
            Member::hard_link("d/link", "p"),
            // Neither is content of a file, whatever it holds.
            Member::file("d/.wh.gone", "unseen"),
            Member::file(".wh..wh.plnk", [1; 300_000]),
        ]
    };
    let map = b"2\n0\n5\n1000\n3\n".iter().copied().chain([0; 499]).chain(*b"helloend").collect::<Vec<_>>();
    let forms: [&[(&[u8], &[u8])]; 2] = [
        &[
            (b"GNU.sparse.size", b"1003"),
            (b"GNU.sparse.numblocks", b"2"),
            (b"GNU.sparse.offset", b"0"),
            (b"GNU.sparse.numbytes", b"5"),
            (b"GNU.sparse.offset", b"1000"),
            (b"GNU.sparse.numbytes", b"3"),
        ],
        &[(b"GNU.sparse.size", b"1003"), (b"GNU.sparse.numblocks", b"2"), (b"GNU.sparse.map", b"0,5,1000,3")],
    ];
    let in_content: &[(&[u8], &[u8])] =
        &[(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"1003")];
    vec![
        Vec::new(),
        tar([]),
        tar(plain()),
        cut(plain()),
        [tar(plain()), vec![0; 9000], b"garbage".repeat(90_000)].concat(),
        tar(sparse(forms[0], b"helloend")),
        tar(sparse(forms[1], b"helloend")),
        tar(sparse(in_content, &map)),
        tar(plain().into_iter().chain(sparse(in_content, &map))),
        cut([Member::file("f", "unpadded")])[..520].to_vec(),
    ]
}

#[test]
fn literals_and_data_are_the_layer() {
    for (number, layer) in layers().iter().enumerate() {
        for stages in BOTH {
            let mut whole = Whole::default();
            see(layer, stages, &mut whole).unwrap_or_else(|error| panic!("layer {number}: {error}"));
            assert!(whole.layer == *layer, "layer {number}, {stages:?}");
            assert!(whole.longest <= 256 << 10, "layer {number}: a literal of {} bytes", whole.longest);
        }
    }
}

#[test]
fn what_a_visitor_says_to_a_literal_comes_back() {
    let layers = layers();
    for stages in BOTH {
        let mut all = Whole::default();
        see(&layers[4], stages, &mut all).expect("sound");
        for full_at in 0..all.literals {
            let mut visitor = Whole { full_at: Some(full_at), ..Whole::default() };
            let error = see(&layers[4], stages, &mut visitor).expect_err("full");
            assert!(matches!(error, Error::Write(error) if error.kind() == io::ErrorKind::StorageFull));
            assert_eq!(visitor.literals, full_at, "nothing is shown after an error");
        }
    }
}

//! What the encoders write, everybody reads.

use orlop_layer::Codec;
use orlop_layer::encode::{Encode, recompress};
use orlop_spec::digest::Algorithm;
use orlop_spec::{Cancel, Limits};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use testkit::proof;

/// gzip, pigz and zstd read blobs of many members and frames.
#[test]
fn members_and_frames_are_read_by_everybody() {
    let mut tar = Vec::new();
    io::repeat(7).take(9 << 20).chain(&b"end"[..]).read_to_end(&mut tar).expect("memory");
    for (name, codec) in
        [("gzip", Codec::default()), ("pigz", Codec::default()), ("zstd", Codec::Zstd { level: 3 })]
    {
        let proof = format!("codec: many blocks are read by {name}");
        let Some(peer) = testkit::peer(name) else {
            proof::skipped(&proof, &format!("{name} is missing"));
            continue;
        };
        let (limits, cancel) = (Limits::default(), Cancel::new());
        let algorithm = Algorithm::Sha256;
        let workers = NonZeroUsize::MIN;
        let how = Encode { codec, algorithm, workers, limits: &limits, cancel: &cancel, progress: &|_| () };
        let mut blob = Vec::new();
        recompress(&mut &tar[..], &how, &mut blob).expect("compresses");
        let scratch = testkit::scratch();
        let file = scratch.file("blob", &blob);
        let input = std::fs::read(file).expect("written before");
        assert!(peer.command().arg("-dc").input(input).ok().stdout == tar, "{peer}");
        proof::ran(&proof, 1);
    }
}

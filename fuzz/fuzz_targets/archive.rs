//! OCI and Docker archives: whatever comes in, opening and reading ends; what an archive lists it can be asked
//! for, and a blob that is read to its end is what its descriptor says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_fuzz::{limits, seal};
use orlop_layer::Verified;
use orlop_spec::digest::{AnyDigest, Digest};
use orlop_spec::port::{Catalog, Name, Selector};
use orlop_spec::{Descriptor, Limits};
use orlop_store::archive::Options;
use orlop_store::{DockerArchive, OciArchive};
use std::io::Read as _;

fuzz_target!(|bytes: &[u8]| {
    let sealed = seal(bytes);
    let limits = Limits { document: 64 << 10, ..limits() };
    let options = Options { tmpdir: std::env::temp_dir(), limits, cancel: None };
    if let Ok(archive) = OciArchive::read(&sealed[..], &options) {
        look(&archive);
    }
    if let Ok(archive) = DockerArchive::read(&sealed[..], &options) {
        look(&archive);
    }
});

fn look(archive: &dyn Catalog) {
    let Ok(names) = archive.names() else { return };
    for (position, (name, root)) in names.iter().enumerate() {
        let found = archive.resolve(&Selector::At(position));
        assert!(found.is_ok_and(|roots| roots == [root.clone()]), "entry {position} is listed");
        if let Name::Tag(tag) = name {
            // Several entries may bear one tag: then the answer is all of them, or a refusal.
            if let Ok(roots) = archive.resolve(&Selector::Tag(tag.clone())) {
                assert!(!roots.is_empty());
            }
        }
        read(archive, root);
    }
}

fn read(archive: &dyn Catalog, blob: &Descriptor) {
    let Ok(origin) = archive.origin(blob) else { return };
    let Ok(stream) = origin.open(0) else { return };
    let Ok(mut verified) = Verified::new(stream, blob) else { return };
    let mut content = Vec::new();
    if verified.read_to_end(&mut content).is_ok() {
        let AnyDigest::Known(digest) = blob.digest else { panic!("an unknown algorithm was proven") };
        assert_eq!(Digest::of(digest.algorithm(), &content), digest);
    }
}

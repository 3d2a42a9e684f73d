//! Layers of every form, and how they go in and out of a store.

use orlop_layer::{Budget, Decode, Decoded, Stages, Verified};
use orlop_spec::digest::{Algorithm, DiffId, Digest};
use orlop_spec::media_type::{Compression, MediaType, OCI_LAYER};
use orlop_spec::port::Result;
use orlop_spec::{Cancel, Descriptor, Limits};
use orlop_store::Store;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use testkit::tarball::{Field, MAGIC, Member};

/// How a sparse file says which parts of it are there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    OldGnu,
    Pax00,
    Pax01,
    Pax10,
}

impl Form {
    pub(crate) const ALL: [Self; 4] = [Self::OldGnu, Self::Pax00, Self::Pax01, Self::Pax10];
}

/// Takes an uncompressed layer into a store.
pub(crate) fn import(store: &Store, tar: &[u8], stages: Stages) -> Result<Decoded> {
    import_blob(store, tar, Compression::None, stages)
}

pub(crate) fn import_blob(
    store: &Store,
    bytes: &[u8],
    compression: Compression,
    stages: Stages,
) -> Result<Decoded> {
    let (limits, cancel) = (Limits::default(), Cancel::new());
    let digest = Digest::of(Algorithm::Sha256, bytes);
    let blob = Descriptor::new(MediaType::new(OCI_LAYER), digest, bytes.len() as u64);
    let how = Decode {
        compression,
        expected: None,
        layer: 0,
        limits: &limits,
        budget: &Budget::new(limits.size),
        cancel: &cancel,
        stages,
        progress: &|_| (),
    };
    store.import(&mut Verified::new(bytes, &blob)?, &how)
}

/// The uncompressed layer that a store hands out.
pub(crate) fn export(store: &Store, diff_id: &DiffId) -> Result<Vec<u8>> {
    let cancel = Cancel::new();
    let mut tar = Vec::new();
    let outcome = store.export(diff_id, &cancel)?.read_to_end(&mut tar);
    outcome.map(|_| tar).map_err(|error| orlop_spec::Fault::io("read the layer", error))
}

/// A file of which the archive holds `parts`, each with its offset.
pub(crate) fn sparse(form: Form, name: &str, size: u64, parts: &[(u64, Vec<u8>)]) -> Vec<Member> {
    let content: Vec<u8> = parts.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let spans: Vec<(u64, u64)> = parts.iter().map(|(offset, bytes)| (*offset, bytes.len() as u64)).collect();
    let decimal = |number: u64| number.to_string().into_bytes();
    let list = |separator: &str| {
        let numbers: Vec<_> = spans.iter().map(|(at, length)| format!("{at}{separator}{length}")).collect();
        numbers.join(separator)
    };
    let records = |more: &[(&str, Vec<u8>)]| {
        let records: Vec<(&[u8], &[u8])> =
            more.iter().map(|(key, value)| (key.as_bytes(), &value[..])).collect();
        Member::pax(&records)
    };
    match form {
        Form::OldGnu => {
            assert!(parts.len() <= 4, "more need a block of their own");
            let mut member = Member::new(b'S', name, &content).set(MAGIC, b"ustar  \0");
            for (number, (offset, length)) in spans.iter().enumerate() {
                member = member
                    .number(Field(386 + 24 * number, 12), *offset)
                    .number(Field(398 + 24 * number, 12), *length);
            }
            vec![member.number(Field(483, 12), size)]
        }
        Form::Pax00 => {
            let mut all = vec![
                ("GNU.sparse.size", decimal(size)),
                ("GNU.sparse.numblocks", decimal(spans.len() as u64)),
            ];
            for (offset, length) in &spans {
                all.push(("GNU.sparse.offset", decimal(*offset)));
                all.push(("GNU.sparse.numbytes", decimal(*length)));
            }
            vec![records(&all), Member::file(name, content)]
        }
        Form::Pax01 => {
            let all = [
                ("GNU.sparse.size", decimal(size)),
                ("GNU.sparse.numblocks", decimal(spans.len() as u64)),
                ("GNU.sparse.map", list(",").into_bytes()),
            ];
            vec![records(&all), Member::file(name, content)]
        }
        Form::Pax10 => {
            let mut stored = format!("{}\n{}", spans.len(), list("\n")).into_bytes();
            stored.push(b'\n');
            stored.resize(stored.len().next_multiple_of(512), 0);
            stored.extend_from_slice(&content);
            let all = [
                ("GNU.sparse.major", decimal(1)),
                ("GNU.sparse.minor", decimal(0)),
                ("GNU.sparse.name", name.as_bytes().to_vec()),
                ("GNU.sparse.realsize", decimal(size)),
            ];
            vec![records(&all), Member::file("GNUSparseFile.0/x", stored)]
        }
    }
}

/// All objects: each bears its digest, and is what the digest says.
pub(crate) fn sound_objects(root: &Path) -> Vec<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut objects = Vec::new();
    for shard in root.join("objects").read_dir().expect("a store").flatten() {
        for object in shard.path().read_dir().expect("a folder of objects").flatten() {
            let (path, name) = (object.path(), object.file_name());
            let named = format!("{}{}", shard.file_name().display(), name.display());
            let content = std::fs::read(&path).expect("it can be read");
            assert_eq!(Digest::of(Algorithm::Sha256, &content).hex(), named);
            assert_eq!(object.metadata().expect("it is there").permissions().mode() & 0o7777, 0o444);
            objects.push(path);
        }
    }
    objects
}

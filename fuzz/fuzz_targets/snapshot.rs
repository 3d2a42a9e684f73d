//! Snapshots of folders: any bytes are refused or read, what is read is printed and read again, and a folder is compared with
//! it without a panic and without a change of the folder.
//!
//! The digest at the end is put there for the input: whoever writes a snapshot can do so.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_fs::Dir;
use orlop_fs::scan::Unrepresentable;
use orlop_fs::snapshot::Snapshot;
use orlop_fs::track::{Compare, Hash, Renew, Strays, Trust, compare};
use orlop_fuzz::limits;
use orlop_layer::tree::{Content, Tree};
use orlop_spec::digest::TreeId;
use orlop_spec::{Algorithm, Cancel, Digest};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::LazyLock;

/// `a/f`, its further name `a/g`, `b` and the link `l`.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("orlop-fuzz-snapshot-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("a")).expect("a folder");
    std::fs::write(folder.join("a/f"), "f").expect("a file");
    std::fs::hard_link(folder.join("a/f"), folder.join("a/g")).expect("a further name");
    std::fs::write(folder.join("b"), "").expect("a file");
    std::os::unix::fs::symlink("b", folder.join("l")).expect("a link");
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let limits = limits();
    let proof = Digest::of(Algorithm::Sha256, bytes);
    let Ok(snapshot) = Snapshot::parse(&[bytes, proof.bytes()].concat(), &limits) else { return };
    let printed = snapshot.to_bytes();
    let again = Snapshot::parse(&printed, &limits).expect("what was printed is read");
    assert_eq!(printed, again.to_bytes());
    for id in snapshot.ids() {
        assert_eq!(snapshot.path(id).components().count(), snapshot.record(id).depth());
    }
    let folder = Dir::open(&*FOLDER).expect("a folder");
    let how = Compare {
        trust: Trust::Facts,
        hash: Hash::Changed,
        renew: Renew::Yes,
        masks: &[],
        strays: Strays::LeftOut(Unrepresentable::Refuse),
        journal: None,
        now: None,
        limits: &limits,
        observer: &(),
        cancel: &Cancel::new(),
    };
    let Ok(compared) = compare(&folder, &snapshot, &how) else { return };
    // Whatever was there before, the layer of the changes makes what is there now.
    // A limit may be passed on the way.
    if let Ok(now) = compared.older.clone().stack(compared.layer()) {
        assert_eq!(id(&now), id(&compared.newer));
    }
    if let Ok(then) = compared.newer.clone().stack(compared.undoing()) {
        assert_eq!(id(&then), id(&compared.older));
    }
    assert_eq!(std::fs::read_dir(&*FOLDER).expect("a folder").count(), 3);
});

/// What a tree is, but for the contents, which a snapshot need not know.
fn id(tree: &Tree) -> TreeId {
    let any = |_: &Content| Ok::<_, Infallible>(Digest::of(Algorithm::Sha256, b""));
    tree.id(Algorithm::Sha256, any).unwrap_or_else(|never| match never {})
}

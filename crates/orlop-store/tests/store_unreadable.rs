//! What a disk does not give any more: one file is one finding, and a repair has it again from elsewhere.

mod stored;

use orlop_fs::seam::{self, Glance, Verdict};
use orlop_spec::port::{Origin, Result, Source as _};
use orlop_spec::{Cancel, Context, Descriptor, Limits};
use orlop_store::Store;
use orlop_store::store::Options;
use orlop_store::store::fsck::{Finding, Supply, Wrong};
use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use stored::{files, forget, holds, image, publish, settle, sweep};
use testkit::suites::Sample;
use testkit::suites::copy::by_tag;
use testkit::{Scratch, proof, scratch};

const EIO: i32 = 5;
/// Whoever pulled it knows where it came from.
const NAME: &str = "localhost/a:1";

/// The seam is one for the whole process.
static SEAM: Mutex<()> = Mutex::new(());

/// A registry that has the image.
struct Registry(Sample);

impl Supply for Registry {
    fn fetch(
        &self,
        from: &str,
        blob: &Descriptor,
        take: &mut dyn FnMut(&dyn Origin) -> Result<()>,
    ) -> Result<()> {
        assert_eq!(from, format!("docker://{NAME}"));
        let (_, content) = self
            .0
            .blobs
            .iter()
            .find(|(other, _)| other.digest == blob.digest)
            .expect("asked for what it has");
        take(content)
    }

    fn resolve(&self, from: &str) -> Result<Vec<Descriptor>> {
        assert_eq!(from, format!("docker://{NAME}"));
        Ok(vec![self.0.root.clone()])
    }
}

fn with_context<T>(work: impl FnOnce(&Context<'_>) -> T) -> T {
    let (limits, cancel) = (Limits::default(), Cancel::new());
    work(&Context { observer: &(), cancel: &cancel, limits: &limits, workers: NonZeroUsize::MIN })
}

/// A store with one image, and its files but the mark of its form.
fn world() -> (Scratch, PathBuf, Sample, Vec<PathBuf>) {
    let (it, sample) = (scratch(), image("abc"));
    let place = it.path("store");
    publish(&place, NAME, &sample);
    let all = files(&place).into_iter().filter(|file| !file.starts_with("format")).collect();
    (it, place, sample, all)
}

/// As long as this runs, the disk does not give the file that is at `path` now.
fn without<T>(path: &Path, work: impl FnOnce() -> T) -> T {
    let bad = fs::metadata(path).expect("there").ino();
    let is_bad = move |path: &[u8]| {
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.ino() == bad)
    };
    seam::watch(Box::new(move |glance, path| match glance {
        Glance::Open if is_bad(path) => Verdict::Fail(EIO),
        _ => Verdict::Go,
    }));
    let outcome = work();
    seam::clear();
    outcome
}

fn told(findings: &[Finding]) -> Vec<(String, Wrong)> {
    findings.iter().map(|finding| (finding.item.path(), finding.wrong)).collect()
}

#[test]
fn a_file_that_the_disk_does_not_give_is_found_and_had_again() {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    let (_it, place, sample, all) = world();
    let supply = Registry(sample);
    let parts: BTreeMap<&str, usize> = all.iter().fold(BTreeMap::new(), |mut parts, file| {
        *parts.entry(file.iter().next().and_then(|part| part.to_str()).expect("a part")).or_default() += 1;
        parts
    });
    assert_eq!(
        parts.into_iter().collect::<Vec<_>>(),
        [("blobs", 2), ("forms", 1), ("layers", 1), ("names", 1), ("objects", 3)]
    );
    for file in &all {
        let shown = file.display().to_string();
        let store = Store::open(&place, &Options::default()).expect("a store");
        let expected = [(shown.clone(), Wrong::Unreadable)];
        without(&place.join(file), || {
            let checked = with_context(|cx| store.check(cx)).expect("one file is not the end");
            assert_eq!(told(&checked.findings), expected);
            let mended = with_context(|cx| store.restore(cx, &supply)).expect("repaired");
            assert_eq!(told(&mended.mended), expected, "{shown}: {:?}", mended.faults);
            assert_eq!(told(&mended.checked.findings), [], "{shown}: {:?}", mended.faults);
        });
        assert!(holds(&place, NAME, &supply.0), "{shown}");
    }
    // What was replaced is relied on as what was there.
    settle();
    sweep(&place);
    assert!(holds(&place, NAME, &supply.0));
    forget(&place, NAME);
    settle();
    sweep(&place);
    assert!(!holds(&place, NAME, &supply.0));
    proof::ran("fsck: files that the disk does not give", all.len());
}

#[test]
fn a_record_is_written_anew_only_where_somebody_knows_what_it_said() {
    let _alone = SEAM.lock().unwrap_or_else(PoisonError::into_inner);
    let (_it, place, sample, _) = world();
    publish(&place, "plain", &sample);
    let store = Store::open(&place, &Options::default()).expect("a store");
    store
        .records()
        .set(
            &orlop_spec::port::Name::Untagged,
            &sample.root,
            None,
            orlop_store::store::names::Expected::Absent,
        )
        .expect("named by its digest");
    let supply = Registry(sample);
    let names = place.join("names");
    let rot = |name: &str, bytes: usize| {
        let path = names.join(name);
        let mut record = fs::read(&path).expect("there");
        record.iter_mut().skip(20).step_by(7).take(bytes).for_each(|byte| *byte ^= 0x41);
        fs::write(path, record).expect("rotten");
    };
    let untagged = format!("%40sha256%3A{}", supply.0.root.digest.encoded());
    // By its own sha256; by the digest in its name; by the registry; by nobody.
    for (name, bytes, is_known) in
        [("plain", 1, true), (&*untagged, 9, true), ("localhost%2Fa%3A1", 9, true), ("plain", 2, false)]
    {
        rot(name, bytes);
        let mended = with_context(|cx| store.restore(cx, &supply)).expect("looked at");
        let expected = [(format!("names/{name}"), Wrong::Damaged)];
        let (mended, left) = (told(&mended.mended), told(&mended.checked.findings));
        if is_known {
            assert_eq!((&*mended, &*left), (&expected[..], &[][..]), "{name}");
        } else {
            assert_eq!((&*mended, &*left), (&[][..], &expected[..]), "{name}");
        }
    }
    // Nobody used the other algorithm yet, so its blobs have no folder.
    let other = format!("names/%40sha512%3A{}", "0".repeat(128));
    fs::write(place.join(&other), "rotten").expect("written");
    let mended = with_context(|cx| store.restore(cx, &supply)).expect("looked at");
    assert!(mended.faults.is_empty(), "{:?}", mended.faults);
    assert!(told(&mended.checked.findings).contains(&(other.clone(), Wrong::Damaged)));
    assert!(holds(&place, NAME, &supply.0));
    let root = store.resolve(&by_tag(NAME)).expect("named");
    assert_eq!(root, std::slice::from_ref(&supply.0.root));
}

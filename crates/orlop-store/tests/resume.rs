//! A blob that comes over a network and breaks off is gone on with; what is wrong on the disk is found.

use orlop_spec::port::{Hints, Name, Origin, Put, Result, Sink, Source as _};
use orlop_spec::{Algorithm, Descriptor, Diagnose, Digest, Fault, Kind, MediaType};
use orlop_store::layout::{Layout, Options};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use testkit::scratch;

const SIZE: usize = 3 << 20;

#[derive(Debug, thiserror::Error)]
#[error("the network is gone")]
struct Gone;

impl Diagnose for Gone {
    fn kind(&self) -> Kind {
        Kind::Unreachable
    }
}

/// Bytes far away, of which `reach` come before the network is gone.
struct Far {
    bytes: Vec<u8>,
    reach: usize,
    asked: Mutex<Vec<u64>>,
}

impl Far {
    fn new(bytes: Vec<u8>, reach: usize) -> Self {
        Self { bytes, reach, asked: Mutex::default() }
    }

    fn asked(&self) -> Vec<u64> {
        self.asked.lock().expect("one thread").clone()
    }
}

impl Origin for Far {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        self.asked.lock().expect("one thread").push(at);
        let at = usize::try_from(at).expect("small");
        Ok(Box::new(Breaking {
            left: &self.bytes[at..self.reach.max(at)],
            breaks: self.reach < self.bytes.len(),
        }))
    }

    fn is_far(&self) -> bool {
        true
    }
}

struct Breaking<'a> {
    left: &'a [u8],
    breaks: bool,
}

impl Read for Breaking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() && self.breaks {
            return Err(Fault::new(Gone).into());
        }
        self.left.read(buffer)
    }
}

fn content() -> Vec<u8> {
    (0..SIZE).map(|at| u8::try_from((at * at) >> 7 & 0xff).expect("masked")).collect()
}

fn blob(bytes: &[u8]) -> Descriptor {
    let digest = Digest::of(Algorithm::Sha256, bytes);
    Descriptor::new(MediaType::new("application/octet-stream"), digest, bytes.len() as u64)
}

fn part(layout: &Path, blob: &Descriptor) -> PathBuf {
    layout.join("blobs/sha256").join(format!(".orlop-tmp-part-{}", blob.digest.encoded()))
}

fn put(layout: &Path, blob: &Descriptor, origin: &dyn Origin) -> Result<Put> {
    let sink = Layout::create(layout, &Options::default())?;
    let put = sink.put(blob, origin, &Hints::default())?;
    Box::new(sink).finish(&[(Name::Untagged, blob.clone())])?;
    Ok(put)
}

fn read(layout: &Path, blob: &Descriptor) -> Vec<u8> {
    let layout = Layout::open(layout, &Options::default()).expect("a layout");
    let mut bytes = Vec::new();
    let origin = layout.origin(blob).expect("it is there");
    origin.open(0).expect("it opens").read_to_end(&mut bytes).expect("it reads");
    bytes
}

#[test]
fn what_came_before_the_network_was_gone_is_not_fetched_again() {
    let scratch = scratch();
    let (layout, bytes) = (scratch.path("new"), content());
    let blob = blob(&bytes);
    let broken = put(&layout, &blob, &Far::new(bytes.clone(), SIZE / 2)).expect_err("the network is gone");
    assert_eq!(broken.kind(), Kind::Unreachable);
    assert_eq!(fs::metadata(part(&layout, &blob)).expect("a part is left").len(), (SIZE / 2) as u64);

    let whole = Far::new(bytes.clone(), SIZE);
    assert_eq!(put(&layout, &blob, &whole).expect("the rest comes"), Put::Copied);
    assert_eq!(whole.asked(), [(SIZE / 2) as u64]);
    assert_eq!(read(&layout, &blob), bytes);
    assert!(!part(&layout, &blob).exists());
}

#[test]
fn a_part_that_the_disk_damaged_is_found_and_fetched_anew() {
    let scratch = scratch();
    let (layout, bytes) = (scratch.path("new"), content());
    let blob = blob(&bytes);
    put(&layout, &blob, &Far::new(bytes.clone(), SIZE / 2)).expect_err("the network is gone");
    let mut damaged = fs::read(part(&layout, &blob)).expect("a part is left");
    damaged[4711] ^= 1;
    fs::write(part(&layout, &blob), damaged).expect("it is ours");

    let whole = Far::new(bytes.clone(), SIZE);
    put(&layout, &blob, &whole).expect("the second try is whole");
    assert_eq!(whole.asked(), [(SIZE / 2) as u64, 0]);
    assert_eq!(read(&layout, &blob), bytes);
}

#[test]
fn wrong_bytes_leave_no_part_and_no_layout() {
    let scratch = scratch();
    let (layout, bytes) = (scratch.path("new"), content());
    let blob = blob(&bytes);
    for wrong in [vec![0; SIZE], vec![0; SIZE + 1], vec![0; SIZE - 1]] {
        let length = wrong.len();
        let fault = put(&layout, &blob, &Far::new(wrong, length)).expect_err("other bytes");
        assert_eq!(fault.kind(), Kind::Integrity);
        assert!(!layout.exists());
    }
}

#[test]
fn whoever_comes_second_does_not_wait_for_a_part() {
    let scratch = scratch();
    let (layout, bytes) = (scratch.path("new"), content());
    let blob = blob(&bytes);
    put(&layout, &blob, &Far::new(bytes.clone(), SIZE / 2)).expect_err("the network is gone");
    let held = fs::File::open(part(&layout, &blob)).expect("a part is left");
    held.lock().expect("nobody else");
    let whole = Far::new(bytes.clone(), SIZE);
    put(&layout, &blob, &whole).expect("a part that is taken is left alone");
    assert_eq!(whole.asked(), [0]);
    assert_eq!(read(&layout, &blob), bytes);
}

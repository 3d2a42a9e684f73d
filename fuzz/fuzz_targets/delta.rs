//! Deltas: whatever the operations are, what comes out is what a model of ten lines makes of them, or an error where the model
//! has one. The bytes stand for the operations of a frame, and for a whole delta.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_host::Error;
use orlop_host::delta::{MAGIC, Paths, Place, Sources, apply};
use orlop_layer::TreePath;
use orlop_layer::codec::Frame;
use orlop_spec::{Cancel, Limits};
use std::io::Write as _;

/// The files of the older tree.
const FILES: [(&[u8], &[u8]); 3] = [(b"a", b"0123456789"), (b"d/b", b"the quick brown fox"), (b"e", b"")];
/// What a delta may give.
const MOST: usize = 1 << 16;

struct Older;

impl Sources for Older {
    fn find(&self, path: &TreePath) -> Option<Place> {
        let number = FILES.iter().position(|(name, _)| *name == path.as_bytes())?;
        Some(Place { layer: number as u16, at: 0, size: FILES[number].1.len() as u64 })
    }

    fn read(&self, place: Place, at: u64, out: &mut [u8]) -> Result<(), Error> {
        let at = at as usize;
        out.copy_from_slice(&FILES[usize::from(place.layer)].1[at..at + out.len()]);
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut frame = Frame::new(1, MAGIC.to_vec());
    frame.write_all(bytes).expect("into memory");
    let delta = frame.finish().expect("into memory");
    assert_eq!(applied(&delta), model(bytes), "{bytes:x?}");
    let whole = [&MAGIC[..], bytes].concat();
    let _no_panic = applied(&whole);
});

fn applied(delta: &[u8]) -> Option<Vec<u8>> {
    let limits = Limits { size: MOST as u64, ..Limits::default() };
    let (cancel, mut out) = (Cancel::new(), Vec::new());
    let named = Paths::default().add(delta, &limits, &cancel);
    let done = apply(delta, &Older, &limits, &cancel, &mut out);
    assert!(out.len() <= MOST);
    assert!(named.is_ok() || done.is_err(), "what is no delta is not applied");
    done.ok().map(|()| out)
}

/// The same from the format's document.
fn model(mut bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() > MOST {
        return None;
    }
    let (mut out, mut file, mut at): (Vec<u8>, Option<&[u8]>, usize) = (Vec::new(), None, 0);
    while let Some((code, rest)) = bytes.split_first() {
        let (number, rest) = number(rest)?;
        let count = usize::try_from(number).ok()?;
        bytes = rest;
        let given: &[u8] = match code {
            0 | 1 | 3 => {
                let (given, rest) = bytes.split_at_checked(count)?;
                bytes = rest;
                given
            }
            _ => b"",
        };
        match code {
            0 => out.extend_from_slice(given),
            1 => {
                let path = TreePath::parse(given).ok()?;
                file = Some(FILES.iter().find(|(name, _)| *name == path.as_bytes())?.1);
                at = 0;
            }
            2 => out.extend_from_slice(file?.get(at..)?.get(..count)?),
            3 => {
                let old = file?.get(at..)?.get(..count)?;
                out.extend(old.iter().zip(given).map(|(old, more)| old.wrapping_add(*more)));
            }
            4 if count <= file?.len() => at = count,
            _ => return None,
        }
        if matches!(code, 2 | 3) {
            at += count;
        }
        if out.len() > MOST {
            return None;
        }
    }
    Some(out)
}

fn number(mut bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number: u128 = 0;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        bytes = rest;
        number |= u128::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some((u64::try_from(number).ok()?, bytes));
        }
    }
    None
}

//! Records of names that cannot be read, put in order as far as somebody can tell what they said.
//!
//! ```text
//! one byte is another ──► the sha256 within tells which
//! @sha256:HEX ──────────► the file is called by what it stands for
//! HOST/REPOSITORY:TAG ──► the registry tells, if what it tells is here
//! ```
//!
//! Invariant: nothing is guessed. A record is written only if its own sha256, the digest that it is called by, or the place
//! that the name is of says so; else it stays as it is.

use super::super::Store;
use super::super::names::{name_in, untagged, written};
use super::Supply;
use super::needs::has_host;
use crate::reach;
use orlop_spec::port::{Put, Result};
use orlop_spec::{Algorithm, AnyDigest, Descriptor, Digest};

/// Bytes behind the line of a record: `sha256 `, the digits, a line feed.
const PROOF: usize = 72;
/// In a longer record no byte is looked for: each is tried with all its values, and meanwhile nobody else changes a name.
const LONGEST: usize = 1024;

/// Puts a record in order; whether it is.
pub(super) fn heal(store: &Store, file: &str, supply: &dyn Supply) -> Result<bool> {
    if store.names.mend(file, &one_byte)? {
        return Ok(true);
    }
    let Some((name, root, origin)) = told(store, file, supply)? else { return Ok(false) };
    store.names.mend(file, &|_| Some(written(&name, &root, origin.as_deref())))
}

type Told = (String, Descriptor, Option<String>);

/// What the file stands for, by its name.
fn told(store: &Store, file: &str, supply: &dyn Supply) -> Result<Option<Told>> {
    let Some(name) = name_in(file) else { return Ok(None) };
    if let Some(digest) = untagged(file) {
        return Ok(described(store, &digest)?.map(|root| (name, root, None)));
    }
    if !has_host(&name) {
        return Ok(None);
    }
    let origin = format!("docker://{name}");
    let roots = supply.resolve(&origin)?;
    let [root] = &*roots else { return Ok(None) };
    let is_here = store.blobs.foresee(root)? == Put::Held;
    Ok(is_here.then(|| (name, root.clone(), Some(origin))))
}

/// A document that is here, as a name describes it.
fn described(store: &Store, digest: &AnyDigest) -> Result<Option<Descriptor>> {
    let Ok(known) = digest.known() else { return Ok(None) };
    let blobs = store.root.open_dir(super::format::BLOBS)?;
    // Blobs of an algorithm that nobody used have no folder.
    let opened = blobs.open_dir(known.algorithm().name()).and_then(|folder| folder.open_file(known.hex()));
    let bytes = match opened {
        Err(error) if error.is_not_found() => return Ok(None),
        opened => opened?.read_to_limit(store.limits.document)?,
    };
    if Digest::of(known.algorithm(), &bytes) != *known {
        return Ok(None);
    }
    let media_type = reach::media_type_of(&bytes);
    Ok(media_type.map(|media_type| Descriptor::new(media_type, *known, bytes.len() as u64)))
}

/// The record that differs from this in one byte at most, and is proven by its sha256.
fn one_byte(bytes: &[u8]) -> Option<Vec<u8>> {
    let at = bytes.len().checked_sub(PROOF).filter(|_| bytes.len() <= LONGEST)?;
    let (line, proof) = bytes.split_at(at);
    let of_this = proof_of(line);
    if proof.iter().zip(&of_this).filter(|(one, other)| one != other).count() <= 1 {
        return line.ends_with(b"\n").then(|| [line, &of_this].concat());
    }
    let mut line = line.to_vec();
    for at in 0..line.len() {
        let found = line[at];
        for value in 0..=u8::MAX {
            line[at] = value;
            if proof_of(&line) == proof {
                return Some([&line, proof].concat());
            }
        }
        line[at] = found;
    }
    None
}

fn proof_of(line: &[u8]) -> Vec<u8> {
    format!("sha256 {}\n", Digest::of(Algorithm::Sha256, line).hex()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_is_found_again_and_two_are_not_guessed() {
        let line = b"{\"version\":1,\"name\":\"a:1\"}\n";
        let whole = [&line[..], &proof_of(line)].concat();
        for at in 0..whole.len() {
            let mut rotten = whole.clone();
            rotten[at] ^= [1, 0x80, 0xFF][at % 3];
            assert_eq!(one_byte(&rotten).as_ref(), Some(&whole), "byte {at}");
        }
        for (one, other) in [(0, 1), (3, whole.len() - 2), (whole.len() - 9, whole.len() - 3)] {
            let mut rotten = whole.clone();
            rotten[one] ^= 1;
            rotten[other] ^= 1;
            assert_eq!(one_byte(&rotten), None, "bytes {one} and {other}");
        }
        assert_eq!([&b""[..], b"x", &whole[1..]].map(one_byte), [const { None }; 3]);
    }
}

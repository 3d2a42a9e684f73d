//! Lock files: which digest a name stood for when it was looked up (`docs/formats/lock.md`).
//!
//! ```text
//! orlop lock 1
//! docker://HOST/REPOSITORY:TAG sha256:HEX application/vnd.oci.image.index.v1+json 2295
//! └───── reference ──────────┘ └ digest ┘ └───────── media type ────────────────┘ └ size
//! ```
//!
//! Invariant: a file has one spelling. Whatever is taken is printed again as the same bytes; what is not in order, stands
//! twice or is spelt in another way is refused as a whole, because a line that is overlooked is a hole.

mod error;

pub use error::{Law, LockError};

use crate::descriptor::Descriptor;
use crate::digest::{AnyDigest, Digest};
use crate::media_type::MediaType;
use crate::port::Selector;
use crate::reference::{Bare, Grammar, LoneStream, Reference, Sought, Transport};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

/// The first line.
const TITLE: &str = "orlop lock 1";
/// Bytes of a file; some 30 000 images.
pub const LARGEST: u64 = 4 << 20;
/// Bytes of one reference.
const LONGEST: usize = 4096;

/// What names stood for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock(BTreeMap<Box<str>, Pin>);

/// What one name stood for: a manifest or an index, of an algorithm that can be proven.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pin {
    digest: Digest,
    media_type: MediaType,
    size: u64,
}

impl Lock {
    /// Parses a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, LockError> {
        if bytes.len() as u64 > LARGEST {
            return Err(LockError::TooLarge { limit: LARGEST });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + String::from_utf8_lossy(&bytes[..error.valid_up_to()]).matches('\n').count();
            LockError::Line { line, law: Law::Text }
        })?;
        let rest = text.strip_prefix(TITLE).and_then(|rest| rest.strip_prefix('\n'));
        let rest = rest.ok_or(LockError::NoTitle { title: TITLE })?;
        let mut lock = Self::default();
        for (at, line) in rest.split_inclusive('\n').enumerate() {
            lock.add(line).map_err(|law| LockError::Line { line: at + 2, law })?;
        }
        Ok(lock)
    }

    /// Adds a line that must come after all others.
    fn add(&mut self, line: &str) -> Result<(), Law> {
        let line = line.strip_suffix('\n').ok_or(Law::Cut)?;
        let mut words = line.rsplitn(4, ' ');
        let (Some(size), Some(media_type), Some(digest), Some(name)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Law::Words);
        };
        let pin = Pin::parse(digest, media_type, size)?;
        reference(name, &|_, _| false)?;
        match self.0.last_key_value() {
            Some((last, _)) if **last == *name => Err(Law::Twice),
            Some((last, _)) if **last > *name => Err(Law::Order),
            _ => {
                self.0.insert(name.into(), pin);
                Ok(())
            }
        }
    }

    /// What a reference stood for.
    pub fn get(&self, reference: &Reference) -> Option<Descriptor> {
        let name = reference.to_os_string();
        self.0.get(name.to_str()?).map(Pin::descriptor)
    }

    /// The tags of a place that are here, in order.
    pub fn tags(&self, place: &Transport) -> Vec<(Box<str>, Descriptor)> {
        // A colon could belong to a path or end it: of all paths only the one of the place is known.
        let exists = |_: Sought, path: &Path| Some(path) == place.path();
        let tag = |name: &str| match reference(name, &exists) {
            Ok(Reference { transport, selector: Selector::Tag(tag), .. }) if transport == *place => Some(tag),
            _ => None,
        };
        self.0.iter().filter_map(|(name, pin)| Some((tag(name)?, pin.descriptor()))).collect()
    }

    /// Notes what a reference stands for, and gives what it stood for before.
    pub fn set(&mut self, reference: &Reference, root: &Descriptor) -> Result<Option<Descriptor>, LockError> {
        let unfit = |law| LockError::Unfit { reference: reference.to_string().into(), law };
        let name = reference.to_os_string();
        let name = name.to_str().ok_or(unfit(Law::Text))?;
        self::reference(name, &|_, _| false).map_err(unfit)?;
        let pin = Pin::of(root).map_err(unfit)?;
        Ok(self.0.insert(name.into(), pin).map(|before| before.descriptor()))
    }

    /// The references, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }
}

/// The file.
impl fmt::Display for Lock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{TITLE}")?;
        self.0.iter().try_for_each(|(name, pin)| writeln!(out, "{name} {pin}"))
    }
}

impl Pin {
    fn parse(digest: &str, media_type: &str, size: &str) -> Result<Self, Law> {
        let digest = digest.parse().map_err(|_| Law::Digest)?;
        let number: u64 = size.parse().map_err(|_| Law::Size)?;
        if number.to_string() != size {
            return Err(Law::Size);
        }
        Self { digest, media_type: MediaType::new(media_type), size: number }.checked()
    }

    fn of(root: &Descriptor) -> Result<Self, Law> {
        let AnyDigest::Known(digest) = root.digest else { return Err(Law::Digest) };
        Self { digest, media_type: root.media_type.clone(), size: root.size }.checked()
    }

    fn checked(self) -> Result<Self, Law> {
        if self.media_type.is_document() { Ok(self) } else { Err(Law::MediaType) }
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest, self.size)
    }
}

/// As in a file.
impl fmt::Display for Pin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { digest, media_type, size } = self;
        write!(out, "{digest} {media_type} {size}")
    }
}

/// Parses a name, which must be the one spelling of a reference that a lock can speak of.
fn reference(name: &str, exists: &dyn Fn(Sought, &Path) -> bool) -> Result<Reference, Law> {
    if name.len() > LONGEST || name.contains(char::is_control) {
        return Err(Law::Reference);
    }
    let grammar = Grammar { bare: Bare::Registry, lone_stream: LoneStream::Refused, exists };
    let reference = grammar.parse(OsStr::new(name)).map_err(|_| Law::Reference)?;
    if matches!(reference.selector, Selector::Digest(_)) || reference.is_stream() {
        return Err(Law::Fixed);
    }
    if reference.to_os_string() == name { Ok(reference) } else { Err(Law::Spelling) }
}

#[cfg(test)]
mod tests;

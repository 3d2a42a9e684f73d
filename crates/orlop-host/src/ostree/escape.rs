//! Names of images as names of refs, and back.
//!
//! ```text
//! docker://quay.io/os/base:1
//! ostree/container/image/docker_3A__2F__2F_quay_2E_io/os/base_3A_1     as bootc and ostree-ext write it
//! ociimage/quay.io_2Fos_2Fbase_3A1                                     as skopeo and atomic wrote it
//! ```
//!
//! | | kept | else |
//! |---|---|---|
//! | bootc | `A–Z a–z 0–9 -`; `/` behind one of the letters and digits, where something follows | `__` for `_`, `_HEX_` of the character |
//! | skopeo | `A–Z a–z 0–9 . -` | `_XX` of the byte |
//!
//! Both leave some names that no ref can have: a fragment must not begin with `-` or `.`. There the character is escaped as
//! well, which both decoders read. Bytes that are no UTF-8 are no characters; bootc's form gives them the code points
//! U+DC80 to U+DCFF, which no text has.
//!
//! Invariant: decoding is the inverse of encoding, over all names that are not empty. What encoding would not write is
//! not decoded: two refs never stand for one image.

use super::refname::{RefError, RefName};
use std::fmt::Write as _;

/// Where layers are kept, each by its digest.
pub const BLOBS: &str = "ostree/container/blob";
/// Where images are kept, each by its name.
pub const IMAGES: &str = "ostree/container/image";
/// What others keep base images by.
pub const BASES: &str = "ostree/container/baseimage";
/// Where skopeo kept images and layers.
pub const OCI_IMAGE: &str = "ociimage";

/// How names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// As bootc does: by characters, with folders.
    Bootc,
    /// As skopeo did: by bytes, in one fragment.
    Skopeo,
}

impl Escape {
    /// The ref beneath a folder that stands for a name.
    ///
    /// # Errors
    /// When the name is empty, or so long that no ref can have it.
    pub fn encode(self, folder: &str, name: &[u8]) -> Result<RefName, RefError> {
        let escaped = match self {
            Self::Bootc => by_characters(name),
            Self::Skopeo => by_bytes(name),
        };
        format!("{folder}/{escaped}").parse()
    }

    /// The name that a ref beneath the folder stands for; `None` where it is elsewhere, or stands for none.
    pub fn decode(self, folder: &str, name: &RefName) -> Option<Vec<u8>> {
        let escaped = name.beneath(folder)?;
        let decoded = match self {
            Self::Bootc => characters_of(escaped)?,
            Self::Skopeo => bytes_of(escaped)?,
        };
        (self.encode(folder, &decoded).as_ref() == Ok(name)).then_some(decoded)
    }
}

/// Where, among the code points that no text has, bytes that are no text go.
const LONE: u32 = 0xdc00;

fn by_characters(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len() + 16);
    let mut before = Before::Nothing;
    let mut rest = code_points(name).peekable();
    while let Some(point) = rest.next() {
        let c = char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
        let is_kept = match c {
            '/' => before == Before::Letter && rest.peek().is_some(),
            '-' => before != Before::Nothing,
            _ => c.is_ascii_alphanumeric(),
        };
        before = Before::of(c, is_kept);
        match c {
            _ if is_kept => text.push(c),
            '_' => text.push_str("__"),
            _ => write!(text, "_{point:X}_").expect("a string takes everything"),
        }
    }
    text
}

/// What stands before a character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A fragment begins.
    Nothing,
    Letter,
    Other,
}

impl Before {
    fn of(c: char, is_kept: bool) -> Self {
        match c {
            '/' if is_kept => Self::Nothing,
            _ if c.is_ascii_alphanumeric() => Self::Letter,
            _ => Self::Other,
        }
    }
}

/// The characters of a name, and of its other bytes each one beyond all characters.
fn code_points(name: &[u8]) -> impl Iterator<Item = u32> {
    name.utf8_chunks().flat_map(|chunk| {
        let lone = chunk.invalid().iter().map(|byte| LONE + u32::from(*byte));
        chunk.valid().chars().map(u32::from).chain(lone)
    })
}

fn characters_of(escaped: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        name.extend_from_slice(&rest.as_bytes()[..at]);
        let (hex, after) = rest[at + 1..].split_once('_')?;
        match hex {
            "" => name.push(b'_'),
            _ => push(&mut name, u32::from_str_radix(hex, 16).ok()?)?,
        }
        rest = after;
    }
    name.extend_from_slice(rest.as_bytes());
    Some(name)
}

fn push(name: &mut Vec<u8>, point: u32) -> Option<()> {
    match char::from_u32(point) {
        Some(c) => name.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None => name.push(u8::try_from(point.checked_sub(LONE)?).ok()?),
    }
    Some(())
}

fn by_bytes(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len() + 16);
    for (at, &byte) in name.iter().enumerate() {
        let is_kept = byte.is_ascii_alphanumeric() || (at > 0 && matches!(byte, b'.' | b'-'));
        if is_kept {
            text.push(char::from(byte));
        } else {
            write!(text, "_{byte:02X}").expect("a string takes everything");
        }
    }
    text
}

fn bytes_of(escaped: &str) -> Option<Vec<u8>> {
    let mut pieces = escaped.as_bytes().split(|&byte| byte == b'_');
    let mut name = pieces.next()?.to_vec();
    for piece in pieces {
        let (hex, rest) = piece.split_at_checked(2)?;
        name.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
        name.extend_from_slice(rest);
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTH: [(Escape, &str); 2] = [(Escape::Bootc, IMAGES), (Escape::Skopeo, OCI_IMAGE)];

    fn encoded(escape: Escape, name: &[u8]) -> String {
        let name = escape.encode("f", name).expect("a ref");
        name.beneath("f").expect("a name beneath the folder").into()
    }

    #[test]
    fn bootc_keeps_folders_and_escapes_by_characters() {
        let cases = [
            ("docker://quay.io/a:b", "docker_3A__2F__2F_quay_2E_io/a_3A_b"),
            ("sha256:0a", "sha256_3A_0a"),
            ("a_b", "a__b"),
            ("a//b/", "a/_2F_b_2F_"),
            ("/a", "_2F_a"),
            ("a-/b", "a-_2F_b"),
            ("é", "_E9_"),
            ("日本", "_65E5__672C_"),
            ("-a/-b", "_2D_a/_2D_b"),
            ("a\0", "a_0_"),
        ];
        for (name, expected) in cases {
            assert_eq!(encoded(Escape::Bootc, name.as_bytes()), expected);
        }
        assert_eq!(encoded(Escape::Bootc, b"a\xffb"), "a_DCFF_b");
    }

    #[test]
    fn skopeo_escapes_by_bytes_into_one_fragment() {
        let cases = [
            ("busybox:latest", "busybox_3Alatest"),
            ("quay.io/os_x/base-1:1", "quay.io_2Fos_5Fx_2Fbase-1_3A1"),
            (".a", "_2Ea"),
            ("é", "_C3_A9"),
        ];
        for (name, expected) in cases {
            assert_eq!(encoded(Escape::Skopeo, name.as_bytes()), expected);
        }
    }

    #[test]
    fn what_encoding_would_not_write_stands_for_nothing() {
        let cases = [
            (
                Escape::Bootc,
                vec![
                    "a_3a_",
                    "a_41_",
                    "a_",
                    "a_G_",
                    "a_003A_",
                    "a_D800_",
                    "a_DC41_",
                    "a.b",
                    "á",
                    "a_110000_",
                ],
            ),
            (Escape::Skopeo, vec!["a_3a", "a_41", "a_", "a_4", "a_G1", "a__", "a/b", "á"]),
        ];
        for (escape, names) in cases {
            for name in names {
                let name: RefName = format!("f/{name}").parse().expect("a ref");
                assert_eq!(escape.decode("f", &name), None, "{name}");
            }
        }
    }

    #[test]
    fn names_elsewhere_and_empty_ones_stand_for_nothing() {
        let elsewhere: RefName = "g/a".parse().expect("a ref");
        for (escape, folder) in BOTH {
            assert_eq!(escape.decode(folder, &elsewhere), None);
            assert!(escape.encode(folder, b"").is_err());
            assert!(matches!(escape.encode(folder, &[b':'; 100]), Err(RefError::TooLong { .. })));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_from_a_valid_ref(name in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"/_-.:a9\xc3\xa9"[..])], 1..40)) {
            for (escape, folder) in BOTH {
                let encoded = escape.encode(folder, &name).expect("a ref");
                prop_assert_eq!(escape.decode(folder, &encoded), Some(name.clone()));
            }
        }

        #[test]
        fn no_two_refs_stand_for_one_name(text in "[a_/23AFDCé.-]{1,10}") {
            let Ok(name) = format!("f/{text}").parse::<RefName>() else { return Ok(()) };
            for (escape, _) in BOTH {
                if let Some(decoded) = escape.decode("f", &name) {
                    prop_assert_eq!(escape.encode("f", &decoded), Ok(name.clone()));
                }
            }
        }
    }
}

//! Digests: the names of content (image-spec, `descriptor.md`, "Digests").
//!
//! Invariant: a [`Digest`] can only be made by parsing or by hashing, so it never holds a path separator,
//! an upper-case digit or a wrong length. An algorithm that is not ours is carried as [`AnyDigest::Other`];
//! it never proves anything.
//!
//! ```text
//! sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b
//! └─────┘└──────────────────────────────────────────────────────────────┘
//! algorithm                 hex, lower case, exactly 2 × size
//! ```

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;
use std::fmt;
use std::str::FromStr;

/// A hash algorithm that orlop can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Algorithm {
    /// SHA-256, what everybody writes.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, in the order of strength.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name as it stands before the colon.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the hash in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(name: &str) -> Result<Self, DigestError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| DigestError::UnknownAlgorithm(name.into()))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A digest of an algorithm that orlop can compute.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: [u8; 64],
}

impl Digest {
    /// Hashes `content`.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(content);
        hasher.finish()
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash, [`Algorithm::size`] bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.size()]
    }

    /// The hash in lower-case hex.
    pub fn hex(&self) -> String {
        let mut hex = String::with_capacity(2 * self.algorithm.size());
        for byte in self.bytes() {
            for digit in [byte >> 4, byte & 15] {
                hex.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        hex
    }

    /// A hash that was kept as its bytes; `None` where they are not as many as the algorithm has.
    pub fn from_bytes(algorithm: Algorithm, hash: &[u8]) -> Option<Self> {
        (hash.len() == algorithm.size()).then(|| Self::new(algorithm, hash))
    }

    fn new(algorithm: Algorithm, hash: &[u8]) -> Self {
        let mut bytes = [0; 64];
        bytes[..hash.len()].copy_from_slice(hash);
        Self { algorithm, bytes }
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = split(text)?;
        let algorithm: Algorithm = algorithm.parse()?;
        if hex.len() != 2 * algorithm.size() {
            return Err(DigestError::WrongLength { text: text.into(), expected: 2 * algorithm.size() });
        }
        let mut hash = [0; 64];
        for (byte, pair) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let (high, low) = (hex_digit(pair[0]), hex_digit(pair[1]));
            let (Some(high), Some(low)) = (high, low) else {
                return Err(DigestError::NotHex(text.into()));
            };
            *byte = high << 4 | low;
        }
        Ok(Self::new(algorithm, &hash[..algorithm.size()]))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.algorithm, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

fn split(text: &str) -> Result<(&str, &str), DigestError> {
    text.split_once(':').ok_or_else(|| DigestError::NoColon(text.into()))
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// A digest as a descriptor holds it: ours, or one of an algorithm that only fits the grammar.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnyDigest {
    /// Can be computed, so it can prove content.
    Known(Digest),
    /// Fits the grammar; content is carried by size only, is said to be unproven, and is never unpacked.
    Other(Box<str>),
}

impl AnyDigest {
    /// The digest, where its algorithm is ours.
    pub fn known(&self) -> Result<&Digest, DigestError> {
        match self {
            Self::Known(digest) => Ok(digest),
            Self::Other(text) => Err(DigestError::UnknownAlgorithm(split(text)?.0.into())),
        }
    }

    /// The part before the colon.
    pub fn algorithm_name(&self) -> &str {
        match self {
            Self::Known(digest) => digest.algorithm().name(),
            Self::Other(text) => text.split(':').next().unwrap_or_default(),
        }
    }

    /// The part after the colon; never holds a slash or a dot.
    pub fn encoded(&self) -> String {
        match self {
            Self::Known(digest) => digest.hex(),
            Self::Other(text) => text.split(':').nth(1).unwrap_or_default().into(),
        }
    }
}

impl FromStr for AnyDigest {
    type Err = DigestError;

    /// image-spec, `descriptor.md`: `algorithm ::= component (separator component)*`, `encoded ::= [a-zA-Z0-9=_-]+`.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, encoded) = split(text)?;
        if algorithm.parse::<Algorithm>().is_ok() {
            return text.parse().map(Self::Known);
        }
        let component = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if !algorithm.split(['+', '.', '_', '-']).all(component) || algorithm.len() > 64 {
            return Err(DigestError::BadAlgorithm(text.into()));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b'_' | b'-');
        if encoded.is_empty() || encoded.len() > 255 || !encoded.bytes().all(plain) {
            return Err(DigestError::BadEncoding(text.into()));
        }
        Ok(Self::Other(text.into()))
    }
}

impl From<Digest> for AnyDigest {
    fn from(digest: Digest) -> Self {
        Self::Known(digest)
    }
}

impl fmt::Display for AnyDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(digest) => fmt::Display::fmt(digest, out),
            Self::Other(text) => out.write_str(text),
        }
    }
}

impl fmt::Debug for AnyDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `algorithm:` in front.
    #[error("{0:?} is no digest: it has no colon")]
    NoColon(Box<str>),
    /// The algorithm is not one that orlop computes.
    #[error("the digest algorithm {0:?} is unknown, so nothing can be proven by it")]
    UnknownAlgorithm(Box<str>),
    /// The algorithm does not fit the grammar.
    #[error("{0:?} is no digest: the part before the colon is no algorithm name")]
    BadAlgorithm(Box<str>),
    /// The encoded part does not fit the grammar.
    #[error("{0:?} is no digest: the part after the colon holds forbidden characters")]
    BadEncoding(Box<str>),
    /// The hash has not the length of its algorithm.
    #[error("{text:?} is no digest: it needs {expected} hex digits")]
    WrongLength {
        /// What was given.
        text: Box<str>,
        /// Hex digits that the algorithm needs.
        expected: usize,
    },
    /// Something else than `0-9a-f`.
    #[error("{0:?} is no digest: only lower-case hex digits may follow the colon")]
    NotHex(Box<str>),
}

/// Hashes a stream.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha384 => State::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha384(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The digest of all that was seen.
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(state) => Digest::new(Algorithm::Sha256, &state.finalize()),
            State::Sha384(state) => Digest::new(Algorithm::Sha384, &state.finalize()),
            State::Sha512(state) => Digest::new(Algorithm::Sha512, &state.finalize()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Hasher")
    }
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Digest);

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, out)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, out)
            }
        }
    };
}

typed_id!(
    /// Digest of a blob as it is stored and sent.
    BlobId
);
typed_id!(
    /// Digest of a layer's uncompressed tar (image-spec, `config.md`, "Layer DiffID").
    DiffId
);
typed_id!(
    /// Digest of a stack of layers (image-spec, `config.md`, "Layer ChainID").
    ChainId
);
typed_id!(
    /// Digest of an image's config.
    ImageId
);
typed_id!(
    /// Digest of the canonical form of a merged tree.
    TreeId
);

impl ChainId {
    /// `ChainID(L₀|…|Lₙ) = digest(ChainID(L₀|…|Lₙ₋₁) + " " + DiffID(Lₙ))`; `None` for no layers.
    pub fn of(layers: &[DiffId]) -> Option<Self> {
        let (first, rest) = layers.split_first()?;
        Some(rest.iter().fold(Self(first.0), |chain, layer| {
            Self(Digest::of(chain.0.algorithm(), format!("{chain} {layer}").as_bytes()))
        }))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for AnyDigest {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AnyDigest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for DiffId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(out)
    }
}

impl<'de> Deserialize<'de> for DiffId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Digest::deserialize(from).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn known_answers_of_fips_180() {
        assert_eq!(Digest::of(Algorithm::Sha256, b"abc").to_string(), ABC);
        assert_eq!(
            Digest::of(Algorithm::Sha384, b"abc").hex(),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
        );
        assert!(Digest::of(Algorithm::Sha512, b"abc").hex().starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn item_8_the_grammar_of_digests() {
        assert_eq!(ABC.parse::<Digest>().map(|digest| digest.to_string()), Ok(ABC.to_owned()));
        for bad in [
            "",
            "sha256",
            "sha256:",
            "sha256:abc",
            "SHA256:00",
            "sha256:../../etc",
            "+x:ab",
            "a b:cd",
            "foo:a/b",
            "foo:",
            "sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        ] {
            assert!(bad.parse::<AnyDigest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn item_10_an_unknown_algorithm_is_carried_but_proves_nothing() {
        let digest: AnyDigest = "foo+bar:abc".parse().expect("fits the grammar");
        assert_eq!(digest.to_string(), "foo+bar:abc");
        assert!(digest.known().is_err());
    }

    #[test]
    fn chain_ids_fold_from_the_base() {
        let layers =
            [DiffId(Digest::of(Algorithm::Sha256, b"a")), DiffId(Digest::of(Algorithm::Sha256, b"b"))];
        let expected = Digest::of(Algorithm::Sha256, format!("{} {}", layers[0], layers[1]).as_bytes());
        assert_eq!(ChainId::of(&layers), Some(ChainId(expected)));
        assert_eq!(ChainId::of(&layers[..1]), Some(ChainId(layers[0].0)));
        assert_eq!(ChainId::of(&[]), None);
    }
}
